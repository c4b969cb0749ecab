package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// AgentOptions is what the host's side works with.
type AgentOptions struct {
	Dir     string // folder of the host
	Version string
	Program string // file of this program
	// Serve answers the server over a connection with a program; nil starts the program.
	Serve func(ctx context.Context, program string, conn io.ReadWriter) error
	// Watch tells what drifts, until ctx ends, and notes what it cannot see; nil: nobody
	// watches.
	Watch func(ctx context.Context, drift func(infra.Drift), note func(string)) error
	// Measure sends figures of the host, until ctx ends; nil: it is not measured.
	Measure func(ctx context.Context, send func([]Figure) error) error
	// Converge makes the host what it should be by what it knows itself. NotFound: it
	// was never converged.
	Converge func(ctx context.Context) (Run, error)
	// Replace starts a newer program in place of this process; nil: it stays.
	Replace func(program string) error
	Log     *slog.Logger
}

// Agent is the host's side.
type Agent struct {
	o       AgentOptions
	log     *slog.Logger
	program program
	*client
	queue    *queue
	back     chan struct{} // the server is there again
	places   chan struct{} // as many as there may be connections
	fetching sync.Mutex

	mu     sync.Mutex
	status Status
	busy   int // conversations and runs under way
	newer  string
}

// mostLinks bounds the connections at a time, waiting or not.
const mostLinks = mostTalks

// NewAgent reads the identity of this host.
func NewAgent(o AgentOptions) (*Agent, error) {
	i, err := ReadIdentity(o.Dir)
	if err != nil {
		return nil, err
	}
	c, err := newClient(i)
	if err != nil {
		return nil, err
	}
	a := &Agent{o: o, log: cmp.Or(o.Log, slog.Default()), client: c, back: make(chan struct{}, 1), places: make(chan struct{}, mostLinks)}
	a.program.path = o.Program
	if a.o.Serve == nil {
		a.o.Serve = serve
	}
	if a.queue, err = openQueue(filepath.Join(o.Dir, queueFile)); err != nil {
		return nil, err
	}
	old, _ := ReadStatus(o.Dir)
	// Paused survives the end of this process, and that of the server.
	a.status = Status{Host: i.Host, URL: i.URL, Version: o.Version, Paused: old.Paused, Started: time.Now().UTC(), Contact: time.Now().UTC()}
	return a, a.note(func(*Status) {})
}

// Run works until ctx ends. Conversations that are under way then lose the server, and
// finish what they began.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { a.connect(ctx) })
	wg.Go(func() { a.deliver(ctx) })
	if a.o.Measure != nil {
		wg.Go(func() { a.measure(ctx) })
	}
	if a.o.Converge != nil {
		wg.Go(func() { a.alone(ctx) })
	}
	if a.o.Watch != nil {
		wg.Go(func() {
			if err := a.o.Watch(ctx, func(d infra.Drift) { a.report(Report{At: d.At, Drift: &d}) }, func(text string) {
				a.note(func(s *Status) { s.Watch = text }) //nolint:errcheck // the log has it
			}); err != nil && ctx.Err() == nil {
				a.log.Error("drift is not watched", "error", err)
				a.note(func(s *Status) { s.Watch = err.Error() }) //nolint:errcheck // the log has it
			}
		})
	}
	wg.Wait()
	return a.note(func(s *Status) { s.Connected = time.Time{} })
}

func (a *Agent) report(r Report) {
	if err := a.queue.add(r); err != nil {
		a.log.Error("keep a report", "error", err)
	}
}

var errReplaced = errors.New("another agent connected as this host (two machines with one identity? steer host revoke, then invite each)")

