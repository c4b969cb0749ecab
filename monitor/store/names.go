package store

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"steer/monitor/store/internal/wal"
)

// names is the file that lists every series for good; the log names those since
// the last flush. Most of it is in the order of the tree of names, what came
// since stands behind that.
type names struct {
	disk    disk
	path    string
	size    int64
	loose   int  // series behind the sorted part
	damaged bool // the next flush writes the sound part anew
	renamed bool // the file has its name, but maybe not on disk
}

func openNames(d disk, path string, log *slog.Logger, r wal.Reader) (*names, error) {
	f, _, err := d.Append(path) // makes it
	if err != nil {
		return nil, fmt.Errorf("open list of series: %w", err)
	}
	f.Close()
	n := &names{disk: d, path: path}
	n.size, n.damaged, err = replay(d, path, log, r)
	return n, err
}

// add appends series and returns when they are on disk.
func (n *names) add(fresh []*series) (err error) {
	if len(fresh) == 0 {
		return nil
	}
	if err := n.settle(); err != nil {
		return err
	}
	f, size, err := n.disk.Append(n.path)
	if err != nil {
		return fmt.Errorf("open list of series: %w", err)
	}
	defer func() {
		f.Close()
		if err != nil {
			n.disk.Truncate(n.path, n.size) //nolint:errcheck // the next add finds out
		}
	}()
	if size != n.size {
		// An earlier add failed half-way and could not be taken back.
		if err := n.disk.Truncate(n.path, n.size); err != nil {
			return fmt.Errorf("repair list of series: %w", err)
		}
	}
	out := appendNames(nil, n.size, fresh)
	if err := writeAll(f, out); err != nil {
		return fmt.Errorf("write list of series: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync list of series: %w", err)
	}
	n.size += int64(len(out))
	n.loose += len(fresh)
	return nil
}

// rewrite makes the file anew from all series, which are in the order of the
// tree. When it fails, the old file stays.
func (n *names) rewrite(all []*series) (err error) {
	tmp := n.path + ".tmp"
	f, err := n.disk.Create(tmp)
	if err != nil {
		return fmt.Errorf("write list of series: %w", err)
	}
	defer func() {
		f.Close()
		if err != nil {
			n.disk.Remove(tmp) //nolint:errcheck // the next one overwrites it
		}
	}()
	size := int64(0)
	var out []byte
	for part := all; len(part) > 0; {
		m := min(len(part), 10_000)
		out = appendNames(out[:0], size, part[:m])
		if err := writeAll(f, out); err != nil {
			return fmt.Errorf("write list of series: %w", err)
		}
		size += int64(len(out))
		part = part[m:]
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync list of series: %w", err)
	}
	if err := n.disk.Rename(tmp, n.path); err != nil {
		return fmt.Errorf("publish list of series: %w", err)
	}
	n.size, n.loose, n.damaged, n.renamed = size, 0, false, true
	return n.settle()
}

// settle returns when the name of a rewritten file is on disk.
func (n *names) settle() error {
	if !n.renamed {
		return nil
	}
	if err := n.disk.SyncDir(filepath.Dir(n.path)); err != nil {
		return fmt.Errorf("sync %s: %w", filepath.Dir(n.path), err)
	}
	n.renamed = false
	return nil
}

// framed is how many bytes of names stand in a frame: what a bit that flips can cost.
const framed = 4 << 10

// appendNames appends frames that will stand at offset.
func appendNames(out []byte, offset int64, all []*series) []byte {
	start := len(out)
	var payload []byte
	before := ""
	for i, s := range all {
		payload = wal.AppendShared(payload, s.id, before, s.name)
		before = s.name
		if len(payload) > framed || i == len(all)-1 {
			out = wal.AppendFrame(out, offset+int64(len(out)-start), payload)
			payload, before = payload[:0], ""
		}
	}
	return out
}
