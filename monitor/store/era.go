package store

import (
	"cmp"
	"math"
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

// other is an archive in which missing values of another one may be found.
type other struct {
	schema.Archive
	now bool // the series still has it
}

// succeed notes that archives were there before those that a plan has now.
func (p *plan) succeed(past past, archives, now []schema.Archive) {
	for _, a := range archives {
		if o := (other{a, false}); !slices.Contains(now, a) && !slices.Contains(p.others, o) {
			p.others = append(p.others, o)
		}
	}
	step := archives[0].Step
	end := -floor(-past.until, step) * step
	if slices.Equal(archives, now) && len(p.eras) == 0 {
		return
	}
	p.mixed = max(p.mixed, end)
	if !past.guessed {
		p.eras = append(p.eras, era{end, archives})
		p.since = p.eras[0].end
	}
}

// finish is called after the last past.
func (p *plan) finish() {
	if p.mixed > math.MinInt64 {
		for _, a := range p.archives {
			p.others = append(p.others, other{schema.Archive{Step: a.step, Keep: a.keep}, true})
		}
	}
	slices.SortFunc(p.others, func(a, b other) int { return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Keep, b.Keep)) })
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