// connect keeps one connection waiting.
func (a *Agent) connect(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		select {
		case a.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		err := a.wait(ctx)
		if err == nil {
			failures = 0
			continue // it was taken: its end frees the place
		}
		<-a.places
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > longestPause {
			failures = 0
		}
		pause := backoff(failures)
		failures++
		if errors.Is(err, errReplaced) || fault.Of(err) == fault.Anonymous {
			pause = backoff(10)
		}
		a.log.Warn("connection", "error", err, "again_in", pause.Round(time.Millisecond))
		a.note(func(s *Status) { //nolint:errcheck // the log has it
			if !s.Connected.IsZero() || fault.Of(err) == fault.Anonymous {
				s.Contact = time.Now().UTC()
			}
			s.Connected, s.Error = time.Time{}, err.Error()
		})
		sleep(ctx, pause)
	}
}

// Pauses between attempts.
const (
	shortestPause = time.Second
	longestPause  = time.Minute
)

// backoff is how long to wait after so many failures. Hosts that lost the server at the
// same time shall not come back at the same time.
func backoff(failures int) time.Duration {
	d := min(shortestPause<<min(failures, 10), longestPause)
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// wait keeps a connection waiting until the server takes it.
func (a *Agent) wait(ctx context.Context) error {
	res, err := a.ask(ctx, http.MethodGet, "/api/v1/hosts/agent", nil,
		"Connection", "Upgrade", "Upgrade", Protocol, "Steer-Machine", machineID(), "Steer-Version", a.o.Version)
	if err != nil {
		return err
	}
	conn, ok := res.Body.(io.ReadWriteCloser)
	if res.StatusCode != http.StatusSwitchingProtocols || !ok {
		res.Body.Close()
		return fault.New(fault.Unavailable, "the server at %s answers without an upgrade to %s (does a proxy before it pass upgrades on?)", a.id.URL, Protocol)
	}
	l := newLink(conn, conn)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	taken := false
	defer func() {
		if !taken {
			stop()
			l.Close()
		}
	}()
	go l.pulse(ctx)
	for first := true; ; first = false {
		c, err := l.hear()
		if err != nil {
			return fault.New(fault.Unavailable, "the connection to the server was lost: %w", err)
		}
		switch {
		case c.Replaced:
			return errReplaced
		case c.Take != "":
			taken = true
			if !c.Stay {
				a.begin()
			}
			go func() {
				defer func() {
					stop()
					l.Close()
					<-a.places
					if !c.Stay {
						a.end()
					}
				}()
				a.converse(ctx, l, c.Take)
			}()
			return nil
		default:
			err := a.note(func(s *Status) {
				s.Paused = c.Paused
				if first {
					s.Connected, s.Contact, s.Error = time.Now().UTC(), time.Now().UTC(), ""
				}
			})
			if err != nil {
				return err
			}
			if first {
				select {
				case a.back <- struct{}{}:
				default:
				}
			}
		}
	}
}

// converse answers the server with its own program.
func (a *Agent) converse(ctx context.Context, l *link, digest string) {
	program, err := a.obtain(ctx, digest)
	if err != nil {
		a.log.Error("conversation", "error", err)
		text := err.Error()
		l.say(control{Error: text[:min(len(text), 1000)]}) //nolint:errcheck // it is over either way
		return
	}
	if err := l.say(control{Ready: true}); err != nil {
		return
	}
	if err := a.o.Serve(ctx, program, l); err != nil {
		a.log.Error("conversation", "error", err)
		return
	}
	if program != a.program.path {
		a.mu.Lock()
		a.newer = program
		a.mu.Unlock()
	}
}

func (a *Agent) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy++
}

// end lets a newer program take over once nothing is under way.
func (a *Agent) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy--; a.busy > 0 || a.newer == "" || a.o.Replace == nil {
		return
	}
	err := a.o.Replace(a.newer) // does not return when it works
	a.newer = ""
	if err != nil {
		a.log.Error("start the newer program", "error", err)
	}
}

// serve starts the program, which finishes what it began when this one ends, or the
// server goes.
func serve(_ context.Context, program string, conn io.ReadWriter) error {
	if err := runProgram(program, conn); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}
