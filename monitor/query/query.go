package query

import (
	"context"
	"fmt"
	"log/slog"
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
	// seconds. Unknown names are left out. maxPoints 0 asks for no bound.
	Fetch(ctx context.Context, names []string, from, until int64, maxPoints int) ([]metric.Series, error)
}

// Limits bound what one request may cost. Zero values get the defaults.
type Limits struct {
	Series  int             `yaml:"series" default:"10000" doc:"Series that one request may read, and that one target may return."`
	Points  int             `yaml:"points" default:"50000000" doc:"Points that one request may read or make, 8 bytes each."`
	Timeout config.Duration `yaml:"timeout" default:"30s" doc:"Time that one request may take."`
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

// Engine evaluates targets. It keeps nothing between requests and may be used
// concurrently.
type Engine struct {
	source    Source
	events    Events
	limits    Limits
	functions map[string]*Function
}

// New makes an engine.
func New(o Options) (*Engine, error) {
	if o.Source == nil {
		return nil, fault.New(fault.Invalid, "start the query engine: no source of series is given")
	}
	l := o.Limits
	if l.Series < 0 || l.Points < 0 || l.Timeout < 0 {
		return nil, fault.New(fault.Invalid, "start the query engine: limits (series %d, points %d, timeout %s) must not be negative", l.Series, l.Points, l.Timeout)
	}
	if l.Series == 0 {
		l.Series = 10_000
	}
	if l.Points == 0 {
		l.Points = 50_000_000
	}
	if l.Timeout == 0 {
		l.Timeout = config.Duration(30 * time.Second)
	}
	return &Engine{source: o.Source, events: o.Events, limits: l, functions: byName()}, nil
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
	v := &evaluation{ctx: ctx, engine: e, request: r, fetched: map[leaf][]*Result{}, found: map[pattern][]string{}}
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
		reduce(results, r.MaxPoints)
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
