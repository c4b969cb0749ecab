package fleet

import (
	"cmp"
	"slices"

	"steer/base/event"
)

// severities are those of incidents, the worst last.
var severities = []string{"", "info", "ticket", "page"}

// worst is the highest of some severities.
func worst(of ...string) string {
	return slices.MaxFunc(of, func(a, b string) int { return slices.Index(severities, a) - slices.Index(severities, b) })
}

// rollback says whether a deploy is to be taken back for what is wrong now: when a
// test that fails says so, or is a page and does not deny it.
func (e *end) rollback() bool {
	if !e.testsOnly {
		return e.h.Severity == "page"
	}
	return slices.ContainsFunc(e.v.Tests, func(t Test) bool {
		if t.Rollback != nil {
			return t.Status == "failed" && *t.Rollback
		}
		return t.Status == "failed" && worst(t.Severity, e.settings.Severity) == "page"
	})
}

// severity says who has to know of what is wrong with the host now: what its tests
// say that fail, but at least what its group says. What is no test is a ticket.
func (e *end) severity() string {
	said := ""
	if e.testsOnly {
		for _, t := range e.v.Tests {
			if t.Status == "failed" {
				said = worst(said, t.Severity)
			}
		}
	}
	if said == "" {
		said = "ticket"
	}
	return worst(said, e.settings.Severity)
}

// trouble is that of a group that failed.
func (w World) trouble(e event.Event) Trouble {
	t := Trouble{Key: e.Subject, Group: e.Subject[len("group/"):], Title: e.Summary, Summary: e.Reason, Cause: e.ID, Severity: "ticket"}
	for _, want := range w.Wanted {
		if want.Name != t.Group {
			continue
		}
		t.Severity = worst(t.Severity, want.Settings.Severity)
		for _, d := range want.Hosts {
			t.Owner, t.Env = cmp.Or(t.Owner, d.Owner), cmp.Or(t.Env, d.Environment)
			if h := w.Hosts[d.Name]; h.State == HasFailed {
				t.Severity = worst(t.Severity, h.Severity)
			}
		}
	}
	return t
}
