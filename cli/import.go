package cli

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

func (s *session) imports() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Bring metrics in from files", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var prefix, names string
	var dryRun bool
	files := &cobra.Command{
		Use: "whisper DIR", Short: "Import Graphite's Whisper files",
		Long: `Import all .wsp files below a folder: Carbon's data folder, often
/var/lib/graphite/whisper, or a copy of it. servers/web1/load.wsp becomes the
series servers.web1.load.

Values go into the archives that the server keeps for a series: put Carbon's
storage-schemas.conf and storage-aggregation.conf into the definitions before; the
summary tells of differences. Values replace those that are there; importing again
does no harm, and Carbon may go on writing meanwhile.

Exit codes: 0 all files were imported, 1 some were not, 2 wrong usage.`,
		Example: `  steer import whisper /var/lib/graphite/whisper --dry-run
  steer import whisper /var/lib/graphite/whisper
  steer import whisper backup/whisper --prefix old`,
		Args: exactly("Carbon's data folder, such as /var/lib/graphite/whisper", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openTree(args[0], names)
			if err != nil {
				return err
			}
			return s.importTree(cmd.Context(), t, prefix, dryRun)
		},
	}
	files.Flags().StringVar(&prefix, "prefix", "", "put this before every name, with a dot")
	files.Flags().BoolVar(&dryRun, "dry-run", false, "read and check everything, but store nothing")
	files.Flags().StringVar(&names, "names", "", "file with the names of tagged series, one a line or a JSON list, for files that Carbon calls by a hash")
	cmd.AddCommand(files)
	return cmd
}

// tree is a folder with Whisper files.
type tree struct {
	dir   string
	files []string          // paths relative to dir
	names map[string]string // of tagged series by their SHA-256

	sent  atomic.Int64
	skips []client.Skip // what cannot be read here
}

func openTree(dir, names string) (*tree, error) {
	t := &tree{names: map[string]string{}}
	var err error
	if t.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fault.New(fault.NotFound, "import: %w", err)
	}
	if err := t.read(names); err != nil {
		return nil, fmt.Errorf("import: read names: %w", err)
	}
	err = filepath.WalkDir(t.dir, func(name string, e fs.DirEntry, err error) error {
		file, _ := filepath.Rel(t.dir, name)
		switch {
		case err != nil && file == ".":
			return err
		case err != nil:
			t.skip(file, err)
		case e.Type().IsRegular() && strings.HasSuffix(name, ".wsp"):
			t.files = append(t.files, file)
		case e.Type()&fs.ModeSymlink != 0:
			if info, err := os.Stat(name); err != nil {
				t.skip(file, err)
			} else if info.IsDir() {
				t.skip(file, errors.New("it is a link to a folder, which is not followed (import that folder with --prefix)"))
			} else if strings.HasSuffix(name, ".wsp") {
				t.files = append(t.files, file)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if len(t.files) == 0 {
		return nil, fault.New(fault.NotFound, "import: %s holds no .wsp files (give Carbon's data folder, often /var/lib/graphite/whisper)", dir)
	}
	return t, nil
}

// read takes the names of tagged series, of which some files tell only the hash.
func (t *tree) read(file string) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var names []string
	if json.Unmarshal(b, &names) != nil {
		names = strings.Split(string(b), "\n")
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		sum := sha256.Sum256([]byte(name))
		t.names[hex.EncodeToString(sum[:])] = name
	}
	return nil
}

func (t *tree) skip(file string, err error) {
	var wrong *fs.PathError
	if errors.As(err, &wrong) {
		err = wrong.Err // its text repeats the path
	}
	t.skips = append(t.skips, client.Skip{Path: filepath.ToSlash(file), Why: err.Error()})
}

// send writes the files as a tar stream.
func (t *tree) send(out io.Writer) error {
	w := tar.NewWriter(out)
	for _, file := range t.files {
		// Whole, so that a file that changes meanwhile spoils nothing.
		b, err := readFile(filepath.Join(t.dir, file), client.LargestWhisperFile)
		if err != nil {
			t.skip(file, err)
			continue
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: t.spelled(filepath.ToSlash(file)), Size: int64(len(b)), Mode: 0o644}); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		t.sent.Add(1)
	}
	return w.Close()
}

// spelled is the path of a file that is called by a hash as Carbon would call it by
// its name, if that is known.
func (t *tree) spelled(file string) string {
	dir, base := path.Split(file)
	if name := t.names[strings.TrimSuffix(base, ".wsp")]; name != "" {
		return dir + strings.ReplaceAll(name, ".", "_DOT_") + ".wsp"
	}
	return file
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if int64(len(b)) > most {
		return nil, fmt.Errorf("it has more than %d MiB", most>>20)
	}
	return b, err
}

func (s *session) importTree(ctx context.Context, t *tree, prefix string, dryRun bool) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	read, write := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		write.CloseWithError(t.send(write))
	}()
	done := s.watch(func() string { return fmt.Sprintf("%d of %d files", t.sent.Load(), len(t.files)) })
	sum, err := c.ImportWhisper(ctx, read, prefix, dryRun)
	done()
	read.CloseWithError(errUploadOver)
	<-sent
	if err != nil {
		return err
	}
	sum.Skipped += len(t.skips)
	sum.Skips = append(sum.Skips, t.skips...)
	if err := s.show(sum, func(w io.Writer) { importTable(w, sum) }); err != nil {
		return err
	}
	if sum.Skipped > 0 {
		return fault.New(fault.Invalid, "import: %d of %d files were not imported", sum.Skipped, sum.Skipped+sum.Files)
	}
	return nil
}

func importTable(w io.Writer, sum client.Import) {
	written := "WRITTEN"
	if sum.DryRun {
		written = "WOULD BE WRITTEN"
	}
	row(w, "FILES", "SERIES", "POINTS", written, "TOO OLD", "SKIPPED")
	row(w, sum.Files, sum.Series, sum.Read, sum.Written, sum.TooOld, sum.Skipped)
	if sum.Skipped > 0 {
		row(w)
		row(w, "NOT IMPORTED", "WHY")
		for _, skip := range sum.Skips {
			row(w, skip.Path, skip.Why)
		}
		if more := sum.Skipped - len(sum.Skips); more > 0 {
			row(w, fmt.Sprintf("and %d more", more), "")
		}
	}
	if sum.Different > 0 {
		row(w)
		row(w, "KEPT DIFFERENTLY", "HERE", "IN THE FILE", "FOR EXAMPLE")
		for _, d := range sum.Differences {
			row(w, fmt.Sprintf("%d series", d.Series), d.Here, d.File, d.Example)
		}
	}
}

// watch tells on a terminal how far something is, until done is called.
func (s *session) watch(text func() string) (done func()) {
	if !terminal(s.Stderr) {
		return func() {}
	}
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		each := time.NewTicker(200 * time.Millisecond)
		defer each.Stop()
		for {
			select {
			case <-stop:
				fmt.Fprint(s.Stderr, "\r\x1b[K")
				return
			case <-each.C:
				fmt.Fprintf(s.Stderr, "\r\x1b[K%s", text())
			}
		}
	}()
	return func() { close(stop); <-over }
}
