package store

import (
	"fmt"
	"log/slog"

	"steer/monitor/store/internal/wal"
)

// names is the file that lists every series for good; the log names those since
// the last flush.
type names struct {
	disk disk
	path string
	size int64
}

func openNames(d disk, path string, log *slog.Logger, r wal.Reader) (*names, error) {
	f, _, err := d.Append(path) // makes it
	if err != nil {
		return nil, fmt.Errorf("open list of series: %w", err)
	}
	f.Close()
	size, err := replay(d, path, log, r)
	return &names{d, path, size}, err
}

// add appends series and returns when they are on disk.
func (n *names) add(fresh []*series) (err error) {
	if len(fresh) == 0 {
		return nil
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
	var out, payload []byte
	for i, s := range fresh {
		payload = wal.AppendSeries(payload, s.id, s.name)
		if len(payload) > 64<<10 || i == len(fresh)-1 {
			out = wal.AppendFrame(out, n.size+int64(len(out)), payload)
			payload = payload[:0]
		}
	}
	if _, err := f.Write(out); err != nil {
		return fmt.Errorf("write list of series: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync list of series: %w", err)
	}
	n.size += int64(len(out))
	return nil
}
