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

// era is the archives that a series had until a time.
type era struct {
	end      int64 // where an interval of its finest archive ends, seconds since 1970
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
	step := archives[0].Step
	end := -floor(-past.until, step) * step
	if p.mixed = max(p.mixed, end); !past.guessed {
		p.eras = append(p.eras, era{end, archives})
		p.since = p.eras[0].end
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
// time of a point, which lies before p.since.
func (p *plan) placed(t, now int64) int64 {
	i := 0
	for i+1 < len(p.eras) && t < p.eras[i+1].end {
		i++
	}
	archives := p.eras[i].archives
	coarse := archives[len(archives)-1]
	age := now - floor(t, coarse.Step)*coarse.Step
	for _, a := range archives {
		if age < a.Keep+coarse.Step {
			return a.Step
		}
	}
	return coarse.Step
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
