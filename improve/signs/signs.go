package signs

import (
	"context"
	"sync"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

// Query selects what is measured.
type Query struct {
	Team        id.Team        // empty: all
	Environment id.Environment // empty: all; else commits of the definitions, which are of none, are left out
	Days        int            // length of the period that ends now; default 30, at most 400
}

// Signs are the measurements.
type Signs struct {
	Since       time.Time      `json:"since"`
	Until       time.Time      `json:"until"`
	Before      time.Time      `json:"before"` // since when the period before runs, which ends at since
	First       time.Time      `json:"first"`  // of all that is known: the first event of the journal
	Team        id.Team        `json:"team,omitempty"`
	Environment id.Environment `json:"environment,omitempty"`
	// Teams and Environments are those that can be asked about.
	Teams        []string `json:"teams"`
	Environments []string `json:"environments"`

	Failures Failures `json:"failures"`
	Rebuild  Rebuild  `json:"rebuild"`
	Patches  Patches  `json:"patches"`
	Requests Requests `json:"requests"`
	Changes  Changes  `json:"changes"`
}

// Options are what the measuring needs.
type Options struct {
	Journal *journal.Journal
	Facts   func(context.Context) (Facts, error)
	Now     func() time.Time // default: the clock
}

// Measure measures from a journal. It is safe for concurrent use.
type Measure struct {
	o       Options
	measure func(context.Context, Query, time.Time) (Signs, error)

	mu   sync.Mutex
	kept map[Query]*answer
}

// answer is one that is being made or was.
type answer struct {
	done  chan struct{} // closed when it is there
	until time.Time     // as long as it may be given again; zero: it is being made
	signs Signs
	err   error
}

// New returns a Measure.
func New(o Options) (*Measure, error) {
	if o.Journal == nil || o.Facts == nil {
		return nil, fault.New(fault.Invalid, "make signs: they need a journal and facts")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Measure{o: o, kept: map[Query]*answer{}}
	m.measure = m.work
	return m, nil
}

const (
	usualDays = 30
	mostDays  = 400
	page      = 1000
	most      = 500_000 // events that one answer may be made from
	mostKept  = 50      // answers
	// again is for how many times the time that it took an answer is given again: who
	// looks at a long journal all day costs a tenth of a core at most.
	again = 10
)

// Signs measures. An answer that took long is given again for ten times that time;
// who asks for one that is being made waits for it.
func (m *Measure) Signs(ctx context.Context, q Query) (Signs, error) {
	if q.Days == 0 {
		q.Days = usualDays
	}
	if q.Days < 1 || q.Days > mostDays {
		return Signs{}, fault.New(fault.Invalid, "measure %d days: it takes 1 to %d", q.Days, mostDays)
	}
	m.mu.Lock()
	now := m.o.Now()
	for key, a := range m.kept {
		if !a.until.IsZero() && !now.Before(a.until) {
			delete(m.kept, key)
		}
	}
	a := m.kept[q]
	if a == nil {
		if len(m.kept) >= mostKept {
			m.mu.Unlock()
			return Signs{}, fault.New(fault.TooMuch, "measure %d days: %d other questions were asked just now (try again in a minute)", q.Days, mostKept)
		}
		a = &answer{done: make(chan struct{})}
		m.kept[q] = a
		// Others may wait for it when who asked first has gone.
		go m.make(context.WithoutCancel(ctx), q, now, a)
	}
	m.mu.Unlock()
	select {
	case <-a.done:
		return a.signs, a.err
	case <-ctx.Done():
		return Signs{}, context.Cause(ctx)
	}
}

func (m *Measure) make(ctx context.Context, q Query, now time.Time, a *answer) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	defer close(a.done)
	a.signs, a.err = m.measure(ctx, q, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	end := m.o.Now()
	if a.until = end.Add(again * end.Sub(now)); a.err != nil {
		a.until = end
	}
}

// work reads what happened, and measures it.
func (m *Measure) work(ctx context.Context, q Query, now time.Time) (Signs, error) {
	length := time.Duration(q.Days) * 24 * time.Hour
	sp := span{before: now.Add(-2 * length).UTC(), since: now.Add(-length).UTC(), until: now.UTC()}
	facts, err := m.o.Facts(ctx)
	if err == nil {
		err = facts.check(q)
	}
	if err != nil {
		return Signs{}, err
	}
	s, err := m.read(ctx, sp)
	if err != nil {
		return Signs{}, err
	}
	return s.signs(sp, q, facts), nil
}

// signs is the whole computation.
func (s *story) signs(sp span, q Query, f Facts) Signs {
	k := f.known()
	teams, environments := f.names()
	return Signs{
		Teams: teams, Environments: environments,
		Since: sp.since, Until: sp.until, Before: sp.before, First: s.first, Team: q.Team, Environment: q.Environment,
		Failures: s.failures(sp, q, k), Rebuild: s.rebuild(sp, q, k), Patches: patches(q, f.Hosts),
		Requests: s.requests(sp, q, k), Changes: s.changes(sp, q, k),
	}
}

// read collects the events of both periods, each type by itself: that is how the
// journal finds them fast. First deploys are read from its beginning, since they tell
// when things were first known.
func (m *Measure) read(ctx context.Context, sp span) (*story, error) {
	s := &story{}
	first, err := m.o.Journal.Read(ctx, journal.Query{Limit: 1})
	if err != nil || len(first) == 0 {
		s.first = sp.until
		return s, err
	}
	s.first = first[0].Time
	from, err := m.o.Journal.From(ctx, sp.before)
	if err != nil {
		return nil, err
	}
	opened := map[string]bool{}
	for _, kind := range append([]string{event.Deployed}, types...) {
		part := journal.Query{Types: []string{kind}, After: from, Since: sp.before, Until: sp.until, Limit: page}
		if kind == event.Deployed {
			part.After, part.Since = 0, time.Time{}
		}
		for {
			list, err := m.o.Journal.Read(ctx, part)
			if err != nil {
				return nil, err
			}
			for _, e := range list {
				n := read(e)
				if kind == event.IncidentOpened {
					opened[n.subject] = true
				}
				s.notes = append(s.notes, n)
			}
			if len(s.notes) > most {
				return nil, fault.New(fault.TooMuch, "measure from %s: more than %d events (ask about fewer days)", sp.before.Format(time.DateOnly), most)
			}
			if len(list) < page {
				break
			}
			part.After = list[len(list)-1].Seq
		}
	}
	if err := m.earlier(ctx, s, opened); err != nil {
		return nil, err
	}
	s.sort()
	return s, nil
}

// mostEarlier bounds the incidents of which the opening is looked up.
const mostEarlier = 1000

// earlier adds the openings of incidents that began before the periods and ended in
// them.
func (m *Measure) earlier(ctx context.Context, s *story, opened map[string]bool) error {
	looked := 0
	for _, n := range s.notes {
		if n.kind != event.IncidentClosed || opened[n.subject] || looked == mostEarlier {
			continue
		}
		looked++
		list, err := m.o.Journal.Read(ctx, journal.Query{Types: []string{event.IncidentOpened}, Subject: n.subject, Limit: 1})
		if err != nil {
			return err
		}
		for _, e := range list {
			s.notes = append(s.notes, read(e))
		}
	}
	return nil
}
