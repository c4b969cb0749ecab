package host

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"steer/base/fault"
)

// Folder is where hosts keep this program, and what it remembers.
const Folder = "/var/lib/steer-host"

// Command is the hidden command of this program that calls Serve.
const Command = "host-run"

// message is a line of the conversation: a request from here, then from there any
// number of events and one answer or error. Both sides write JSON, a line each.
type message struct {
	Op     string          `json:"op,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Event  json.RawMessage `json:"event,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  string          `json:"error,omitempty"`
	Kind   fault.Kind      `json:"kind,omitempty"`
}

// Session is a conversation with this program on a host.
type Session struct {
	in     io.WriteCloser
	out    *bufio.Reader
	pipe   io.Closer
	cancel context.CancelFunc
	done   chan struct{}
	err    error // why the program ended; after done
	mu     sync.Mutex
}

// Open starts this program, the file self, on a host that conn reaches; it is put
// there first if it is not there yet. args are for its Command.
func Open(ctx context.Context, conn Conn, self string, args ...string) (*Session, error) {
	path, err := place(ctx, conn, self)
	if err != nil {
		return nil, err
	}
	return Start(ctx, conn, append([]string{path, Command}, args...)...), nil
}

// Start begins a conversation with a program that calls Serve.
func Start(ctx context.Context, conn Conn, words ...string) *Session {
	stdinR, stdinW := io.Pipe()
	stdoutR, stdoutW := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	s := &Session{in: stdinW, out: bufio.NewReaderSize(stdoutR, 64<<10), pipe: stdoutR, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = conn.Run(ctx, Call{Args: words, Stdin: stdinR, Stdout: stdoutW})
		stdoutW.CloseWithError(io.EOF)
		stdinR.CloseWithError(io.ErrClosedPipe)
	}()
	return s
}

// Over speaks over a connection at whose other end Serve answers already.
func Over(conn io.ReadWriteCloser) *Session {
	done := make(chan struct{})
	close(done)
	return &Session{in: conn, out: bufio.NewReaderSize(conn, 64<<10), pipe: conn, cancel: func() {}, done: done}
}

// place makes sure that the program is on the host, and returns its path there.
func place(ctx context.Context, conn Conn, self string) (string, error) {
	if p, ok := conn.(*Program); ok && len(p.Before) == 0 {
		return self, nil
	}
	f, err := os.Open(self)
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	path := Folder + "/bin/steer-" + hex.EncodeToString(h.Sum(nil))[:16]
	err = conn.Run(ctx, Call{Args: []string{"test", "-x", path}})
	var exit *Exit
	if err == nil || !errors.As(err, &exit) {
		return path, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	pr, pw := io.Pipe()
	go func() {
		z, _ := gzip.NewWriterLevel(pw, gzip.BestSpeed)
		_, err := io.Copy(z, f)
		pw.CloseWithError(errors.Join(err, z.Close()))
	}()
	defer pr.Close()
	// Under its name it appears whole. Others that are older are removed.
	script := `set -e; mkdir -p "$1"; chmod 700 "$2"; n="$3.$$"; trap 'rm -f "$n"' EXIT; gzip -dc >"$n"; chmod 700 "$n"; mv "$n" "$3"; find "$1" -name 'steer-*' -mtime +30 ! -path "$3" -exec rm -f {} + || true`
	if err := conn.Run(ctx, Call{Args: []string{"sh", "-c", script, "sh", Folder + "/bin", Folder, path}, Stdin: pr}); err != nil {
		return "", fmt.Errorf("put this program on the host: %w", err)
	}
	return path, nil
}

// Stream is the conversation as a stream of bytes, after an answer that was a Stream.
// Its end closes the session.
func (s *Session) Stream() io.ReadWriteCloser { return &stream{s} }

type stream struct{ s *Session }

func (s *stream) Read(b []byte) (int, error)  { return s.s.out.Read(b) }
func (s *stream) Write(b []byte) (int, error) { return s.s.in.Write(b) }
func (s *stream) Close() error                { return s.s.Close() }

// Call asks the program for something; event gets what it tells on the way. The
// answer is decoded into answer unless that is nil.
func (s *Session) Call(op string, body any, event func(json.RawMessage), answer any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("ask the host: %w", err)
	}
	line, err := json.Marshal(message{Op: op, Body: b})
	if err != nil {
		return fmt.Errorf("ask the host: %w", err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return s.ended()
	}
	for {
		line, err := readLine(s.out, largestMessage)
		if err != nil {
			return s.ended()
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("the host answers %.100q, which is no message", line)
		}
		switch {
		case m.Event != nil:
			if event != nil {
				event(m.Event)
			}
		case m.Error != "":
			if answer != nil && len(m.Answer) > 0 {
				json.Unmarshal(m.Answer, answer) //nolint:errcheck // the error counts
			}
			return fault.New(m.Kind, "%s", m.Error)
		default:
			if answer == nil {
				return nil
			}
			return json.Unmarshal(m.Answer, answer)
		}
	}
}

// ended says why there is no answer.
func (s *Session) ended() error {
	s.in.Close()
	<-s.done
	if s.err == nil {
		return fault.New(fault.Unavailable, "the program on the host ended without an answer")
	}
	if exit := (*Exit)(nil); errors.As(s.err, &exit) && exit.Code == 126 {
		return fault.New(fault.Invalid, "this program does not run on the host: %s (is its processor of another kind?)", exit.Stderr)
	}
	return fault.New(fault.Unavailable, "the program on the host: %w", s.err)
}

// Close ends the program there.
func (s *Session) Close() error {
	s.in.Close()
	s.pipe.Close()
	s.cancel()
	<-s.done
	return nil
}

// largestMessage bounds one line of the conversation: a manifest with its files.
const largestMessage = 256 << 20

func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > most:
			return nil, fmt.Errorf("a line of more than %d bytes", most)
		}
	}
}

// Handler does what a request asks. It may tell events on the way.
type Handler func(ctx context.Context, op string, body json.RawMessage, event func(any)) (answer any, err error)

// Stream is an answer that makes the rest of the conversation a stream of bytes, which
// it gets. It returns when that is over.
type Stream func(in io.Reader, out io.Writer) error

// Serve is the side of the host: it answers requests from in until that ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer, handle Handler) error {
	r := bufio.NewReaderSize(in, 64<<10)
	w := newOutbox(out)
	defer w.close() //nolint:errcheck // whoever asked has gone
	for {
		line, err := readLine(r, largestMessage)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return fault.New(fault.Invalid, "this command speaks with another Steer, and is not for people (%.60q is no request)", strings.TrimSpace(string(line)))
		}
		answer, err := handle(ctx, m.Op, m.Body, func(e any) {
			if b, err := json.Marshal(e); err == nil {
				w.put(message{Event: b})
			}
		})
		// With an error comes what there is of an answer: what a run did counts also when
		// the host could not write it down.
		reply := message{}
		if rest, ok := answer.(Stream); ok && err == nil {
			w.put(message{Answer: json.RawMessage("null")})
			if err := w.close(); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
			return rest(r, out)
		}
		var wrong error
		if reply.Answer, wrong = json.Marshal(answer); err == nil {
			err = wrong
		}
		if err != nil {
			reply = message{Answer: reply.Answer, Error: err.Error(), Kind: fault.Of(err)}
		}
		w.put(reply)
		if err := w.failure(); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}
