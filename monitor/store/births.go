package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"steer/base/metric"
)

// births counts new series, and points of those that may not be created, by sender
// and by where in the tree they are: so a runaway sender is stopped before it
// takes the room of others, and named. Points of known series never come here.
type births struct {
	mu       sync.Mutex
	step     int64 // of hourStep seconds since 1970, that senders and prefixes are at
	senders  tops
	prefixes tops
	told     int64 // when the log was told that there is no room, seconds

	minute struct {
		number    int64 // minutes since 1970
		now, last uint64
	}
}

// unnamed is what writes without a sender are shown as.
const unnamed = "unnamed"

// Top is a sender or a part of the name tree in Stats.
type Top struct {
	Name    string `json:"name"`
	Count   uint64 `json:"count"`   // new series in the last hour
	Dropped uint64 `json:"dropped"` // points of series that were not created, because of a limit, in the last hour
	Total   uint64 `json:"total"`   // new series since Open, or since it is one of the hundred that count most
}

func (t Top) count() uint64   { return t.Count }
func (t Top) dropped() uint64 { return t.Dropped }

// admit returns how a new series is kept, or nil and why it is not created. Say is
// for the log if it isn't empty.
func (s *Store) admit(from string, p *metric.Point, now int64) (_ *plan, reason int, say string) {
	b := &s.births
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	sender := b.senders.get(from)
	prefix := b.prefixes.get(below(unsafe.String(unsafe.SliceData(p.Name), len(p.Name)))) // keeps no reference
	sender.vote(prefix.name)
	if why := s.crowded(sender); why != roomEnough {
		sender.dropped.add(b.step)
		prefix.dropped.add(b.step)
		told := &sender.told
		if why == roomNone {
			told = &b.told
		}
		if now-*told >= 60 || now < *told {
			*told = now
			say = s.complaint(why, sender)
		}
		return nil, dropLimit, say
	}
	plan := s.plan(p.Name)
	if _, _, ok := plan.place(p.Time, now); !ok {
		return nil, dropOld, ""
	}
	sender.create(b.step)
	prefix.create(b.step)
	b.minute.now++
	return plan, 0, ""
}

// room is what there is for a new series.
type room int

const (
	roomEnough room = iota
	roomNone        // max_series exist
	roomSpent       // the sender had its share of an hour
	roomScarce      // what is left is for others
)

// crowded says whether a sender may create one more. Writes that name no sender
// are Steer's own, an import for instance, and only the whole counts for them.
func (s *Store) crowded(sender *tally) room {
	left := s.maxSeries - s.count.Load()
	switch made := int64(sender.created.sum); {
	case left <= 0 || s.lastID.Load() > lastID:
		return roomNone
	case sender.name == "":
		return roomEnough
	case made >= s.newSeries:
		return roomSpent
	case left < s.maxSeries/10 && made > left:
		return roomScarce
	}
	return roomEnough
}

func (s *Store) complaint(why room, sender *tally) string {
	switch why {
	case roomSpent:
		return fmt.Sprintf("%s sent %d new series in the last hour%s, as many as one sender may: points of further ones are left out; raise store.new_series or drop them with a route rule",
			sender.name, sender.created.sum, sender.mostly())
	case roomScarce:
		return fmt.Sprintf("%s sent %d new series in the last hour%s, and the room that is left, %d of %d, is kept for other senders: points of further ones are left out; raise store.max_series or drop them with a route rule",
			sender.name, sender.created.sum, sender.mostly(), s.maxSeries-s.count.Load(), s.maxSeries)
	}
	b, what, by := &s.births, "new series", Top.count
	senders, prefixes := b.senders.best(3, by), b.prefixes.best(3, by)
	if by(senders[0]) == 0 || by(prefixes[0]) == 0 { // after a start with no room, for instance
		what, by = "points left out", Top.dropped
		senders, prefixes = b.senders.best(3, by), b.prefixes.best(3, by)
	}
	list := func(all []Top, format string) string {
		var texts []string
		for _, t := range all {
			if by(t) >= by(all[0])/10 && by(t) > 0 {
				texts = append(texts, fmt.Sprintf(format+" (%d)", t.Name, by(t)))
			}
		}
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("series limit reached: %d of %d; most %s in the last hour: %s, below %s; raise store.max_series or drop them with a route rule",
		s.count.Load(), s.maxSeries, what, list(senders, "%s"), list(prefixes, "%q"))
}

// mostly says where most new series of a sender are, if it is one place.
func (t *tally) mostly() string {
	if 2*t.votes <= t.voters {
		return ""
	}
	return fmt.Sprintf(", most of them below %q", t.below)
}

// below is where in the tree a series hangs: at most the first two nodes of its
// name, and not the last one unless tags tell the series apart.
func below(name string) string {
	path, _, tagged := strings.Cut(name, ";")
	i := strings.IndexByte(path, '.')
	if i >= 0 {
		if j := strings.IndexByte(path[i+1:], '.'); j >= 0 {
			return path[:i+1+j]
		}
	}
	switch {
	case tagged:
		return path
	case i >= 0:
		return path[:i]
	}
	return "*"
}

// turn brings the counts to the time now. A clock that was set back makes them
// last longer, for an hour at most.
func (b *births) turn(now int64) {
	if step := now / hourStep; step != b.step {
		b.senders.pass(b.step, step)
		b.prefixes.pass(b.step, step)
		b.step = step
	}
	m := now / 60
	switch m - b.minute.number {
	case 0:
		return
	case 1:
		b.minute.last = b.minute.now
	default:
		b.minute.last = 0
	}
	b.minute.number, b.minute.now = m, 0
}

// fill tells Stats.
func (b *births) fill(st *Stats, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	st.NewPerMin = b.minute.last
	st.TopSenders, st.TopPrefixes = b.senders.best(10, Top.count), b.prefixes.best(10, Top.count)
}

// best are the first n by one of their numbers.
func (t *tops) best(n int, by func(Top) uint64) []Top {
	all := make([]Top, 0, len(t.all))
	for i := range t.all {
		if c := &t.all[i]; c.total+c.dropped.sum > 0 {
			all = append(all, Top{Name: cmp.Or(c.name, unnamed), Count: c.created.sum, Dropped: c.dropped.sum, Total: c.total})
		}
	}
	slices.SortFunc(all, func(a, b Top) int {
		return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(b.Count, a.Count), cmp.Compare(b.Dropped, a.Dropped), cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	return all[:min(n, len(all))]
}
