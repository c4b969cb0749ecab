// Package agent lets hosts come to the server by themselves. A host joins with a
// token that is good once, and gets an identity of its own. From then on its agent
// keeps one connection waiting at the server's HTTP port, which the server takes when
// it wants to visit the host; it says what drifts, as package watch sees it, and what
// it measures; and it converges by itself when the server is gone for long.
//
// Registry is the server's side, Agent the host's.
package agent

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/metric"
)

// Options is what the server hands in.
type Options struct {
	DB      *database.DB
	Journal func(ctx context.Context, tx *sql.Tx, e *event.Event) error
	// Program is the file of the program that hosts shall run.
	Program string
	// Paused tells whether a host must not converge by itself; nil: none is paused.
	Paused func(host id.Host) bool
	// Reports gets what a host reports, in order; an error makes the host send it again.
	Reports func(ctx context.Context, host id.Host, all []Report) error
	// Measured gets what hosts measure.
	Measured func(points []metric.Point) error
	Now      func() time.Time // nil: the system's clock
	Log      *slog.Logger
}

// Registry knows the hosts that joined, and their connections. It is safe for
// concurrent use.
type Registry struct {
	db      *database.DB
	journal func(ctx context.Context, tx *sql.Tx, e *event.Event) error
	reports func(ctx context.Context, host id.Host, all []Report) error
	figures func(points []metric.Point) error
	isPause func(id.Host) bool
	now     func() time.Time
	log     *slog.Logger
	program program

	mu     sync.Mutex
	hosts  map[id.Host]*presence
	closed bool
}

// presence is a host that is or was connected.
type presence struct {
	waiting *waiting
	version string
	changed chan struct{} // closed and replaced when waiting or talking change
	talking map[*link]bool
	left    time.Time // when the last waiting connection was lost
	alarmed time.Time
	allowed allowance
}

// waiting is an idle connection.
type waiting struct {
	*link
	answer chan control // of the agent, to being taken
	paused atomic.Bool  // it knows
}

// Bounds of the server's side.
const (
	mostTalks  = 4                // conversations of a host at a time
	returning  = 10 * time.Second // how long Take waits for a host that is about to come
	preparing  = 3 * time.Minute  // how long a host may take to get the server's program
	alarmEvery = time.Hour
)

// New makes the tables where they are missing.
func New(ctx context.Context, o Options) (*Registry, error) {
	if err := o.DB.Migrate(ctx, "agent", migrations); err != nil {
		return nil, err
	}
	r := &Registry{db: o.DB, journal: o.Journal, reports: o.Reports, figures: o.Measured, isPause: o.Paused, now: o.Now, log: cmp.Or(o.Log, slog.Default()), hosts: map[id.Host]*presence{}}
	if r.now == nil {
		r.now = time.Now
	}
	r.program.path = o.Program
	return r, nil
}

func (r *Registry) paused(host id.Host) bool { return r.isPause != nil && r.isPause(host) }

// presence must be called with mu held.
func (r *Registry) presence(host id.Host) *presence {
	p := r.hosts[host]
	if p == nil {
		p = &presence{changed: make(chan struct{}), talking: map[*link]bool{}}
		r.hosts[host] = p
	}
	return p
}

func (p *presence) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (r *Registry) connected(host id.Host) (version string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.hosts[host]
	if p == nil {
		return "", false
	}
	return p.version, p.waiting != nil || len(p.talking) > 0
}

// Hello is what an agent tells when it connects.
type Hello struct {
	Machine    string // /etc/machine-id
	Version    string // of its program
	Credential string // that it showed
}

// Attach keeps the connection of a verified host waiting. It returns when that ends or
// was taken; the connection is closed when nobody needs it any more. r reads from conn.
func (r *Registry) Attach(ctx context.Context, host id.Host, hello Hello, conn io.ReadWriteCloser, in io.Reader) {
	w := &waiting{link: newLink(conn, in), answer: make(chan control, 1)}
	if err := r.greet(ctx, host, hello, w); err != nil {
		r.log.Warn("agent", "host", host, "error", err)
		w.Close()
		return
	}
	pulses, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer cancel()
		w.pulse(pulses) // until the connection is closed, also when it was taken
	}()
	c, err := w.hear()
	r.mu.Lock()
	p := r.presence(host)
	taken := p.waiting != w
	if !taken {
		p.waiting, p.left = nil, r.now()
		p.change()
	}
	r.mu.Unlock()
	if err == nil && taken {
		w.answer <- c
		return
	}
	close(w.answer)
	w.Close()
}

// greet makes the connection the host's waiting one, in place of another.
func (r *Registry) greet(ctx context.Context, host id.Host, hello Hello, w *waiting) error {
	doubled, err := r.sawMachine(ctx, host, hello.Machine)
	if err != nil {
		return err
	}
	w.paused.Store(r.paused(host))
	if err := w.say(control{Paused: w.paused.Load()}); err != nil {
		return fmt.Errorf("greet %s: %w", host, err)
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return fault.New(fault.Unavailable, "the server stops")
	}
	p := r.presence(host)
	old := p.waiting
	p.waiting, p.version = w, hello.Version
	alarm := doubled != "" && old != nil && r.now().Sub(p.alarmed) >= alarmEvery
	if alarm {
		p.alarmed = r.now()
	}
	p.change()
	r.mu.Unlock()
	if old != nil {
		old.say(control{Replaced: true}) //nolint:errcheck // it may be dead
		old.Close()
	}
	if alarm {
		if err := r.db.Tx(ctx, func(tx *sql.Tx) error {
			return r.append(ctx, tx, event.HostDoubled, host, event.Steer,
				fmt.Sprintf("two machines are connected as %s: %s, and now %s (revoke it, and invite each under a name of its own)", host, doubled, hello.Machine))
		}); err != nil {
			r.log.Error("two machines with one identity", "host", host, "error", err)
		}
	}
	// What was changed before the connection was known did not reach it.
	if now, err := r.Verify(ctx, hello.Credential); err != nil || now != host {
		w.Close() // its reader sees that
	}
	r.tell(host, w)
	return nil
}

