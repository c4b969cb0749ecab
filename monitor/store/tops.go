package store

import "strings"

const (
	mostTops   = 100 // names that tops keeps
	longestTop = 128 // bytes of such a name; what is longer is cut

	hourStep  = 300 // seconds
	hourSteps = 12
)

// tops are the names that counted most in the last hour, in bounded memory: the
// Space-Saving algorithm (Metwally, Agrawal, El Abbadi, 2005) over an hour of
// steps. A name that finds no room takes the place of the one that counted least,
// and its count as a debt, so that a name with more than a hundredth of everything
// cannot be pushed out by however many others. What it shows is without the debt:
// never too much, and for the top ones nearly all.
type tops struct {
	at  map[string]int // places in all
	all []tally

	hand  int    // where the one that counted least was found
	floor uint64 // its count then: it can only have grown
}

type tally struct {
	name    string
	created hour
	dropped hour // points of series that may not be created
	debt    hour
	total   uint64 // created since it stands here
	told    int64  // when the log was told of it, seconds

	// below is where most of its series are if one place has most (the majority vote
	// of Boyer and Moore), and it has more than half if votes are of voters. Each step
	// halves both, so that what was long ago doesn't count.
	below         string
	votes, voters uint64
}

func (t *tally) weight() uint64 { return t.created.sum + t.dropped.sum + t.debt.sum }

func (t *tally) create(step int64) {
	t.created.add(step)
	t.total++
}

// get finds the tally of a name or makes one. It keeps nothing of name, and the
// tally is valid until the next call.
func (t *tops) get(name string) *tally {
	name = name[:min(len(name), longestTop)]
	if i, ok := t.at[name]; ok {
		return &t.all[i]
	}
	if t.at == nil {
		t.at = make(map[string]int, mostTops)
	}
	name = strings.Clone(name)
	if i := len(t.all); i < mostTops {
		t.at[name] = i
		t.all = append(t.all, tally{name: name})
		return &t.all[i]
	}
	old := t.least()
	debt := old.debt
	debt.join(&old.created)
	debt.join(&old.dropped)
	delete(t.at, old.name)
	t.at[name] = t.hand
	*old = tally{name: name, debt: debt, told: old.told} // so the log has at most a hundred lines a minute
	return old
}

// least finds the tally that counted least. When all come once, the next one is it.
func (t *tops) least() *tally {
	best := t.hand
	for range t.all {
		if t.hand++; t.hand == len(t.all) {
			t.hand = 0
		}
		if t.all[t.hand].weight() < t.all[best].weight() {
			best = t.hand
		}
		if t.all[best].weight() <= t.floor {
			break
		}
	}
	t.hand, t.floor = best, t.all[best].weight()
	return &t.all[best]
}

// pass forgets what is older than an hour when time moves on from one step to
// another.
func (t *tops) pass(from, to int64) {
	t.floor = 0
	from = max(from, to-hourSteps)
	for i := range t.all {
		c := &t.all[i]
		for step := from + 1; step <= to; step++ {
			c.created.clear(step)
			c.dropped.clear(step)
			c.debt.clear(step)
			c.votes, c.voters = c.votes/2, c.voters/2
		}
	}
}

// vote counts for what a new series is below.
func (t *tally) vote(below string) {
	t.voters++
	switch {
	case t.below == below:
		t.votes++
	case t.votes == 0:
		t.below, t.votes = below, 1
	default:
		t.votes--
	}
}

// hour counts by steps.
type hour struct {
	sum   uint64
	steps [hourSteps]uint32
}

func (h *hour) add(step int64) {
	h.steps[step%hourSteps]++
	h.sum++
}

func (h *hour) clear(step int64) {
	n := &h.steps[step%hourSteps]
	h.sum -= uint64(*n)
	*n = 0
}

func (h *hour) join(o *hour) {
	for i, n := range o.steps {
		h.steps[i] += n
	}
	h.sum += o.sum
}
