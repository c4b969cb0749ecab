package followup

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
)

// forms say what evidence of a step looks like.
var forms = map[string]string{
	QuickFix:    "deploy/14, host/web-1, or the address of a page",
	Check:       "check/catalog/slow, visit/3, or the address of a page",
	Test:        "run/12/acceptance, visit/3, or the address of a page",
	Fix:         "deploy/14, commit/SHA, definitions/SHA, or the address of a page",
	TestPasses:  "run/13/acceptance, visit/4, or the address of a page",
	CheckPasses: "check/catalog/slow, visit/4, or the address of a page",
}

const longest = 500 // bytes of a ref

// verify turns what a person names into evidence, if the journal shows that it is.
// What is elsewhere cannot be seen; the person's word counts.
func (f *Followups) verify(ctx context.Context, i Incident, is Followup, step, ref string) (*Evidence, error) {
	ref = strings.TrimSpace(ref)
	if len(ref) > longest {
		return nil, fault.New(fault.Invalid, "evidence of %d bytes: write at most %d", len(ref), longest)
	}
	if strings.HasPrefix(ref, "https://") || strings.HasPrefix(ref, "http://") {
		if u, err := url.Parse(ref); err != nil || u.Host == "" {
			return nil, fault.New(fault.Invalid, "%q is no address", ref)
		}
		return &Evidence{Ref: ref, Text: "seen elsewhere: " + ref, At: f.o.Now().UTC()}, nil
	}
	if !strings.Contains(ref, "/") {
		return nil, fault.New(fault.Invalid, "%q: write %s", ref, forms[step])
	}
	events, err := f.events(ctx, i, nil)
	if err != nil {
		return nil, err
	}
	more, err := f.o.Journal.Read(ctx, journal.Query{Subject: subject(ref), Since: i.Began.Add(-lateness), Limit: page})
	if err != nil {
		return nil, err
	}
	events = append(events, more...)
	l := &look{facts: facts{incident: i, events: events, checks: f.o.Checks(), now: f.o.Now()}, out: &is}
	e := l.named(step, ref)
	if e == nil {
		return nil, fault.New(fault.Conflict, "%s is no evidence that Steer can see: %s (write %s)", ref, why[step], forms[step])
	}
	return e, nil
}

// subject is whose events a ref is about.
func subject(ref string) string {
	if strings.HasPrefix(ref, "run/") {
		if first, rest, _ := strings.Cut(ref, "/"); rest != "" {
			number, _, _ := strings.Cut(rest, "/")
			return first + "/" + number
		}
	}
	return ref
}

var why = map[string]string{
	QuickFix:    "nothing is in the journal about it since the incident began",
	Check:       "it was not CRITICAL since the incident began; let it see the fault first",
	Test:        "no such test failed since the incident began; let it run without the fix first",
	Fix:         "it was not deployed since the incident opened; deploy it first",
	TestPasses:  "no such test passed since the incident began; let it run with the fix first",
	CheckPasses: "the check is not OK",
}

// named finds the event that makes ref evidence of a step; nil: none does.
func (l *look) named(step, ref string) *Evidence {
	i := l.incident
	last := func(ok func(event.Event) bool) *Evidence {
		for _, e := range slices.Backward(l.events) {
			if ok(e) {
				found := shows(e, ref, e.Summary)
				return &found
			}
		}
		return nil
	}
	since := i.Began.Add(-lateness)
	visit := func(types ...string) *Evidence {
		return last(func(e event.Event) bool {
			return slices.Contains(types, e.Type) && visitRef(e) == ref && !e.Time.Before(since)
		})
	}
	run, name, isStage := stageRef(ref)
	ended := func(red bool) *Evidence {
		for _, s := range stages(facts{incident: i, events: l.events}) {
			if s.run == run && s.name == name && s.red == red {
				found := shows(s.Event, ref, s.Summary)
				return &found
			}
		}
		return nil
	}
	isCheck := strings.HasPrefix(ref, "check/")
	switch step {
	case QuickFix:
		return last(func(e event.Event) bool { return e.Subject == ref && !e.Time.Before(i.Opened) })
	case Check:
		if isCheck {
			return last(func(e event.Event) bool {
				return e.Type == event.CheckChanged && e.Subject == ref && checkData(e).To == "CRITICAL" && !e.Time.Before(since)
			})
		}
		return visit(event.HostFailed, event.HostUnreachable)
	case Test:
		if isStage {
			return ended(true)
		}
		return visit(event.HostFailed)
	case Fix:
		return l.namedFix(ref, last)
	case TestPasses:
		if isStage {
			return ended(false)
		}
		return visit(i.well()...)
	case CheckPasses:
		if !isCheck {
			return visit(i.well()...)
		}
		// The newest that is known of it.
		e := last(func(e event.Event) bool { return e.Type == event.CheckChanged && e.Subject == ref })
		if e == nil || !slices.ContainsFunc(l.events, func(o event.Event) bool { return o.ID == e.Event && checkData(o).To == "OK" }) {
			return nil
		}
		return e
	}
	return nil
}

// namedFix is a deploy, a commit that was deployed, or a change of the definitions.
func (l *look) namedFix(ref string, last func(func(event.Event) bool) *Evidence) *Evidence {
	opened := l.incident.Opened
	kind, rest, _ := strings.Cut(ref, "/")
	begins := func(e event.Event) bool { return len(rest) >= 7 && strings.HasPrefix(e.Subject, kind+"/"+rest) }
	switch kind {
	case "deploy":
		return last(func(e event.Event) bool { return e.Subject == ref && isDeploy(e) && e.Time.After(opened) })
	case "commit":
		merged := last(func(e event.Event) bool { return e.Type == event.ChangeMerged && begins(e) })
		if merged == nil {
			return nil
		}
		n := slices.IndexFunc(l.events, func(e event.Event) bool { return e.ID == merged.Event })
		return last(func(e event.Event) bool {
			return isDeploy(e) && e.Chain != "" && e.Chain == l.events[n].Chain && l.here(e) && e.Time.After(opened)
		})
	case "definitions":
		return last(func(e event.Event) bool {
			return e.Type == event.DefinitionsChanged && begins(e) && e.Time.After(opened)
		})
	}
	return nil
}
