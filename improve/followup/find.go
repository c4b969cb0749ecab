package followup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/id"
)

// look searches evidence of one step after the other.
type look struct {
	facts
	out    *Followup
	stages []stage
	due    time.Time // when a check has been OK for long enough
}

// lateness is how much later than an incident ends the deploy that ended it may be
// written down: traffic moves before the old nodes are drained.
const lateness = time.Minute

func (l *look) find(step string, refused map[string]bool) *Evidence {
	var all []Evidence
	switch step {
	case QuickFix:
		all = l.quickFix()
	case Check:
		all = l.check()
	case Test:
		all = l.test()
	case Fix:
		all = l.fix()
	case TestPasses:
		all = l.testPasses()
	case CheckPasses:
		all = l.checkPasses()
	}
	for n := range all {
		if !refused[all[n].Ref] {
			return &all[n]
		}
	}
	return nil
}

// evidence of a step that is done, or nil.
func (l *look) evidence(step string) *Evidence { return l.out.step(step).Evidence }

func shows(e event.Event, ref, text string) Evidence {
	return Evidence{Ref: cmp.Or(ref, e.Subject), Text: text, At: e.Time, Version: e.Version, Event: e.ID}
}

// here tells whether an event is about the incident's environment.
func (l *look) here(e event.Event) bool {
	return l.incident.Environment == "" || e.Environment == "" || e.Environment == l.incident.Environment
}

// restores are the events that can restore a service or a host, the most telling first.
var restores = [...][]string{
	{event.RolledBack, event.HostRolledBack},
	{event.Deployed, event.Upgraded},
	{event.HostRebuilt, event.HostChanged, event.HostDrifted, event.GroupFollows},
	{event.HostConverged, event.DriftAccepted},
	{event.HostsPaused, event.PlacementHeld, event.GroupRefused},
	{event.IncidentAcked},
}

// quickFix names what restored the service: the last of the most telling events while
// the incident was open.
func (l *look) quickFix() (all []Evidence) {
	i := l.incident
	if i.Resolved.IsZero() {
		return nil
	}
	for _, types := range restores {
		for _, e := range slices.Backward(l.events) {
			if !slices.Contains(types, e.Type) || !l.here(e) || e.Time.Before(i.Opened) || e.Time.After(i.Resolved.Add(lateness)) {
				continue
			}
			if e.Type == event.IncidentAcked && e.Subject != incidentRef(i.Number) {
				continue
			}
			all = append(all, shows(e, visitRef(e), e.Summary))
		}
	}
	text := fmt.Sprintf("it ended by itself: %s", cmp.Or(i.Reason, "no reason is known"))
	if i.ResolvedBy != "" && i.ResolvedBy != event.Steer {
		text = fmt.Sprintf("%s ended it: %s", i.ResolvedBy, cmp.Or(i.Reason, "without a reason"))
	}
	return append(all, Evidence{Ref: incidentRef(i.Number), Text: text, At: i.Resolved, Event: i.Event})
}

func incidentRef(n int64) string { return "incident/" + strconv.FormatInt(n, 10) }

// check is what saw the fault: what opened the incident, or another check of the
// service while the fault was there.
func (l *look) check() (all []Evidence) {
	i := l.incident
	until := i.Resolved
	if until.IsZero() {
		until = l.now
	}
	if !i.ByCheck && i.Check != "" {
		for _, e := range l.events {
			if e.ID != i.Cause {
				continue
			}
			text := "a visit saw it: " + e.Summary
			if names := hostData(e).Failing; len(names) > 0 {
				text = fmt.Sprintf("the tests of %s saw it: %s", i.about(), strings.Join(names, ", "))
			}
			all = append(all, shows(e, visitRef(e), text))
		}
	}
	for _, e := range l.events {
		if e.Type != event.CheckChanged || e.Time.Before(i.Began.Add(-lateness)) || e.Time.After(until) || !l.here(e) {
			continue
		}
		d, key := checkData(e), strings.TrimPrefix(e.Subject, "check/")
		own := i.ByCheck && key == i.Check
		switch {
		case d.Unknown || d.From == d.To:
		case own && d.To == i.Level:
			all = append([]Evidence{shows(e, "", fmt.Sprintf("check %s was %s, and opened the incident", key, d.To))}, all...)
		case !own && d.To == "CRITICAL" && i.Service != "" && e.Service == i.Service:
			all = append(all, shows(e, "", fmt.Sprintf("check %s was CRITICAL while the fault was there", key)))
		}
	}
	return all
}

