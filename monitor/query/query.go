package query

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
)

// Source is where series come from.
type Source interface {
	// Find returns the nodes of the name tree that a glob matches, at most limit
	// of them.
	Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error)
	// Select returns the names of the series whose tags are as all expressions say
	// (host=a, host!=a, host=~a.*, host!=~a.*), sorted, at most limit of them.
	Select(ctx context.Context, expressions []string, limit int) ([]string, error)
	// Fetch returns the columns of the named series over (from, until], in epoch
	// seconds, in the order of the names. Unknown names are left out. More values
	// than most are fault.TooMuch, best before any of them is read. room gives
	// memory for n values, whatever stands in it, from several goroutines; a source
	// may make its own.
	Fetch(ctx context.Context, names []string, from, until int64, most int, room func(n int) []float64) ([]metric.Series, error)
}

// Limits bound what requests may cost. Zero values get the defaults.
type Limits struct {
	Series   int             `yaml:"series" default:"10000" doc:"Series that one request may read, and that one target may return."`
	Points   int             `yaml:"points" default:"50000000" doc:"Points that one request may read or make, 8 bytes each."`
	Together int             `yaml:"together" default:"100000000" doc:"Points that all requests under way may hold together. A request with more than a million of its own is refused when there is no room."`
	Timeout  config.Duration `yaml:"timeout" default:"30s" doc:"Time that one request may take."`
}

// Events tells when the events happened that have all of the tags; without tags,
// all events. Times are epoch seconds from from until before until, one for each
// event, in any order.
type Events func(ctx context.Context, tags []string, from, until int64) ([]int64, error)

// Options is what the application hands to New.
type Options struct {
	Source Source
	Events Events // nil: there are none, and events() is refused
	Limits Limits
	Log    *slog.Logger
}

// Engine evaluates targets. It keeps nothing but spare memory between requests and
// may be used concurrently.
type Engine struct {
	source    Source
	events    Events
	limits    Limits
	functions map[string]*Function
	slabs     sync.Pool // of *slab
	lane      *lane
	held      atomic.Int64 // points in memory, without those that each request has for nothing
}

// New makes an engine.
func New(o Options) (*Engine, error) {
	if o.Source == nil {
		return nil, fault.New(fault.Invalid, "start the query engine: no source of series is given")
	}
	l := o.Limits
	if l.Series < 0 || l.Points < 0 || l.Together < 0 || l.Timeout < 0 {
		return nil, fault.New(fault.Invalid, "start the query engine: limits (series %d, points %d, together %d, timeout %s) must not be negative", l.Series, l.Points, l.Together, l.Timeout)
	}
	l.Series = cmp.Or(l.Series, 10_000)
	l.Points = cmp.Or(l.Points, 50_000_000)
	l.Together = cmp.Or(l.Together, 100_000_000)
	l.Timeout = cmp.Or(l.Timeout, config.Duration(30*time.Second))
	return &Engine{source: o.Source, events: o.Events, limits: l, functions: byName(), lane: newLane()}, nil
}

// Request is a set of targets over one range of time.
type Request struct {
	Targets   []string
	From      int64             // epoch seconds; the point at From is left out
	Until     int64             // epoch seconds; the last point is at or before it
	Now       int64             // what relative times refer to; 0 is Until
	MaxPoints int               // merge points until each series has at most so many; 0 merges nothing
	TZ        *time.Location    // nil is UTC
	XFiles    float64           // share of known values that merging asks for, 0 to 1
	Template  map[string]string // values for template(), stronger than those in the target
}

// Eval returns the series of all targets, in the order of the targets. An error
// in a target is of kind Invalid and wraps a *TargetError; a limit that is
// reached is TooMuch.
func (e *Engine) Eval(ctx context.Context, r Request) ([]Result, error) {
	v := &evaluation{engine: e, began: time.Now()}
	defer v.let()
	return v.eval(ctx, r)
}

// Serve is Eval for results that are done with when use returns: their values are
// then overwritten by those of other requests. An error of use comes back as it is.
func (e *Engine) Serve(ctx context.Context, r Request, use func(results []Result) error) error {
	v := &evaluation{engine: e, began: time.Now(), arena: &arena{pool: &e.slabs}}
	defer v.let()
	results, err := v.eval(ctx, r)
	if err != nil {
		return err
	}
	v.part(results)
	return use(results)
}

