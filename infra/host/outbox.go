package host

import (
	"encoding/json"
	"io"
	"sync"
)

// outbox writes messages in the background: work on a host must not stop because
// somebody far away reads slowly, or not at all.
type outbox struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []byte
	closed  bool
	err     error
	done    chan struct{}
}

// mostWaiting bounds what waits for the reader. What comes when it is full is left
// out: events of a run that nobody follows; its answer is small and comes last.
const mostWaiting = 64 << 20

func newOutbox(out io.Writer) *outbox {
	o := &outbox{done: make(chan struct{})}
	o.changed.L = &o.mu
	go o.write(out)
	return o
}

func (o *outbox) write(out io.Writer) {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.waiting) == 0 && !o.closed {
			o.changed.Wait()
		}
		b := o.waiting
		o.waiting = nil
		o.mu.Unlock()
		if len(b) == 0 {
			return
		}
		if _, err := out.Write(b); err != nil {
			o.mu.Lock()
			o.err, o.closed, o.waiting = err, true, nil
			o.mu.Unlock()
			return
		}
	}
}

// put takes a message. An answer is always taken.
func (o *outbox) put(m message) {
	b, err := json.Marshal(m)
	if err != nil {
		b, _ = json.Marshal(message{Error: "write the answer: " + err.Error()})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || m.Event != nil && len(o.waiting)+len(b) > mostWaiting {
		return
	}
	o.waiting = append(append(o.waiting, b...), '\n')
	o.changed.Signal()
}

// failure is why nothing can be written any more.
func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// close returns when everything is written.
func (o *outbox) close() error {
	o.mu.Lock()
	o.closed = true
	o.changed.Signal()
	o.mu.Unlock()
	<-o.done
	return o.err
}
