package timeline

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

// Chain is what one change led to: commit, run, artifact, deploys, incidents,
// notifications, rollback.
type Chain struct {
	Ref         string         `json:"ref"`   // what was asked
	Chain       string         `json:"chain"` // id of the chain; "" if what was asked about belongs to none
	Service     id.Service     `json:"service"`
	Environment id.Environment `json:"environment"`
	Version     id.Version     `json:"version"` // that the chain is about
	Events      []event.Event  `json:"events"`  // in order
	Summary     []string       `json:"summary"` // a line for each event: time, pause, text
	Figures     Figures        `json:"figures"`
	Note        string         `json:"note,omitempty"` // what to know about the answer
}

const (
	before  = time.Hour // shown of an incident that belongs to no chain
	page    = 1000
	longest = 5000  // events of one chain
	deepest = 20000 // commits looked through for a short sha
)

const forms = "incident/7, deploy/12, run/5, catalog/b12, a commit's sha (7 characters or more), or the id of an event"

var (
	sha     = regexp.MustCompile(`^[0-9a-fA-F]{7,40}$`)
	version = regexp.MustCompile(`^(?:version/|artifact/)?([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)$`)
	uuid    = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// Why returns the chain that ref belongs to: a version ("catalog/b12"), an
// incident, deploy or run with its number, a commit, or an event. If it belongs
// to none it returns what happened to its service in the hour before.
func (t *Timeline) Why(ctx context.Context, ref string) (Chain, error) {
	start, err := t.resolve(ctx, strings.TrimSpace(ref))
	if err != nil {
		return Chain{}, err
	}
	c := Chain{Ref: ref, Chain: start.Chain}
	if start.Chain == "" {
		c.Events, err = t.around(ctx, start)
		c.Note = fmt.Sprintf("%s belongs to no chain of a change; this is what happened in the hour before it", start.Subject)
	} else if c.Events, err = t.read(ctx, journal.Query{Chain: start.Chain}, longest); len(c.Events) == longest {
		c.Note = fmt.Sprintf("the chain has more than %d events; these are the first", longest)
	}
	if err != nil {
		return Chain{}, err
	}
	c.Service, c.Environment, c.Version = start.Service, start.Environment, start.Version
	if c.Chain != "" {
		c.about()
	}
	c.Summary = lines(c.Events)
	c.Figures = figures(c.Events)
	return c, nil
}

// about names what the chain began with: the first version that it mentions is
// the one that was built, and a later one is what a rollback went to.
func (c *Chain) about() {
	c.Version, c.Environment = "", ""
	for _, e := range c.Events {
		if c.Service == "" {
			c.Service = e.Service
		}
		if c.Version == "" {
			c.Version = e.Version
		}
		if c.Environment == "" || e.Type == event.IncidentOpened && e.Environment != "" {
			c.Environment = e.Environment
		}
	}
}

// resolve finds the event that ref stands for, preferring one with a chain.
func (t *Timeline) resolve(ctx context.Context, ref string) (event.Event, error) {
	if uuid.MatchString(ref) {
		e, err := t.journal.Get(ctx, ref)
		if fault.Of(err) == fault.NotFound {
			return e, unknown(ref)
		}
		return e, err
	}
	if sha.MatchString(ref) {
		return t.commit(ctx, strings.ToLower(ref))
	}
	if commit, ok := strings.CutPrefix(ref, "commit/"); ok && sha.MatchString(commit) {
		return t.commit(ctx, strings.ToLower(commit))
	}
	if !strings.Contains(ref, "/") {
		return event.Event{}, unknown(ref)
	}
	// The oldest event of a subject knows where it came from; of a check, which
	// has no beginning, the latest news is wanted.
	bySubject := journal.Query{Subject: ref, Newest: strings.HasPrefix(ref, "check/"), Limit: page}
	queries := []journal.Query{bySubject}
	if m := version.FindStringSubmatch(ref); m != nil {
		byVersion := journal.Query{Service: id.Service(m[1]), Version: id.Version(m[2]), Limit: page}
		queries = []journal.Query{bySubject, byVersion}
		if strings.Count(ref, "/") == 2 { // version/… and artifact/… are subjects of single events too
			queries = []journal.Query{byVersion, bySubject}
		}
	}
	for _, q := range queries {
		list, err := t.journal.Read(ctx, q)
		if err != nil || len(list) > 0 {
			return best(list), err
		}
	}
	return event.Event{}, unknown(ref)
}

// best is the first event with a chain, else the first.
func best(list []event.Event) event.Event {
	if len(list) == 0 {
		return event.Event{}
	}
	return list[max(0, slices.IndexFunc(list, func(e event.Event) bool { return e.Chain != "" }))]
}

// commit finds a commit by the beginning of its sha among the newest.
func (t *Timeline) commit(ctx context.Context, short string) (event.Event, error) {
	if len(short) == 40 {
		list, err := t.journal.Read(ctx, journal.Query{Subject: "commit/" + short, Limit: page})
		if err == nil && len(list) == 0 {
			err = unknown(short)
		}
		return best(list), err
	}
	found := map[string]event.Event{}
	q := journal.Query{Types: []string{event.ChangeMerged}, Newest: true, Limit: page}
	for looked := 0; looked < deepest; {
		list, err := t.journal.Read(ctx, q)
		if err != nil {
			return event.Event{}, err
		}
		for _, e := range list {
			if strings.HasPrefix(strings.ToLower(e.Subject), "commit/"+short) {
				found[e.Subject] = e
			}
		}
		if looked += len(list); len(list) < page {
			break
		}
		q.Before = list[len(list)-1].Seq
	}
	var subjects []string
	for s := range found {
		subjects = append(subjects, strings.TrimPrefix(s, "commit/"))
	}
	slices.Sort(subjects)
	switch len(found) {
	case 0:
		return event.Event{}, unknown(short)
	case 1:
		return found["commit/"+subjects[0]], nil
	}
	return event.Event{}, fault.New(fault.Conflict, "why %q: several commits begin so: %s (write more of it)", short, strings.Join(subjects, ", "))
}

func unknown(ref string) error {
	return fault.New(fault.NotFound, "why %q: the journal knows nothing by this name (ask for %s)", ref, forms)
}

// around returns what happened to the service of e and to definitions in the hour
// before it, and all about e's own subject.
func (t *Timeline) around(ctx context.Context, e event.Event) ([]event.Event, error) {
	list, err := t.read(ctx, journal.Query{Subject: e.Subject}, longest)
	if err != nil {
		return nil, err
	}
	near, err := t.read(ctx, journal.Query{
		Service: e.Service, Environment: e.Environment, Since: e.Time.Add(-before), Before: e.Seq,
	}, longest)
	if err != nil {
		return nil, err
	}
	all, err := t.read(ctx, journal.Query{Types: []string{event.DefinitionsChanged}, Since: e.Time.Add(-before), Before: e.Seq}, longest)
	if err != nil {
		return nil, err
	}
	list = append(append(list, near...), all...)
	slices.SortFunc(list, func(a, b event.Event) int { return int(a.Seq - b.Seq) })
	return slices.CompactFunc(list, func(a, b event.Event) bool { return a.Seq == b.Seq }), nil
}

// read pages through what q selects, up to a number of events.
func (t *Timeline) read(ctx context.Context, q journal.Query, most int) ([]event.Event, error) {
	all := []event.Event{}
	q.Limit = page
	for len(all) < most {
		list, err := t.journal.Read(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if len(list) < page {
			break
		}
		q.After = list[len(list)-1].Seq
	}
	return all[:min(len(all), most)], nil
}
