// Package timeline reads the journal the way people ask about it: what changed
// shortly before something went wrong, and how did one thing lead to another.
// It keeps nothing of its own.
package timeline

import (
	"context"
	"slices"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

// Options are what a timeline needs.
type Options struct {
	Journal *journal.Journal
}

// Timeline answers questions from the journal. It is safe for concurrent use.
type Timeline struct {
	journal *journal.Journal
}

// New returns a timeline over a journal.
func New(o Options) (*Timeline, error) {
	if o.Journal == nil {
		return nil, fault.New(fault.Invalid, "make timeline: it needs a journal")
	}
	return &Timeline{o.Journal}, nil
}

// Types of events that change what runs.
var (
	finished = []string{event.Deployed, event.Upgraded, event.RolledBack, event.DeployFailed}
	deploys  = append([]string{event.DeployStarted}, finished...)
)

const mostChanges = 100

// Changes returns what changed in the window before a time, newest first, at
// most 100: deploys and rollbacks of the service in the environment, finished or
// still going on, and changes of definitions. Without a service or environment
// it is those of all.
func (t *Timeline) Changes(ctx context.Context, service id.Service, environment id.Environment, before time.Time, window time.Duration) ([]event.Event, error) {
	q := journal.Query{Since: before.Add(-window), Until: before, Newest: true, Limit: mostChanges}
	definitions := q
	definitions.Types = []string{event.DefinitionsChanged}
	q.Types, q.Service, q.Environment = deploys, service, environment
	list, err := t.journal.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	// A deploy that has ended says more than its beginning.
	ended := map[string]bool{}
	for _, e := range list {
		ended[e.Subject] = ended[e.Subject] || slices.Contains(finished, e.Type)
	}
	list = slices.DeleteFunc(list, func(e event.Event) bool { return e.Type == event.DeployStarted && ended[e.Subject] })
	more, err := t.journal.Read(ctx, definitions)
	if err != nil {
		return nil, err
	}
	list = append(list, more...)
	slices.SortFunc(list, func(a, b event.Event) int { return int(b.Seq - a.Seq) })
	return list[:min(len(list), mostChanges)], nil
}
