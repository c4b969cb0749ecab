package docker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

const (
	maxTail   = 1 << 20 // bytes of the past that are returned or kept
	keptLines = 1000    // of a node that was stopped
	followGap = 200 * time.Millisecond
)

// Logs implements deploy.Driver.
func (d *Driver) Logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	if node != filepath.Base(node) || !filepath.IsLocal(node) || node == "." {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node", node)
	}
	if d.get(node) == nil {
		kept, err := os.ReadFile(filepath.Join(d.o.Dir, node, "log"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.NotFound, "logs of node %q: no such node, or it stopped more than %s ago", node, d.o.Retain)
		}
		if err != nil {
			return nil, fmt.Errorf("logs of node %s: %w", node, err)
		}
		return io.NopCloser(bytes.NewReader(tail(kept, lines))), nil
	}
	if !follow {
		var past ending
		if _, err := d.read(ctx, node, &past, "tail", strconv.Itoa(lines)); err != nil {
			return nil, fault.New(fault.Of(err), "logs of node %s: %w", node, err)
		}
		return io.NopCloser(bytes.NewReader(past.all)), nil
	}
	out, in := io.Pipe()
	go func() {
		query := []string{"tail", strconv.Itoa(lines), "follow", "1"}
		for {
			// It ends with the container, which may be started again.
			end, err := d.read(ctx, node, in, query...)
			if ctx.Err() != nil || d.get(node) == nil {
				err = nil
			} else if err == nil || fault.Of(err) == fault.Unavailable {
				select {
				case <-ctx.Done():
				case <-time.After(followGap):
					query = []string{"since", fmt.Sprintf("%d.%09d", end.Unix(), end.Nanosecond()), "follow", "1"}
					continue
				}
				err = nil
			}
			in.CloseWithError(err)
			return
		}
	}()
	return out, nil
}

// read copies what the engine has of a node's output, and returns the time after
// the last of it. Without a container there is none.
func (d *Driver) read(ctx context.Context, node string, to io.Writer, query ...string) (time.Time, error) {
	r, err := d.engine.open(ctx, "GET", "/containers/"+url.PathEscape(d.name(node))+"/logs", values(append(query, "stdout", "1", "stderr", "1")...), nil, "")
	if fault.Of(err) == fault.NotFound {
		return time.Now(), nil
	}
	if err != nil {
		return time.Now(), err
	}
	defer r.Body.Close()
	err = unframe(to, r.Body)
	return time.Now(), err
}

// unframe copies a log as the engine sends it: frames of a byte for the stream,
// three of nothing, four for the length, and the text.
func unframe(to io.Writer, from io.Reader) error {
	var head [8]byte
	for {
		if _, err := io.ReadFull(from, head[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fault.New(fault.Unavailable, "read log: %w", err)
		}
		if _, err := io.CopyN(to, from, int64(binary.BigEndian.Uint32(head[4:]))); err != nil {
			return fault.New(fault.Unavailable, "read log: %w", err)
		}
	}
}

// keepLog keeps the last lines of a node whose container is about to go.
func (d *Driver) keepLog(ctx context.Context, node string) error {
	var past ending
	if _, err := d.read(ctx, node, &past, "tail", strconv.Itoa(keptLines)); err != nil || len(past.all) == 0 {
		return err
	}
	return deploy.Replace(filepath.Join(d.o.Dir, node, "log"), past.all)
}

// ending keeps the end of what is written to it.
type ending struct{ all []byte }

func (e *ending) Write(b []byte) (int, error) {
	e.all = append(e.all, b...)
	if extra := len(e.all) - maxTail; extra > 0 {
		e.all = append(e.all[:0], e.all[extra:]...)
	}
	return len(b), nil
}

// tail returns the last lines.
func tail(all []byte, lines int) []byte {
	from := len(all)
	for i := 0; i < lines && from > 0; i++ {
		from = bytes.LastIndexByte(all[:from-1], '\n') + 1
	}
	return all[from:]
}
