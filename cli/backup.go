package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

// backedUp is what the commands say at their end.
type backedUp struct {
	File    string  `json:"file,omitempty"`
	Folder  string  `json:"folder,omitempty"`
	Seconds float64 `json:"seconds"`
	client.BackupSummary
}

func (s *session) backup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE|-", Short: "Take a backup of the running server", Args: exactly("a file to write the backup to, or - for standard output", 1),
		Long: `Take a backup of the running server's data folder, whole and consistent, while it
goes on working: database, metrics, repositories, artifacts, logs of runs, keys
and tokens. It takes an admin. The file is a tar, readable by its owner only, and
is there under its name when it is complete and checked against its manifest.

Whoever has a backup has the secrets and the tokens of the server: encrypt what
leaves the machine. 'steer restore' is the way back.`,
		Example: `  steer backup /srv/backup/steer-$(date +%F).tar
  steer backup - | zstd | age -r age1… | ssh vault 'cat > steer.tar.zst.age'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := s.backupTo(args[0])
			if err != nil {
				return err
			}
			defer to.abandon()
			c, err := s.client()
			if err != nil {
				return err
			}
			m := newMeter()
			done := s.watch(m.text)
			sum, err := c.Backup(cmd.Context(), io.MultiWriter(to, m), m.begin)
			done()
			if err == nil {
				err = to.publish()
			}
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			s.notes(sum)
			made := backedUp{File: to.path, Seconds: m.seconds(), BackupSummary: sum}
			if args[0] == "-" {
				s.progress("Backup: %s", made)
				return nil
			}
			return s.show(made, func(w io.Writer) { fmt.Fprintf(w, "Backup in %s: %s\n", args[0], made) })
		},
	}
}

// String is the line at the end: files, bytes, seconds.
func (b backedUp) String() string {
	return fmt.Sprintf("%d files, %s in %.1f s", b.Files, bytesText(b.Bytes), b.Seconds)
}

// notes tells what people should know about a backup.
func (s *session) notes(sum client.BackupSummary) {
	for _, n := range sum.Notes {
		s.progress("Note: %s", n)
	}
}

// backupFile is where a backup is written.
type backupFile struct {
	io.Writer
	path string // "": standard output
	temp *os.File
}

// backupTo opens a file beside the one to write, so that what has its name is
// complete.
func (s *session) backupTo(name string) (*backupFile, error) {
	if name == "-" {
		if terminal(s.Stdout) {
			return nil, fault.Usage(errors.New("a backup is no text for a terminal (name a file, or pass it on with |)"))
		}
		return &backupFile{Writer: s.Stdout}, nil
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fault.Usage(fmt.Errorf("%s is no file (name a file to write to, or - for standard output)", name))
	}
	if data, err := filepath.Abs(s.data); err == nil && strings.HasPrefix(path, data+string(filepath.Separator)) {
		return nil, fault.Usage(fmt.Errorf("%s lies in the data folder, and would be in the next backup (choose a place outside, best on another disk)", name))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return &backupFile{Writer: f, path: path, temp: f}, nil
}

func (b *backupFile) publish() error {
	if b.temp == nil {
		return nil
	}
	if err := errors.Join(b.temp.Sync(), b.temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(b.temp.Name(), b.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(b.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// abandon removes what was not published.
func (b *backupFile) abandon() {
	if b.temp != nil {
		b.temp.Close()
		os.Remove(b.temp.Name())
	}
}

func (s *session) restore() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE|-", Short: "Make a data folder of a backup, on this machine", Args: exactly("the file of a backup, or - for standard input", 1),
		Long: `Make the data folder that --data names of a backup. The folder must be absent or
empty, and no server is asked. It is complete only when every file was checked
against the manifest; when something is wrong with the backup or the disk is full,
nothing is left. Run it as the user that the server runs as.

The restored server is the same as the one that was backed up: it has the same
tokens, starts the same services and tells the same people. Don't run both.`,
		Example: `  steer restore /srv/backup/steer-2026-11-23.tar --data /var/lib/steer
  zstd -d < steer.tar.zst | steer restore - --data /srv/steer`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, m := s.Stdin, newMeter()
			if args[0] == "-" {
				if f, ok := s.Stdin.(*os.File); ok && terminal(f) {
					return fault.Usage(errors.New("there is no backup on standard input (name its file)"))
				}
			} else {
				f, err := os.Open(args[0])
				if errors.Is(err, fs.ErrNotExist) {
					return fault.New(fault.NotFound, "restore %s: there is no such file", args[0])
				} else if err != nil {
					return fmt.Errorf("restore: %w", err)
				}
				defer f.Close()
				if info, err := f.Stat(); err == nil {
					m.total = info.Size()
				}
				in = f
			}
			done := s.watch(m.text)
			sum, err := s.Restore(cmd.Context(), io.TeeReader(in, m), s.data, m.begin)
			done()
			if err != nil {
				return err
			}
			s.notes(sum)
			made := backedUp{Folder: s.data, Seconds: m.seconds(), BackupSummary: sum}
			return s.show(made, func(w io.Writer) {
				fmt.Fprintf(w, "Restored into %s, as of %s: %s\nNext: steer serve --data %s\n", s.data, sum.Info.Created.Local().Format("2006-01-02 15:04:05"), made, s.data)
			})
		},
	}
}

// meter counts a stream, to show how far it has come.
type meter struct {
	started time.Time
	total   int64 // 0: not known
	bytes   atomic.Int64
	name    atomic.Pointer[string]
}

func newMeter() *meter { return &meter{started: time.Now()} }

func (m *meter) Write(p []byte) (int, error) {
	m.bytes.Add(int64(len(p)))
	return len(p), nil
}

func (m *meter) begin(name string) { m.name.Store(&name) }

func (m *meter) seconds() float64 { return time.Since(m.started).Seconds() }

func (m *meter) text() string {
	name := m.name.Load()
	if name == nil {
		return "waiting for the first file …"
	}
	of, n := "", m.bytes.Load()
	if m.total > 0 {
		of = " of " + bytesText(m.total)
	}
	return fmt.Sprintf("%s%s, %s/s  %s", bytesText(n), of, bytesText(int64(float64(n)/max(m.seconds(), 0.001))), clip(*name, 40))
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; f < 1000 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
