package followup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"steer/base/event"
	"steer/base/id"
)

// stage is a stage of a run that ended, and had something to run.
type stage struct {
	event.Event
	run     int64
	name    string
	version id.Version
	red     bool
	failed  int // tests
	first   string
}

// stages are those that ended after the incident began, of its service or of the
// roles of its host.
func stages(f facts) (all []stage) {
	for _, e := range f.events {
		if e.Type != event.StageFinished || e.Time.Before(f.incident.Began) || !f.incident.builds(e.Service) {
			continue
		}
		var d struct {
			Run     int64  `json:"run"`
			Stage   string `json:"stage"`
			Outcome string `json:"outcome"`
			Exit    *int   `json:"exit_code"`
			Tests   struct {
				Failed int    `json:"failed"`
				First  string `json:"first_failure"`
			} `json:"tests"`
		}
		if json.Unmarshal(e.Data, &d) != nil || d.Exit == nil || d.Outcome == "error" { // it ran nothing, or Steer could not
			continue
		}
		all = append(all, stage{e, d.Run, d.Stage, e.Version, *d.Exit != 0 && d.Outcome == "failure", d.Tests.Failed, d.Tests.First})
	}
	return all
}

// builds tells whether runs of a service are about the incident.
func (i Incident) builds(s id.Service) bool {
	return s != "" && (s == i.Service || slices.Contains(i.Roles, string(s)))
}

func (s stage) ref() string { return fmt.Sprintf("run/%d/%s", s.run, s.name) }

// stageRef reads run/12/acceptance.
func stageRef(ref string) (run int64, name string, ok bool) {
	rest, ok := strings.CutPrefix(ref, "run/")
	number, name, two := strings.Cut(rest, "/")
	run, err := strconv.ParseInt(number, 10, 64)
	return run, name, ok && two && err == nil && name != ""
}

// stageOf is the red stage that is evidence of the test; nil if that is something else.
func (l *look) stageOf(e *Evidence) *stage {
	if e == nil {
		return nil
	}
	run, name, ok := stageRef(e.Ref)
	if !ok {
		return nil
	}
	for n := range l.stages {
		if s := &l.stages[n]; s.run == run && s.name == name && s.red {
			return s
		}
	}
	return nil
}

// green is the first time after red that the same stage passed.
func (l *look) green(red stage) *stage {
	for n := range l.stages {
		if l.stages[n].passes(red) {
			return &l.stages[n]
		}
	}
	return nil
}

// passes tells whether s is the stage that was red, passed on a later commit. The same
// commit that passes at a second try has a test that cannot be trusted.
func (s stage) passes(red stage) bool {
	return !s.red && s.Service == red.Service && s.name == red.name && s.run > red.run && s.version != red.version
}

// test is a red stage of a commit after the faulty one. Those that passed later
// are taken first, then those that name a failed test, then the earliest.
func (l *look) test() (all []Evidence) {
	var red []stage
	for _, s := range l.stages {
		if s.red && s.version != l.incident.Version {
			red = append(red, s)
		}
	}
	rank := func(s stage) (n int) {
		if l.green(s) == nil {
			n += 2
		}
		if s.failed == 0 {
			n++
		}
		return n
	}
	slices.SortStableFunc(red, func(a, b stage) int { return rank(a) - rank(b) })
	for _, s := range red {
		text := fmt.Sprintf("run %d: stage %s failed on %s", s.run, s.name, s.version)
		if s.first != "" {
			text += " (" + s.first + ")"
		}
		if g := l.green(s); g != nil {
			text += fmt.Sprintf(", passed on %s", g.version)
		}
		all = append(all, shows(s.Event, s.ref(), text))
	}
	return append(all, l.hostTest()...)
}

// testPasses is the same test, green.
func (l *look) testPasses() (all []Evidence) {
	test := l.evidence(Test)
	if test == nil {
		return nil
	}
	if red := l.stageOf(test); red != nil {
		for _, s := range l.stages {
			if s.passes(*red) {
				all = append(all, shows(s.Event, s.ref(), fmt.Sprintf("run %d: stage %s passed on %s", s.run, s.name, s.version)))
			}
		}
		return all
	}
	if fix := l.evidence(Fix); fix != nil && strings.HasPrefix(test.Ref, "visit/") {
		return l.hostPasses(fix.At, "the tests of")
	}
	return nil
}
