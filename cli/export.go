package cli

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"

	"github.com/spf13/cobra"

	"steer/base/fault"
)

func (s *session) exports() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Write metrics to files", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var out string
	files := &cobra.Command{
		Use: "whisper GLOB", Short: "Export series as Graphite's Whisper files",
		Long: `Write each series that a Graphite glob matches (* ? [a-z] {a,b} within a part of
the name, ** across parts) as a Whisper file, where Carbon would keep it, with the
archives and the aggregation that the series has here. Files that exist are not
overwritten.`,
		Example: `  steer export whisper 'servers.web1.**' --out whisper
  steer export whisper '**' --out - | gzip >whisper.tar.gz`,
		Args: exactly("a Graphite glob, such as 'servers.**'", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return fault.Usage(errors.New("missing: --out (a folder, or - for a tar stream)"))
			}
			if out == "-" && terminal(s.Stdout) {
				return fault.Usage(errors.New("--out - writes a tar stream: send it to a file or a program"))
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			stream, err := c.ExportWhisper(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer stream.Close()
			if out == "-" {
				if _, err := io.Copy(s.Stdout, stream); err != nil {
					return fmt.Errorf("export: the stream breaks off: %w", err)
				}
				return nil
			}
			return s.writeTree(stream, out)
		},
	}
	files.Flags().StringVar(&out, "out", "", "folder to write to, or - for a tar stream")
	cmd.AddCommand(files)
	return cmd
}

// exported is what an export wrote.
type exported struct {
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
	Dir   string `json:"dir"`
}

// writeTree writes the files of a tar stream below dir; os.Root keeps them there.
func (s *session) writeTree(stream io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer root.Close()
	var files atomic.Int64
	sum := exported{Dir: dir}
	done := s.watch(func() string { return fmt.Sprintf("%d files", files.Load()) })
	err = unpack(root, tar.NewReader(stream), func(size int64) {
		files.Add(1)
		sum.Bytes += size
	})
	done()
	if sum.Files = files.Load(); err != nil {
		return fmt.Errorf("export: after %d files: %w", sum.Files, err)
	}
	return s.show(sum, func(w io.Writer) {
		row(w, "FILES", "MIB", "WRITTEN TO")
		row(w, sum.Files, fmt.Sprintf("%.1f", float64(sum.Bytes)/(1<<20)), sum.Dir)
	})
}

// unpack writes all files of a tar stream below root, and tells of each.
func unpack(root *os.Root, in *tar.Reader, wrote func(size int64)) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = writeFile(root, h.Name, in)
		}
		if err != nil {
			return err
		}
		wrote(h.Size)
	}
}

func writeFile(root *os.Root, name string, in io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already (choose another folder)", name)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if err = errors.Join(err, f.Close()); err != nil {
		root.Remove(name) //nolint:errcheck // half a file
	}
	return err
}
