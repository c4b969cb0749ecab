package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store/internal/schema"
)

// What a retention is made of.
type (
	Archive = schema.Archive
	Method  = schema.Method
)

// Retention is how a series is kept.
type Retention struct {
	Archives     []Archive // from fine to coarse
	Method       Method    // makes a coarse value of finer ones
	XFilesFactor float64   // share of the finer values that must be known, 0 to 1
}

// String is the retention as schemas write it: "10s:6h,1m:7d average 0.5".
func (r Retention) String() string {
	var parts []string
	for _, a := range r.Archives {
		parts = append(parts, a.String())
	}
	return fmt.Sprintf("%s %s %.3g", strings.Join(parts, ","), r.Method, r.XFilesFactor)
}

// Roll makes the coarse value of all fine slots of one interval, NaN being a
// missing one; false when too few are known.
func (r Retention) Roll(fine []float64) (float64, bool) {
	a := schema.Aggregation{Method: r.Method, XFilesFactor: r.XFilesFactor}
	return a.Roll(fine)
}

// Retention says how the store keeps a series, or would if it came.
func (s *Store) Retention(name string) Retention {
	s.gate.RLock() // plans change while nobody has it
	defer s.gate.RUnlock()
	p := s.planOf(name)
	r := Retention{Method: p.roll.Method, XFilesFactor: p.roll.XFilesFactor}
	for _, a := range p.archives {
		r.Archives = append(r.Archives, Archive{Step: a.step, Keep: a.keep})
	}
	return r
}

func (s *Store) planOf(name string) *plan {
	if ser := s.lookup(name); ser != nil {
		return ser.plan
	}
	return s.plan([]byte(name))
}

// WriteArchive stores points of one series as Write does, but in its archive of
// that step, where they stand instead of what finer values say. It is for who
// brings a history that has both: write the finer ones first, since a rollup of
// what comes later replaces them. Stored is how many were not left out.
//
// fault.Invalid: the series has no such archive, or no proper name;
// fault.TooMuch: there may be no more series.
func (s *Store) WriteArchive(_ context.Context, step int64, points []metric.Point) (stored int, err error) {
	if len(points) == 0 {
		return 0, nil
	}
	if err := s.enterGate(); err != nil {
		return 0, err
	}
	defer s.gate.RUnlock()
	name := string(points[0].Name)
	p := s.planOf(name)
	k := slices.IndexFunc(p.archives, func(a archive) bool { return a.step == step })
	if k < 0 {
		return 0, fault.New(fault.Invalid, "store points of %s: it has no archive with a step of %d s", name, step)
	}
	if err := s.refuse(); err != nil {
		s.counters.refused.Add(uint64(len(points)))
		return 0, err
	}
	b := s.batches.Get().(*batch)
	defer s.batches.Put(b)
	now := s.now().Unix()
	var late []metric.Point
	for len(points) > 0 {
		_, at := p.arrival(k, points[0].Time, now)
		n := 0
		for late = late[:0]; n < len(points); n++ {
			t, arrival := p.arrival(k, points[n].Time, now)
			if arrival != at {
				break
			}
			if at != now {
				late = append(late, metric.Point{Name: points[n].Name, Time: t, Value: points[n].Value})
			}
		}
		if at == now {
			stored += s.store(b, points[:n], now)
		} else {
			stored += s.store(b, late, at)
		}
		points = points[n:]
	}
	if stored == 0 && s.lookup(name) == nil {
		switch {
		case len(name) > longestName || !proper([]byte(name)):
			return 0, fault.New(fault.Invalid, "store points of %.200q: this is no name of a series", name)
		case s.count.Load() >= s.maxSeries:
			return 0, fault.New(fault.TooMuch, "store points of %s: there are %d series, as many as store.max_series allows", name, s.count.Load())
		}
	}
	return stored, s.accept(stored)
}

// arrival is when a point has to come to be placed in archive k, and its time or
// another one of the same slot: now, or else when the archive before k does not
// take it any more. Memory and log know a point's place by its time and arrival.
func (p *plan) arrival(k int, t, now int64) (point, at int64) {
	if got, _, ok := p.place(t, now); !ok || got >= k {
		return t, now
	}
	step, coarse := p.archives[k].step, p.coarsest().step
	t = (floor(t, step)+1)*step - 1
	return t, (floor(t, coarse)+1)*coarse + p.archives[k-1].keep
}
