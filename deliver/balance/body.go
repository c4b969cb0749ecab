package balance

import (
	"errors"
	"io"
	"sync"
)

// maxReplay is how much of a request's body is kept for another try, in bytes.
const maxReplay = 64 << 10

var errStale = errors.New("this attempt is over")

// replay lets a request's body be read once more from its start for another
// backend, as long as no more than maxReplay bytes of it were read. Nothing is
// read ahead, so a body that streams keeps streaming.
//
// The transport may still be reading for a failed attempt when the next begins.
// What that late read gets is kept for the next attempt and not lost.
type replay struct {
	mu      sync.Mutex
	from    io.ReadCloser
	kept    []byte
	over    bool // more was read than is kept
	err     error
	attempt int
}

// begin starts an attempt and returns its body; ok is false when the start of the
// body is gone.
func (r *replay) begin() (body io.ReadCloser, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, false
	}
	r.attempt++
	return &attemptBody{r: r, attempt: r.attempt}, true
}

type attemptBody struct {
	r       *replay
	attempt int
	at      int // position in kept
}

func (b *attemptBody) Read(p []byte) (int, error) {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.attempt != r.attempt {
		return 0, errStale
	}
	if b.at < len(r.kept) {
		n := copy(p, r.kept[b.at:])
		b.at += n
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.from.Read(p)
	r.err = err
	if !r.over && len(r.kept)+n <= maxReplay {
		r.kept = append(r.kept, p[:n]...)
		b.at = len(r.kept)
	} else {
		r.over, r.kept, b.at = true, nil, 0
	}
	return n, err
}

// Close ends the attempt only: the client's body belongs to its connection and
// is closed with that.
func (b *attemptBody) Close() error { return nil }