// let lets go of the memory of a request.
func (v *evaluation) let() {
	v.arena.release()
	v.hold(-v.held)
}

// part lets go of it early where results are little of it, so that a client who
// reads slowly holds no more than the answer.
func (v *evaluation) part(results []Result) {
	points := 0
	for _, r := range results {
		points += len(r.Values)
	}
	if size := v.arena.size(); size <= 2*slabSize || points > size/4 {
		return
	}
	for i := range results {
		results[i].Values = slices.Clone(results[i].Values)
	}
	v.let()
	v.hold(points)
}

func (v *evaluation) eval(ctx context.Context, r Request) ([]Result, error) {
	e := v.engine
	if r.From > r.Until {
		r.From, r.Until = r.Until, r.From
	}
	if r.From == r.Until {
		return nil, fault.New(fault.Invalid, "evaluate %d targets: from and until are the same second (%d); give a range", len(r.Targets), r.From)
	}
	if r.From < -maxEpoch || r.Until > maxEpoch {
		return nil, fault.New(fault.Invalid, "evaluate %d targets: the range %d to %d is beyond the year 9999", len(r.Targets), r.From, r.Until)
	}
	if !(r.XFiles >= 0 && r.XFiles <= 1) {
		return nil, fault.New(fault.Invalid, "evaluate %d targets: xFilesFactor is %v; it is a share from 0 to 1", len(r.Targets), r.XFiles)
	}
	if r.Now == 0 {
		r.Now = r.Until
	}
	if r.TZ == nil {
		r.TZ = time.UTC
	}
	tooLate := fault.New(fault.TooMuch, "evaluate %d targets: it took longer than %s; ask for fewer series or a shorter range", len(r.Targets), e.limits.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, e.limits.Timeout.Std(), tooLate)
	defer cancel()

	ops := make([]*op, len(r.Targets))
	for i, target := range r.Targets {
		o, err := e.compile(target, r.Template)
		if err != nil {
			return nil, err
		}
		ops[i] = o
	}
	v.ctx, v.request, v.xFiles = ctx, r, r.XFiles
	v.fetched, v.found = map[leaf][]*Result{}, map[pattern][]string{}
	defer v.finish()
	leaves := map[leaf]bool{}
	for i, o := range ops {
		if err := v.plan(o, span{r.From, r.Until}, leaves); err != nil {
			return nil, within("evaluate", r.Targets[i], err)
		}
	}
	if err := v.prefetch(leaves); err != nil {
		return nil, v.reason(err)
	}
	var results []Result
	for i, o := range ops {
		v.xFiles = r.XFiles
		list, err := v.series(o, span{r.From, r.Until})
		if err != nil {
			return nil, v.reason(within("evaluate", r.Targets[i], err))
		}
		if len(list) > e.limits.Series {
			return nil, fault.New(fault.TooMuch, "evaluate target %q: it gives %d series, the limit is %d; narrow it or use limit()", brief(r.Targets[i]), len(list), e.limits.Series)
		}
		for _, s := range list {
			s.Target = r.Targets[i]
			results = append(results, *s)
		}
	}
	if r.MaxPoints > 0 {
		_ = v.reduce(results, r.MaxPoints) // it fails only when the request has ended
	}
	if err := ctx.Err(); err != nil {
		return nil, v.reason(err)
	}
	return results, nil
}

// brief cuts a text for a message.
func brief(s string) string {
	if r := []rune(s); len(r) > shown {
		return string(r[:shown]) + "…"
	}
	return s
}

// Find returns the nodes that a pattern matches, for the tree of names. More
// than the limit on series is an error of kind TooMuch.
func (e *Engine) Find(ctx context.Context, pattern string) ([]metric.Match, error) {
	matches, err := e.source.Find(ctx, pattern, e.limits.Series+1)
	if err != nil {
		return nil, fmt.Errorf("find %q: %w", brief(pattern), err)
	}
	if len(matches) > e.limits.Series {
		return nil, fault.New(fault.TooMuch, "find %q: it matches more than %d names; narrow it", brief(pattern), e.limits.Series)
	}
	return matches, nil
}
