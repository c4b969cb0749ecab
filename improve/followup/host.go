package followup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/event"
)

// visited is what the events of a host or a group tell.
type visited struct {
	Visit   int64    `json:"visit"`
	Kind    string   `json:"kind"`
	Commit  string   `json:"commit"`
	Good    string   `json:"good"` // of a group
	Tests   int      `json:"tests"`
	Failing []string `json:"failing"`
}

func hostData(e event.Event) (d visited) {
	_ = json.Unmarshal(e.Data, &d) // without details it tells only that it happened
	if d.Good != "" {
		d.Commit = d.Good
	}
	return d
}

// visitRef names the visit that an event tells about.
func visitRef(e event.Event) string {
	if d := hostData(e); d.Visit != 0 {
		return fmt.Sprintf("visit/%d", d.Visit)
	}
	return e.Subject
}

// well are the types of events that say that the host, or all hosts of the group, are
// as declared.
func (i Incident) well() []string {
	if strings.HasPrefix(i.Check, "group/") {
		return []string{event.GroupFollows}
	}
	return []string{event.HostConverged, event.HostChanged, event.HostRebuilt}
}

// hosts are the events of the incident's host or group of these types after a time.
func (l *look) hosts(after time.Time, types ...string) (all []event.Event) {
	for _, e := range l.events {
		if slices.Contains(types, e.Type) && !e.Time.Before(after) {
			all = append(all, e)
		}
	}
	return all
}

// hostTest is a test of a role that failed on the host.
func (l *look) hostTest() (all []Evidence) {
	for _, e := range l.hosts(l.incident.Began.Add(-lateness), event.HostFailed) {
		if d := hostData(e); len(d.Failing) > 0 {
			all = append(all, shows(e, visitRef(e), fmt.Sprintf("the test %s failed on %s", strings.Join(d.Failing, ", "), strings.TrimPrefix(e.Subject, "host/"))))
		}
	}
	return all
}

// hostFix is a change of the definitions after the incident that a visit brought.
func (l *look) hostFix() (all []Evidence) {
	i := l.incident
	for _, e := range l.hosts(i.Opened, i.well()...) {
		d := hostData(e)
		n := slices.IndexFunc(l.events, func(c event.Event) bool {
			return c.Type == event.DefinitionsChanged && c.Subject == "definitions/"+d.Commit && c.Time.After(i.Opened)
		})
		if n < 0 || d.Commit == "" {
			continue
		}
		found := shows(e, "definitions/"+d.Commit, fmt.Sprintf("%s, and %s", l.events[n].Summary, lower(e.Summary)))
		all = append(all, found)
	}
	return all
}

// lower makes the beginning of a sentence fit into the middle of one.
func lower(s string) string {
	if rest, ok := strings.CutPrefix(s, "All hosts"); ok {
		return "all hosts" + rest
	}
	return s
}

// hostPasses is a visit at or after a time that found all as declared.
func (l *look) hostPasses(after time.Time, what string) (all []Evidence) {
	for _, e := range l.hosts(after, l.incident.well()...) {
		if d := hostData(e); len(d.Failing) == 0 {
			all = append(all, shows(e, visitRef(e), fmt.Sprintf("%s %s: %s", what, strings.TrimPrefix(strings.TrimPrefix(e.Subject, "host/"), "group/"), e.Summary)))
		}
	}
	return all
}
