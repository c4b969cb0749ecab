package store

import (
	"cmp"
	"slices"

	"steer/monitor/store/internal/schema"
)

// past is what stood in the place of a planner's schemas once.
type past struct {
	until   int64  // seconds since 1970
	flush   uint64 // the last one until then
	guessed bool   // made up from what has blocks: which series had it is not known
	schemas []schema.Schema
}

// era is the archives that a series had until a time, seconds since 1970.
type era struct {
	until    int64
	archives []schema.Archive
}

// other is archives of one step in which missing values of another one may be found.
type other struct {
	step  int64
	keeps []int64
	now   bool // the series still has one
}

// succeed notes that archives were there before those that a plan has now.
func (p *plan) succeed(past past, archives, now []schema.Archive) {
	if slices.Equal(archives, now) && len(p.eras) == 0 {
		return
	}
	for _, coarse := range []int64{archives[len(archives)-1].Step, p.coarsest().step} {
		p.mixed = max(p.mixed, -floor(-past.until, coarse)*coarse)
	}
	if !past.guessed {
		p.eras = append(p.eras, era{past.until, archives})
	}
	for _, a := range archives {
		p.found(a, false)
	}
	for _, a := range now {
		p.found(a, true)
	}
}

// found notes that values may be found in an archive.
func (p *plan) found(a schema.Archive, now bool) {
	i, ok := slices.BinarySearchFunc(p.others, a.Step, func(o other, step int64) int { return cmp.Compare(o.step, step) })
	if !ok {
		p.others = slices.Insert(p.others, i, other{step: a.Step})
	}
	o := &p.others[i]
	if o.now = o.now || now; !slices.Contains(o.keeps, a.Keep) {
		o.keeps = append(o.keeps, a.Keep)
	}
}

// placed is the step of the archive that place would have chosen by the rules of the
// time of a point, 0 when those are the rules of now. An interval that was not over
// when they ended is of their time.
func (p *plan) placed(t, now int64) int64 {
	for _, e := range slices.Backward(p.eras) {
		if step := e.place(t, now); floor(t, step)*step < e.until {
			return step
		}
	}
	return 0
}

// place is the step of the archive that plan.place would choose.
func (e era) place(t, now int64) int64 {
	coarse := e.archives[len(e.archives)-1].Step
	age := now - floor(t, coarse)*coarse
	for _, a := range e.archives {
		if age < a.Keep+coarse {
			return a.Step
		}
	}
	return coarse
}

// keeps says for how long blocks of an archive may be needed, rollups of late
// points included. An archive that no schema has any more lives as long as the
// longest with its step, or the longest of all. One that was the coarsest of a schema
// until that got a longer one lives as long: what was in it then is nowhere else.
func (p *planner) keeps(step, keep int64, flush uint64) int64 {
	var same, all, coarsest int64
	for _, s := range p.schemas {
		for _, a := range s.Archives {
			coarsest = max(coarsest, a.Step)
			all = max(all, a.Keep)
			if a.Step == step {
				same = max(same, a.Keep)
			}
		}
	}
	longer := int64(0)
	for _, past := range p.past {
		if past.guessed || flush > past.flush {
			continue
		}
		for _, was := range past.schemas {
			now := slices.IndexFunc(p.schemas, func(s schema.Schema) bool { return s.Pattern.String() == was.Pattern.String() })
			if now >= 0 && last(was) == (schema.Archive{Step: step, Keep: keep}) {
				longer = max(longer, last(p.schemas[now]).Keep)
			}
		}
	}
	for _, s := range p.schemas {
		if slices.Contains(s.Archives, schema.Archive{Step: step, Keep: keep}) {
			same = keep
		}
	}
	if same == 0 {
		same = all
	}
	return max(same, keep, longer) + coarsest
}

func last(s schema.Schema) schema.Archive { return s.Archives[len(s.Archives)-1] }
