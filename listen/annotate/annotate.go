// Package annotate shows the journal as Graphite shows events: moments with tags,
// for graphs to mark what happened when. It takes the events of others into the
// journal, and keeps nothing of its own.
package annotate

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

// Options are what events need.
type Options struct {
	Journal *journal.Journal
}

// Events is safe for concurrent use.
type Events struct {
	journal *journal.Journal
}

// New returns the events of a journal.
func New(o Options) (*Events, error) {
	if o.Journal == nil {
		return nil, fault.New(fault.Invalid, "make annotations: they need a journal")
	}
	return &Events{o.Journal}, nil
}

// Event is one moment to mark.
type Event struct {
	ID   int64 // position in the journal
	When int64 // seconds since 1970
	What string
	Tags []string // words
	Data string   // more about it; often empty
}

// Query selects events; a zero field selects all.
type Query struct {
	Tags        []string // the event has all of them
	Any         bool     // one of Tags is enough
	From, Until int64    // seconds since 1970, both included; Until 0: no end
	Limit       int      // at most so many, the last ones that were recorded: 1000 if 0
}

const (
	usualLimit = 1000
	page       = 1000 // journal events read at once
	mostPages  = 50   // of one query, so that rare tags don't read a journal of years
)

// Find returns the selected events, oldest first. It looks at no more than the
// 50,000 last events of the journal that could be among them.
func (e *Events) Find(ctx context.Context, q Query) ([]Event, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = usualLimit
	}
	read := journal.Query{Types: types(), Since: time.Unix(q.From, 0), Newest: true, Limit: page}
	if q.Until != 0 {
		read.Until = time.Unix(q.Until+1, 0)
	}
	found := []Event{}
	for range mostPages {
		list, err := e.journal.Read(ctx, read)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			if ev := shown(one); q.wants(ev.Tags) && len(found) < limit {
				found = append(found, ev)
			}
		}
		if len(list) < page || len(found) == limit {
			break
		}
		read.Before = list[len(list)-1].Seq
	}
	slices.SortFunc(found, func(a, b Event) int { return cmp.Or(cmp.Compare(a.When, b.When), cmp.Compare(a.ID, b.ID)) })
	return found, nil
}

func (q Query) wants(tags []string) bool {
	has := func(tag string) bool { return slices.Contains(tags, tag) }
	if q.Any {
		return len(q.Tags) == 0 || slices.ContainsFunc(q.Tags, has)
	}
	return !slices.ContainsFunc(q.Tags, func(tag string) bool { return !has(tag) })
}

// Get returns one event, or fault.NotFound.
func (e *Events) Get(ctx context.Context, number int64) (Event, error) {
	if number > 0 {
		list, err := e.journal.Read(ctx, journal.Query{After: number - 1, Types: types(), Limit: 1})
		if err != nil {
			return Event{}, err
		}
		if len(list) == 1 && list[0].Seq == number {
			return shown(list[0]), nil
		}
	}
	return Event{}, fault.New(fault.NotFound, "read event %d: there is none of this number", number)
}

// Limits of an event that somebody adds.
const (
	longestWhat = 1024
	longestTags = 4096 // all together
	longestData = 64 << 10
	latest      = 253402300799 // the last second of the year 9999
)

// note is the data of an event.Noted.
type note struct {
	Tags []string `json:"tags"`
	Data string   `json:"data,omitempty"`
}

// Add records what somebody tells, and returns it with its number. When 0 is now.
func (e *Events) Add(ctx context.Context, author id.Person, add Event) (Event, error) {
	n := note{Data: add.Data}
	length := 0
	for _, text := range add.Tags {
		for _, tag := range strings.Fields(text) {
			if length += len(tag) + 1; !slices.Contains(n.Tags, tag) {
				n.Tags = append(n.Tags, tag)
			}
		}
	}
	switch {
	case strings.TrimSpace(add.What) == "":
		return Event{}, fault.New(fault.Invalid, `add event: "what" is missing (a line that says what happened)`)
	case len(add.What) > longestWhat:
		return Event{}, fault.New(fault.Invalid, `add event: "what" has %d bytes, at most %d are allowed; "data" takes more`, len(add.What), longestWhat)
	case length > longestTags:
		return Event{}, fault.New(fault.Invalid, "add event %.50q: its tags have %d bytes, at most %d are allowed", add.What, length, longestTags)
	case len(add.Data) > longestData:
		return Event{}, fault.New(fault.Invalid, `add event %.50q: "data" has %d bytes, at most %d are allowed`, add.What, len(add.Data), longestData)
	case add.When < 0 || add.When > latest:
		return Event{}, fault.New(fault.Invalid, `add event %.50q: "when" is %d; give seconds since 1970`, add.What, add.When)
	}
	data, err := json.Marshal(n)
	if err != nil {
		return Event{}, err
	}
	unique := id.New()
	record := event.Event{ID: unique, Source: "/steer/annotate", Type: event.Noted, Subject: "note/" + unique, Summary: add.What, Actor: author, Data: data}
	if add.When > 0 {
		record.Time = time.Unix(add.When, 0)
	}
	stored, err := e.journal.Record(ctx, record)
	if err != nil {
		return Event{}, err
	}
	return shown(stored), nil
}
