// Package route passes points from receivers and aggregators on to the store,
// after an operator's rules have dropped or renamed some, and copies them to
// whoever else wants them.
package route

import (
	"bytes"
	"cmp"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/fault"
	"steer/base/metric"
)

// Config is the router's part of the server's configuration.
type Config struct {
	Rules []Rule `yaml:"rules" doc:"Applied to every point, in order."`
}

// Rule drops or renames points.
type Rule struct {
	Match   string `yaml:"match" doc:"Regular expression (RE2), searched anywhere in the name."`
	Drop    bool   `yaml:"drop" doc:"Drop what matches."`
	Replace string `yaml:"replace" doc:"New text for the match; $1 is the first group."`
}

// Check says what is wrong with the rule.
func (r Rule) Check() error {
	if r.Match == "" {
		return fault.New(fault.Invalid, "match: is missing")
	}
	if _, err := regexp.Compile(r.Match); err != nil {
		return fault.New(fault.Invalid, "match: %w", err)
	}
	if r.Drop && r.Replace != "" {
		return fault.New(fault.Invalid, "drop and replace exclude each other")
	}
	return nil
}

// Sink takes a batch; see receive.Sink.
type Sink func(from string, points []metric.Point) error

// Options is what the server hands in.
type Options struct {
	Config
	Store Sink   // where points go; its error is the sender's error
	Tees  []Sink // get copies of what the store took; an error is counted, not returned
	Log   *slog.Logger
}

// Router is safe for concurrent use.
type Router struct {
	Points    atomic.Int64 // handed to the store
	Dropped   atomic.Int64 // by rules
	Refused   atomic.Int64 // by the store
	TeeErrors atomic.Int64

	rules   []rule
	store   Sink
	tees    []Sink
	log     *slog.Logger
	buffers sync.Pool
	logged  atomic.Int64
}

type rule struct {
	match   *regexp.Regexp
	drop    bool
	replace []byte
}

// New checks the rules.
func New(o Options) (*Router, error) {
	r := &Router{store: o.Store, tees: o.Tees, log: cmp.Or(o.Log, slog.Default())}
	for i, c := range o.Rules {
		if err := c.Check(); err != nil {
			return nil, fault.New(fault.Invalid, "route.rules[%d]: %w", i, err)
		}
		r.rules = append(r.rules, rule{regexp.MustCompile(c.Match), c.Drop, []byte(c.Replace)})
	}
	r.buffers.New = func() any { return new(buffer) }
	return r, nil
}

// buffer holds what rules make of a batch.
type buffer struct {
	points []metric.Point
	names  []byte
}

// Write routes a batch; messages call its sender from. It returns when the store
// has taken it.
func (r *Router) Write(from string, points []metric.Point) error {
	if len(r.rules) > 0 {
		b := r.buffers.Get().(*buffer)
		defer r.buffers.Put(b)
		points = r.apply(b, points)
	}
	if len(points) == 0 {
		return nil
	}
	if err := r.store(from, points); err != nil {
		r.Refused.Add(int64(len(points)))
		// One line per ten seconds: a full disk must not fill the log as well.
		now := time.Now().Unix()
		if last := r.logged.Load(); now-last >= 10 && r.logged.CompareAndSwap(last, now) {
			r.log.Error("points refused by the store", "from", from, "points", len(points), "error", err)
		}
		return err
	}
	r.Points.Add(int64(len(points)))
	for _, tee := range r.tees {
		if tee(from, points) != nil {
			r.TeeErrors.Add(int64(len(points)))
		}
	}
	return nil
}

func (r *Router) apply(b *buffer, points []metric.Point) []metric.Point {
	b.points, b.names = b.points[:0], b.names[:0]
next:
	for _, p := range points {
		for i := range r.rules {
			rule := &r.rules[i]
			if rule.drop {
				if rule.match.Match(p.Name) {
					r.Dropped.Add(1)
					continue next
				}
				continue
			}
			if rule.match.Match(p.Name) {
				p.Name = b.rename(rule, p.Name)
				if len(p.Name) == 0 {
					r.Dropped.Add(1) // a name that a rule emptied cannot be stored
					continue next
				}
			}
		}
		b.points = append(b.points, p)
	}
	return b.points
}

// rename replaces every match in name. The result stays valid while names of
// later points are appended behind it, also if that moves the buffer.
func (b *buffer) rename(r *rule, name []byte) []byte {
	start, from := len(b.names), 0
	for _, m := range r.match.FindAllSubmatchIndex(name, -1) {
		b.names = append(b.names, name[from:m[0]]...)
		b.names = r.match.Expand(b.names, r.replace, name, m)
		from = m[1]
	}
	b.names = append(b.names, name[from:]...)
	return bytes.Trim(b.names[start:len(b.names):len(b.names)], ".")
}
