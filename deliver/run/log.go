package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// limited is a log file that stops growing at a limit and says so.
type limited struct {
	mu   sync.Mutex
	file *os.File
	left int64
	max  int64
	full bool
}

func openLog(name string, limit int64) (*limited, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &limited{file: f, left: limit - info.Size(), max: limit, full: info.Size() > limit}, nil
}

// Write takes everything, so that the command goes on, and keeps what fits.
func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return len(p), nil
	}
	keep := p[:min(int64(len(p)), max(l.left, 0))]
	n, err := l.file.Write(keep)
	l.left -= int64(n)
	if err != nil {
		return n, err
	}
	if len(keep) < len(p) {
		l.full = true
		if _, err := fmt.Fprintf(l.file, "\n[truncated: the log is longer than %d MiB, the rest was left out]\n", l.max>>20); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

func (l *limited) Close() error { return l.file.Close() }

// look is how often a follower looks for new bytes.
const look = 100 * time.Millisecond

// Follow reads a log from its beginning and goes on while it grows, until over
// returns true, ctx ends, or the reader is closed. The log need not exist yet.
func Follow(ctx context.Context, log string, over func(context.Context) bool) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	return &follower{ctx: ctx, cancel: cancel, name: log, over: over}
}

type follower struct {
	ctx    context.Context
	cancel context.CancelFunc
	name   string
	over   func(context.Context) bool

	mu   sync.Mutex
	file *os.File
	last bool // the job is over: what there is now is all
}

func (f *follower) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if f.ctx.Err() != nil {
			return 0, io.EOF
		}
		n, err := f.read(p)
		if n > 0 || len(p) == 0 || err != nil {
			return n, err
		}
		if f.last {
			return 0, io.EOF
		}
		if f.over(f.ctx) {
			f.last = true
			continue
		}
		select {
		case <-f.ctx.Done():
		case <-time.After(look):
		}
	}
}

// read returns 0 and no error where there is nothing yet.
func (f *follower) read(p []byte) (int, error) {
	if f.file == nil {
		file, err := os.Open(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	n, err := f.file.Read(p)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Close ends a Read that waits.
func (f *follower) Close() error {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		return f.file.Close()
	}
	return nil
}
