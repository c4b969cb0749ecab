package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"

	"steer/test/bench/server"
)

// whisper is what Graphite's own servers have in common: a file for each
// series. Reading the files costs the server nothing.
type whisper struct{}

func (whisper) Metrics(dir string) []string { return []string{filepath.Join(dir, "whisper")} }
func (whisper) FetchIsFree() bool           { return true }

// Ready needs a server that takes connections.
func (whisper) Ready(ctx context.Context, a server.Addresses) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", a.Graphite)
	if err != nil {
		return err
	}
	return c.Close()
}

// Fetch reads the files of a host.
func (whisper) Fetch(_ context.Context, dir string, _ server.Addresses, host string, t *table) error {
	root := filepath.Join(dir, "whisper")
	top := filepath.Join(root, filepath.FromSlash(strings.ReplaceAll(host, ".", "/")))
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // not yet
		}
		base, ok := strings.CutSuffix(path, ".wsp")
		if err != nil || d.IsDir() || !ok {
			return err
		}
		name, err := filepath.Rel(root, base)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := readWhisper(b, t, strings.ReplaceAll(filepath.ToSlash(name), "/", ".")); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		return nil
	})
}

// readWhisper takes the finest archive into t. All numbers are big-endian: a
// header of method, longest retention, xFilesFactor and count of archives (4
// bytes each), for each archive its offset, step and number of points (4 bytes
// each), then points of time (4 bytes) and value (8). A point that an older
// round of the ring left behind has a time outside of what is asked for. See
// https://graphite.readthedocs.io/en/latest/whisper.html.
func readWhisper(b []byte, t *table, name string) error {
	const header, archive, point = 16, 12, 12
	if len(b) < header+archive {
		return nil // being made
	}
	u := binary.BigEndian
	offset, count := int(u.Uint32(b[header:])), int(u.Uint32(b[header+8:]))
	if offset < header+archive || offset > len(b) || count > (len(b)-offset)/point {
		return fmt.Errorf("%d bytes don't hold %d points from %d on", len(b), count, offset)
	}
	column := t.column(name)
	for p := b[offset : offset+count*point]; len(p) > 0; p = p[point:] {
		if at := int64(u.Uint32(p)); at >= t.start && at <= t.end() {
			t.put(column, at, math.Float64frombits(u.Uint64(p[4:])))
		}
	}
	return nil
}

// whisperSchemas keeps a day and an hour, so that the first points of a day of
// data are still there when they are compared.
func whisperSchemas(dir string, step int64) (string, error) {
	path := filepath.Join(dir, "storage-schemas.conf")
	text := fmt.Sprintf("[all]\npattern = .*\nretentions = %ds:25h\n", step)
	return path, os.WriteFile(path, []byte(text), 0o644)
}
