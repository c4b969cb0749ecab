package agent

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"steer/base/fault"
)

// Protocol is what a connection is upgraded to. Both sides send frames: a byte for
// the kind, three for the length (big endian), and so many bytes. A waiting
// connection carries controls, one that was taken carries data, and pulses go at any
// time.
const Protocol = "steer-host/1"

const (
	framePulse   = 'P'
	frameControl = 'C' // JSON, see control
	frameData    = 'D'
)

// Bounds of a connection.
const (
	pulseEvery     = 15 * time.Second
	deadAfter      = 45 * time.Second // without a frame from there, or with one that is not taken
	largestData    = 32 << 10
	largestControl = 4 << 10
)

// control is what both sides say about a connection. The server begins with one that
// may say Paused; Take asks for a conversation with the program of that digest, and
// the agent answers Ready or Error.
type control struct {
	Paused   bool   `json:"paused,omitempty"`   // the host must not converge by itself
	Replaced bool   `json:"replaced,omitempty"` // another connection of this identity came: this one ends
	Take     string `json:"take,omitempty"`
	Stay     bool   `json:"stay,omitempty"` // with Take: it lasts as long as the connection, and a newer program need not wait for its end
	Ready    bool   `json:"ready,omitempty"`
	Error    string `json:"error,omitempty"`
}

// link is a connection. Reads and writes are of data; one goroutine may read, any
// may write.
type link struct {
	conn io.ReadWriteCloser
	r    *bufio.Reader
	left int // bytes of the frame of data that is being read

	mu   sync.Mutex
	once sync.Once
	err  error
	over chan struct{} // closed by Close
}

func newLink(conn io.ReadWriteCloser, r io.Reader) *link {
	return &link{conn: conn, r: bufio.NewReaderSize(r, 4<<10), over: make(chan struct{})}
}

// Close ends the connection.
func (l *link) Close() error {
	l.once.Do(func() {
		l.err = l.conn.Close()
		close(l.over)
	})
	return l.err
}

// pulse sends pulses until the connection ends, or ctx.
func (l *link) pulse(ctx context.Context) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.over:
			return
		case <-tick.C:
			if l.write(framePulse, nil) != nil {
				l.Close()
				return
			}
		}
	}
}

// write sends one frame. A peer that does not take it is dead.
func (l *link) write(kind byte, p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := time.AfterFunc(deadAfter, func() { l.Close() })
	defer late.Stop()
	frame := make([]byte, 4, 4+len(p))
	binary.BigEndian.PutUint32(frame, uint32(len(p)))
	frame[0] = kind
	_, err := l.conn.Write(append(frame, p...))
	return err
}

func (l *link) say(c control) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return l.write(frameControl, b)
}

// frame reads the head of the next frame that is no pulse. It ends the connection
// when nothing comes for too long.
func (l *link) frame() (kind byte, n int, err error) {
	late := time.AfterFunc(deadAfter, func() { l.Close() })
	defer late.Stop()
	for {
		var head [4]byte
		if _, err := io.ReadFull(l.r, head[:]); err != nil {
			return 0, 0, err
		}
		kind, head[0] = head[0], 0
		n = int(binary.BigEndian.Uint32(head[:]))
		switch {
		case kind == framePulse && n == 0:
			late.Reset(deadAfter)
		case kind == frameControl && n <= largestControl, kind == frameData && 0 < n && n <= largestData:
			return kind, n, nil
		default:
			return 0, 0, fault.New(fault.Invalid, "the other side sends what is no frame (%q of %d bytes)", kind, n)
		}
	}
}

// hear reads the next control.
func (l *link) hear() (c control, err error) {
	kind, n, err := l.frame()
	if err != nil {
		return c, err
	}
	if kind != frameControl {
		return c, fault.New(fault.Invalid, "the other side sends data before a conversation has begun")
	}
	b := make([]byte, n)
	late := time.AfterFunc(deadAfter, func() { l.Close() })
	defer late.Stop()
	if _, err := io.ReadFull(l.r, b); err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fault.New(fault.Invalid, "read what the other side says: %w", err)
	}
	return c, nil
}

// Read reads data of the conversation.
func (l *link) Read(p []byte) (int, error) {
	if l.left == 0 {
		kind, n, err := l.frame()
		if err == nil && kind != frameData {
			err = fault.New(fault.Invalid, "the other side sends no data in a conversation")
		}
		if err != nil {
			return 0, err
		}
		l.left = n
	}
	late := time.AfterFunc(deadAfter, func() { l.Close() })
	defer late.Stop()
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// Write writes data of the conversation.
func (l *link) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		piece := p[done:min(len(p), done+largestData)]
		if err := l.write(frameData, piece); err != nil {
			return done, fmt.Errorf("write to the other side: %w", err)
		}
		done += len(piece)
	}
	return done, nil
}