type checkChange struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Unknown bool   `json:"unknown"`
}

func checkData(e event.Event) (d checkChange) {
	_ = json.Unmarshal(e.Data, &d) // without details it changed to nothing known
	return d
}

type deployed struct {
	Kind      string     `json:"kind"`
	Previous  id.Version `json:"previous"`
	Commit    string     `json:"commit"`
	Unchanged bool       `json:"unchanged"`
}

// isDeploy tells whether an event is of a version that took over by being deployed.
func isDeploy(e event.Event) bool {
	if e.Type != event.Deployed && e.Type != event.Upgraded {
		return false
	}
	var d deployed
	_ = json.Unmarshal(e.Data, &d)
	return d.Kind == "deploy" && !d.Unchanged
}

// fix is the first deploy after the incident of a version that is newer than the
// faulty one, has passed the test, and was not taken back.
func (l *look) fix() (all []Evidence) {
	i := l.incident
	if i.Service == "" {
		return l.hostFix()
	}
	back := map[id.Version]bool{}
	for _, e := range l.events {
		var d deployed
		if e.Type == event.RolledBack && l.here(e) && json.Unmarshal(e.Data, &d) == nil {
			back[d.Previous] = true
		}
	}
	test := l.evidence(Test)
	for _, e := range l.events {
		if !isDeploy(e) || e.Service != i.Service || !l.here(e) || !e.Time.After(i.Opened) || back[e.Version] || !newer(e.Version, i.Version) {
			continue
		}
		text := fmt.Sprintf("%s %s is deployed", e.Service, e.Version)
		if i.Environment != "" {
			text += " in " + string(i.Environment)
		}
		if red := l.stageOf(test); red != nil {
			green := l.green(*red)
			if green == nil || !l.has(e.Version, *green) {
				continue
			}
			text += fmt.Sprintf(", and passed %s, which %s failed", red.name, red.version)
		}
		all = append(all, shows(e, "", text))
	}
	return all
}

// has tells whether a version was built from the commit of a run, or later.
func (l *look) has(v id.Version, s stage) bool {
	if v == s.version {
		return true
	}
	_, a := counted(v)
	_, b := counted(s.version)
	return a && b && newer(v, s.version)
}

// newer compares versions as builds are counted, b12; others are newer if they differ.
func newer(v, than id.Version) bool {
	a, okA := counted(v)
	b, okB := counted(than)
	if okA && okB {
		return a > b
	}
	return v != than
}

func counted(v id.Version) (int64, bool) {
	text, ok := strings.CutPrefix(string(v), "b")
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil
}

// checkPasses is that the check was OK, without a break and after the fix, for as
// long as it would have needed to see the fault.
func (l *look) checkPasses() []Evidence {
	fix, check := l.evidence(Fix), l.evidence(Check)
	if fix == nil || check == nil {
		return nil
	}
	key, ok := strings.CutPrefix(check.Ref, "check/")
	if !ok {
		return l.hostPasses(fix.At, "the check of")
	}
	n := slices.IndexFunc(l.checks, func(w Watched) bool { return w.Key == key })
	if n < 0 {
		return nil
	}
	watch := l.checks[n].Watch
	var since time.Time // OK since then; zero: not
	enough := func(until time.Time) []Evidence {
		from := since
		if from.Before(fix.At) {
			from = fix.At
		}
		if since.IsZero() || until.Sub(from) < watch {
			return nil
		}
		return []Evidence{{Ref: check.Ref, At: from.Add(watch), Version: fix.Version,
			Text: fmt.Sprintf("check %s was OK for %s with %s", key, watch.Round(time.Second/10), cmp.Or(string(fix.Version), "the fix"))}}
	}
	for _, e := range l.events {
		if e.Type != event.CheckChanged || e.Subject != check.Ref {
			continue
		}
		d := checkData(e)
		ok := d.To == "OK" && !d.Unknown
		if !ok {
			if found := enough(e.Time); found != nil {
				return found
			}
			since = time.Time{}
		} else if since.IsZero() {
			since = e.Time
		}
	}
	if found := enough(l.now); found != nil {
		return found
	}
	if !since.IsZero() {
		l.due = since.Add(watch)
		if fix.At.After(since) {
			l.due = fix.At.Add(watch)
		}
	}
	return nil
}