// sawMachine notes which machine shows the identity, and returns the one before when
// that is another.
func (r *Registry) sawMachine(ctx context.Context, host id.Host, machine string) (before string, err error) {
	if machine == "" || !isMachine(machine) {
		return "", nil
	}
	err = r.db.Read().QueryRowContext(ctx, `SELECT machine FROM agent_host WHERE host = $1`, string(host)).Scan(&before)
	if err != nil || before == machine {
		return "", err
	}
	_, err = r.db.Write().ExecContext(ctx, `UPDATE agent_host SET machine = $1 WHERE host = $2`, machine, string(host))
	return before, err
}

// Take begins a conversation with a host: with host.Serve of the server's own program
// there. It waits a little for a host that is about to come back. The error is of kind
// Unavailable when the host is not there, and NotFound when it has not joined.
func (r *Registry) Take(ctx context.Context, host id.Host) (io.ReadWriteCloser, error) {
	return r.take(ctx, host, false)
}

// Stay is Take for a conversation without an end. The agent ends it when a newer
// program takes over.
func (r *Registry) Stay(ctx context.Context, host id.Host) (io.ReadWriteCloser, error) {
	return r.take(ctx, host, true)
}

func (r *Registry) take(ctx context.Context, host id.Host, stay bool) (io.ReadWriteCloser, error) {
	digest, err := r.program.digest()
	if err != nil {
		return nil, err
	}
	var joined int
	if err := r.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM agent_host WHERE host = $1 AND revoked = 0`, string(host)).Scan(&joined); err != nil {
		return nil, fmt.Errorf("visit %s: %w", host, err)
	} else if joined == 0 {
		return nil, fault.New(fault.NotFound, "visit %s: no host of this name has joined (steer host agents lists them, steer host invite %s lets it)", host, host)
	}
	late := time.NewTimer(returning)
	defer late.Stop()
	for {
		r.mu.Lock()
		p := r.presence(host)
		if w := p.waiting; w != nil && len(p.talking) < mostTalks {
			p.waiting = nil
			p.talking[w.link] = true
			p.change()
			r.mu.Unlock()
			if err := r.begin(ctx, host, w, control{Take: digest, Stay: stay}); err != nil {
				r.ended(host, w.link)
				if fault.Of(err) == fault.Unavailable && ctx.Err() == nil {
					continue // it was dead already: another may come
				}
				return nil, err
			}
			return &talk{link: w.link, r: r, host: host}, nil
		}
		changed, busy, left := p.changed, len(p.talking), p.left
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.C:
			switch {
			case busy >= mostTalks:
				return nil, fault.New(fault.TooMuch, "visit %s: there are %d conversations with it already", host, busy)
			case !left.IsZero():
				return nil, fault.New(fault.Unavailable, "visit %s: its agent is not connected since %s (look there: steer agent status)", host, left.UTC().Format(time.RFC3339))
			}
			return nil, fault.New(fault.Unavailable, "visit %s: its agent is not connected (look there: steer agent status)", host)
		}
	}
}

// begin asks a waiting agent for a conversation. Unavailable: the connection is dead.
func (r *Registry) begin(ctx context.Context, host id.Host, w *waiting, ask control) error {
	if err := w.say(ask); err != nil {
		return fault.New(fault.Unavailable, "visit %s: %w", host, err)
	}
	late := time.NewTimer(preparing)
	defer late.Stop()
	select {
	case c, ok := <-w.answer:
		switch {
		case !ok:
			return fault.New(fault.Unavailable, "visit %s: the connection was lost", host)
		case !c.Ready:
			return fault.New(fault.Conflict, "visit %s: its agent cannot begin: %s", host, cmp.Or(c.Error, "it does not say why"))
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fault.New(fault.Conflict, "visit %s: its agent did not get the program of the server within %s", host, preparing)
	}
}

// talk is a conversation; its end frees a place.
type talk struct {
	*link
	r    *Registry
	host id.Host
}

// Close ends the conversation.
func (t *talk) Close() error {
	t.r.ended(t.host, t.link)
	return nil
}

func (r *Registry) ended(host id.Host, l *link) {
	l.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.presence(host)
	delete(p.talking, l)
	p.change()
}

// tellEvery is how long a host may not know that it was paused.
const tellEvery = 15 * time.Second

// Run tells connected hosts when they are paused, or are not any more. Others learn it
// when they come.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r.mu.Lock()
		all := map[id.Host]*waiting{}
		for host, p := range r.hosts {
			if p.waiting != nil {
				all[host] = p.waiting
			}
		}
		r.mu.Unlock()
		for host, w := range all {
			r.tell(host, w)
		}
	}
}

// tell says whether the host is paused, if that is news to it.
func (r *Registry) tell(host id.Host, w *waiting) {
	if paused := r.paused(host); w.paused.Swap(paused) != paused {
		go w.say(control{Paused: paused}) //nolint:errcheck // it learns it when it connects again; one that takes nothing holds up nobody
	}
}

// drop ends all connections of a host.
func (r *Registry) drop(host id.Host) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.hosts[host]; p != nil {
		p.end()
	}
}

func (p *presence) end() {
	if p.waiting != nil {
		p.waiting.Close()
	}
	for l := range p.talking {
		l.Close()
	}
}

// Close ends all connections; no others are taken.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, p := range r.hosts {
		p.end()
	}
	return nil
}
