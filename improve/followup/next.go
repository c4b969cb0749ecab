package followup

import (
	"fmt"
	"strings"
	"time"

	"steer/base/id"
)

func again(before int64) string {
	return fmt.Sprintf("Incident %d ended with all steps, and this is its check again: ask what its fix and its test left out. ", before)
}

// next is what to do for a step that is open, in one sentence.
func (l *look) next(step string) string {
	i := l.incident
	test, fix, check := l.evidence(Test), l.evidence(Fix), l.evidence(Check)
	switch step {
	case QuickFix:
		if i.Service != "" {
			return fmt.Sprintf("Restore the service first: steer rollback artifact=%s environment=%s, or whatever is fastest.", i.Service, orWord(string(i.Environment), "ENVIRONMENT"))
		}
		return "Restore it first, by whatever is fastest; the incident ends when it is as it should be."
	case Check:
		if i.Service != "" {
			return fmt.Sprintf("Add a check to steer.yaml of %s that would have seen this, let it see the fault once, and name it: steer incident learn %d check check/%s/NAME.", i.Service, i.Number, i.Service)
		}
		return fmt.Sprintf("Add a check, or a test to the role, that would have seen this, and name it: steer incident learn %d check REF.", i.Number)
	case Test:
		if i.Service == "" {
			return fmt.Sprintf("Write a test beside the role that fails as %s did; a visit or a run of the role's pipeline that fails on it shows it.", i.about())
		}
		return fmt.Sprintf("Write a test that fails%s, and push it without the fix: Steer sees the red run.", l.like())
	case Fix:
		if i.Service == "" {
			return "Change the definitions so that it cannot happen again; the visit that brings the change shows it."
		}
		if test != nil {
			return fmt.Sprintf("Write the real fix, push it and deploy it%s; the test that failed has to pass first.", in(i.Environment))
		}
		return fmt.Sprintf("Write the real fix, push it and deploy it%s.", in(i.Environment))
	case TestPasses:
		if run, name, ok := refOf(test); ok {
			return fmt.Sprintf("Push the fix: stage %s, red in run %d, has to pass on a later commit.", name, run)
		}
		if test != nil {
			return fmt.Sprintf("Let the test run again with the fix; if Steer cannot see it: steer incident learn %d test-passes REF.", i.Number)
		}
		return "First there has to be a test that fails."
	case CheckPasses:
		switch key, ok := refCheck(check); {
		case fix == nil:
			return "First the real fix has to be deployed."
		case ok && !l.due.IsZero():
			return fmt.Sprintf("Wait: check %s has to stay OK until %s.", key, l.due.UTC().Format("15:04:05 MST"))
		case ok:
			return fmt.Sprintf("Watch check %s with the fix deployed: it has to be OK for as long as it would need to see the fault (steer checks).", key)
		}
		return fmt.Sprintf("See that the check is OK with the fix deployed, and say so: steer incident learn %d check-passes REF.", i.Number)
	}
	return ""
}

// like says which code the test has to fail on.
func (l *look) like() string {
	i := l.incident
	switch {
	case i.Version != "" && i.Commit != "":
		return fmt.Sprintf(" on %s (git checkout %s)", i.Version, i.Commit[:min(len(i.Commit), 8)])
	case i.Version != "":
		return " on " + string(i.Version)
	}
	return " on this fault"
}

func in(e id.Environment) string {
	if e == "" {
		return ""
	}
	return " in " + string(e)
}

func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return s
}

func refOf(e *Evidence) (int64, string, bool) {
	if e == nil {
		return 0, "", false
	}
	return stageRef(e.Ref)
}

func refCheck(e *Evidence) (string, bool) {
	if e == nil {
		return "", false
	}
	return strings.CutPrefix(e.Ref, "check/")
}

// about names what the incident is about.
func (i Incident) about() string {
	switch {
	case i.Service != "":
		return string(i.Service)
	case len(i.Hosts) == 1:
		return i.Hosts[0]
	}
	return "the hosts"
}

// days writes a time for people.
func days(d time.Duration) string {
	if n := d / (24 * time.Hour); d%(24*time.Hour) == 0 && n > 0 {
		if n == 1 {
			return "a day"
		}
		return fmt.Sprintf("%d days", n)
	}
	return d.String()
}
