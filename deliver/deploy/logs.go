package deploy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/fault"
)

// MaxTail is how many bytes of the past drivers return or keep.
const MaxTail = 1 << 20

// Past returns the last lines of a node that was stopped, which its driver put into
// DIR/NODE/log and keeps for retain.
func Past(dir, node string, lines int, retain config.Duration) (io.ReadCloser, error) {
	kept, err := os.ReadFile(filepath.Join(dir, node, "log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node, or it stopped more than %s ago", node, retain)
	}
	if err != nil {
		return nil, fmt.Errorf("logs of node %s: %w", node, err)
	}
	return io.NopCloser(bytes.NewReader(Tail(kept, lines))), nil
}

// Follow returns what read copies. A log ends with what writes it, which may be
// started again: so read is called again after gap, while the node lives and unless it
// failed with another error than fault.Unavailable.
func Follow(ctx context.Context, gap time.Duration, lives func() bool, read func(to io.Writer) error) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		for {
			err := read(in)
			if ctx.Err() != nil || !lives() {
				err = nil
			} else if err == nil || fault.Of(err) == fault.Unavailable {
				select {
				case <-ctx.Done():
				case <-time.After(gap):
					continue
				}
				err = nil
			}
			in.CloseWithError(err)
			return
		}
	}()
	return out
}

// Tail returns the last lines.
func Tail(all []byte, lines int) []byte {
	from := len(all)
	for i := 0; i < lines && from > 0; i++ {
		from = bytes.LastIndexByte(all[:from-1], '\n') + 1
	}
	return all[from:]
}

// Ending keeps the end of what is written to it. It is safe for concurrent use.
type Ending struct {
	Max int // bytes; 0: MaxTail

	mu  sync.Mutex
	all []byte
}

func (e *Ending) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, b...)
	if extra := len(e.all) - cmp.Or(e.Max, MaxTail); extra > 0 {
		e.all = append(e.all[:0], e.all[extra:]...)
	}
	return len(b), nil
}

// Bytes are what it kept so far.
func (e *Ending) Bytes() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}
