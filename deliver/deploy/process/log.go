package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

const followGap = 200 * time.Millisecond

// Logs implements deploy.Driver.
func (d *Driver) Logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	if !deploy.Folder(node) || node == "versions" || node == "tasks" {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node", node)
	}
	file := filepath.Join(d.o.Dir, node, "log")
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node, or it stopped more than %s ago", node, d.o.Retain)
	}
	past, at, err := tail(file, lines)
	if err != nil {
		return nil, fmt.Errorf("logs of node %s: %w", node, err)
	}
	if !follow {
		return io.NopCloser(bytes.NewReader(past)), nil
	}
	out, in := io.Pipe()
	go func() {
		if _, err := in.Write(past); err != nil {
			return
		}
		in.CloseWithError(copyOn(ctx, file, at, in))
	}()
	return out, nil
}

// tail returns the last lines of a log, and the position after them. What came
// before the log was moved aside counts too.
func tail(file string, lines int) ([]byte, int64, error) {
	now, at, err := end(file)
	if err != nil {
		return nil, 0, err
	}
	all := now
	if bytes.Count(now, []byte("\n")) < lines && int64(len(now)) == at {
		before, _, err := end(file + ".1")
		if err != nil {
			return nil, 0, err
		}
		all = slices.Concat(before, now)
	}
	return deploy.Tail(all, lines), at, nil
}

// end returns the last part of a file and the file's size; nothing if it is absent.
func end(file string) ([]byte, int64, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	from := max(0, i.Size()-deploy.MaxTail)
	data, err := io.ReadAll(io.NewSectionReader(f, from, i.Size()-from))
	return data, from + int64(len(data)), err
}

// copyOn passes on what is written to file after position at, until ctx ends or
// to fails. When the log was moved aside it reads on there, and then begins again
// at the start.
func copyOn(ctx context.Context, file string, at int64, to io.Writer) error {
	tick := time.NewTicker(followGap)
	defer tick.Stop()
	moved := modified(file + ".1")
	for {
		if now := modified(file + ".1"); now != moved {
			if _, err := copyFrom(file+".1", at, to); err != nil {
				return err
			}
			moved, at = now, 0
		}
		n, err := copyFrom(file, at, to)
		if err != nil {
			return err
		}
		at += n
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func copyFrom(file string, at int64, to io.Writer) (int64, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(to, io.NewSectionReader(f, at, 1<<62))
}

func modified(file string) int64 {
	i, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return i.ModTime().UnixNano()
}

// rotate moves a log that is longer than limit to log.1, and so on up to keep
// files. The file itself stays, emptied, since the node has it open; lines written
// between the copy and the emptying are lost.
func rotate(file string, limit int64, keep int) error {
	i, err := os.Stat(file)
	if err != nil || i.Size() <= limit {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for n := keep; n > 1; n-- {
		if err := os.Rename(fmt.Sprintf("%s.%d", file, n-1), fmt.Sprintf("%s.%d", file, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(file+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if e := to.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Truncate(file, 0)
}
