package hosts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// The driver and the keeper speak HTTP/2 over one stream of bytes, so that a large
// artifact, logs that somebody follows, and looks at the nodes go side by side. An
// error is its status with this:
type problem struct {
	Message string `json:"message"`
	Missing bool   `json:"missing,omitempty"` // the artifact has to be brought first
}

// state is what a keeper answers to GET /nodes.
type state struct {
	Keeper  string            `json:"keeper"`            // changes with each start of the keeper, which then knows no secrets
	Address string            `json:"address,omitempty"` // of the host, as it sees itself
	Hash    string            `json:"hash"`              // of Nodes
	Nodes   []deploy.Instance `json:"nodes"`
	Stats   [][]byte          `json:"stats,omitempty"` // StatsD packets of its nodes
}

// told is a secret as a keeper remembers it, or why there is none.
type told struct {
	Value string     `json:"value,omitempty"`
	Error string     `json:"error,omitempty"`
	Kind  fault.Kind `json:"kind,omitempty"`
}

// Headers and trailers.
const (
	headerSum    = "Steer-Sum"    // trailer: SHA-256 of an archive that was sent
	headerResult = "Steer-Result" // trailer: how a task ended, empty when well
	headerKind   = "Steer-Kind"   // trailer: fault.Kind of that
)

const (
	maxAnswer  = 64 << 20 // bytes of an answer that is read whole
	maxRequest = 4 << 20  // bytes of a request that is read whole
	patience   = 30 * time.Second
	// pulse is how long a connection may be silent before it is asked; when there is
	// no answer either, it is given up.
	pulse      = 5 * time.Second
	pulseWait  = 10 * time.Second
	idleBefore = time.Minute // a connection without requests is closed
)

// client speaks with the keeper of one host.
type client struct {
	host string
	http *http.Client
}

// newClient makes one. dial begins a conversation; it is called again after the last
// one has ended.
func newClient(host string, dial func(ctx context.Context) (io.ReadWriteCloser, error)) *client {
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	t := &http.Transport{Protocols: only, HTTP2: &http.HTTP2Config{SendPingTimeout: pulse, PingTimeout: pulseWait}, DisableCompression: true, IdleConnTimeout: idleBefore,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			s, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return stream{s}, nil
		}}
	return &client{host, &http.Client{Transport: t}}
}

// hangUp ends the conversation.
func (c *client) hangUp() { c.http.CloseIdleConnections() }

// stream makes a connection of a stream of bytes. Its end is noticed by pulses, not
// by deadlines.
type stream struct{ io.ReadWriteCloser }

func (stream) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "steer", Net: "unix"} }
func (stream) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "host", Net: "unix"} }
func (stream) SetDeadline(time.Time) error      { return nil }
func (stream) SetReadDeadline(time.Time) error  { return nil }
func (stream) SetWriteDeadline(time.Time) error { return nil }

var (
	errSlow    = errors.New("too slow")
	errMissing = errors.New("the artifact is not on this host")
)

// open sends a request and returns the answer, whose body the caller closes. The
// error is Unavailable when there was no answer.
func (c *client) open(ctx context.Context, method, path string, query url.Values, body io.Reader, trailer http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://host"+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	r.Trailer = trailer
	answer, err := c.http.Do(r)
	if err != nil {
		if context.Cause(ctx) == errSlow {
			return nil, fault.New(fault.Unavailable, "host %s did not answer in time", c.host)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return nil, fault.New(cmp.Or(fault.Of(err), fault.Unavailable), "host %s: %w", c.host, err)
	}
	if answer.StatusCode < 400 {
		return answer, nil
	}
	defer answer.Body.Close()
	var said problem
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = answer.Status
	}
	if said.Missing {
		return nil, errMissing
	}
	return nil, fault.New(fault.OfStatus(answer.StatusCode), "host %s: %s", c.host, said.Message)
}

// call sends in as JSON, if it is not nil, and reads the answer into out.
func (c *client) call(ctx context.Context, within time.Duration, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, errSlow)
	defer cancel()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	answer, err := c.open(ctx, method, path, query, body, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out); err != nil {
		return fault.New(fault.Unavailable, "read the answer of host %s: %w", c.host, err)
	}
	return nil
}

func node(id string) string { return "/nodes/" + url.PathEscape(id) }

// logs reads a node's log.
func (c *client) logs(ctx context.Context, id string, lines int, follow bool) (io.ReadCloser, error) {
	answer, err := c.open(ctx, "GET", node(id)+"/log", url.Values{"lines": {strconv.Itoa(lines)}, "follow": {strconv.FormatBool(follow)}}, nil, nil)
	if err != nil {
		return nil, err
	}
	return &log{answer.Body, ctx, c.host}, nil
}

// log says what its end means.
type log struct {
	io.ReadCloser
	ctx  context.Context
	host string
}

func (l *log) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	switch {
	case err == nil || errors.Is(err, io.EOF):
	case l.ctx.Err() != nil:
		err = io.EOF
	default:
		err = fault.New(fault.Unavailable, "the connection to host %s ended: %w", l.host, err)
	}
	return n, err
}

// task runs a command there, and copies its output.
func (c *client) task(ctx context.Context, s deploy.Spec, out io.Writer) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	answer, err := c.open(ctx, "POST", "/tasks", nil, bytes.NewReader(data), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(out, answer.Body)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault.New(fault.Unavailable, "run %s: the connection to host %s ended: %w", s.ID, c.host, err)
	}
	result, ok := answer.Trailer[headerResult]
	if !ok {
		return fault.New(fault.Unavailable, "run %s: host %s does not say how it ended", s.ID, c.host)
	}
	if result[0] == "" {
		return nil
	}
	kind, _ := strconv.Atoi(answer.Trailer.Get(headerKind))
	return fault.New(fault.Kind(kind), "%s", result[0])
}

// trailing makes a text fit for a trailer.
func trailing(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
	return s[:min(len(s), 4000)]
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.Of(err).Status())
	json.NewEncoder(w).Encode(problem{err.Error(), errors.Is(err, errMissing)}) //nolint:errcheck // the other side has gone
}

func number(text, name string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.New(fault.Invalid, "%s: %q is no number", name, text)
	}
	return n, nil
}
