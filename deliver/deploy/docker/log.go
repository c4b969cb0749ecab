package docker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

const (
	keptLines = 1000 // of a node that was stopped
	followGap = 200 * time.Millisecond
)

// Logs implements deploy.Driver.
func (d *Driver) Logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	if !deploy.Folder(node) {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node", node)
	}
	if d.get(node) == nil {
		return deploy.Past(d.o.Dir, node, lines, d.o.Retain)
	}
	if !follow {
		var past deploy.Ending
		if _, err := d.read(ctx, node, &past, "tail", strconv.Itoa(lines)); err != nil {
			return nil, fault.New(fault.Of(err), "logs of node %s: %w", node, err)
		}
		return io.NopCloser(bytes.NewReader(past.Bytes())), nil
	}
	query := []string{"tail", strconv.Itoa(lines), "follow", "1"}
	return deploy.Follow(ctx, followGap, func() bool { return d.get(node) != nil }, func(to io.Writer) error {
		end, err := d.read(ctx, node, to, query...)
		query = since(end)
		return err
	}), nil
}

// since asks for what comes after a time.
func since(end time.Time) []string {
	return []string{"since", fmt.Sprintf("%d.%09d", end.Unix(), end.Nanosecond()), "follow", "1"}
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
	var past deploy.Ending
	if _, err := d.read(ctx, node, &past, "tail", strconv.Itoa(keptLines)); err != nil {
		return err
	}
	kept := past.Bytes()
	if len(kept) == 0 {
		return nil
	}
	return deploy.Replace(filepath.Join(d.o.Dir, node, "log"), kept)
}
