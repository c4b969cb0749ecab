package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/fleet"
	"steer/infra/verify"
)

// Bounds of what is kept of one visit.
const (
	mostChanges = 500
	mostText    = 16 << 10
)

func take(out *fleet.Outcome, r converge.Report) {
	if r.Counts == nil {
		return // it did not come to that
	}
	if out.Counts == nil {
		out.Counts = map[string]int{}
	}
	for status, n := range r.Counts {
		if status == converge.OK {
			out.Counts[string(status)] = n // the last run counts
		} else {
			out.Counts[string(status)] += n
		}
	}
	out.Hash, out.Leaves, out.Generation, out.FailedConverge = r.Hash, r.Leaves, r.Generation, r.Failed()
	out.Notes = append(out.Notes, r.Notes...)
	if r.CutOff != nil {
		out.CutOff = fmt.Sprintf("begun %s by %s, at %s", r.CutOff.Since.Format(time.DateTime), cmp.Or(r.CutOff.By, "somebody"), r.CutOff.First)
	}
}

// keep takes an event over that tells something.
func keep(out *fleet.Outcome, e converge.Event) {
	if e.Status == converge.OK || slices.ContainsFunc(out.Changes, func(c fleet.Change) bool { return c.Ref == e.Ref && c.Status == string(e.Status) }) {
		return
	}
	if len(out.Changes) >= mostChanges {
		out.Cut++
		return
	}
	c := fleet.Change{Ref: e.Ref, Role: e.Role, Place: e.Place, Status: string(e.Status), Action: string(e.Diff.Action), Why: cutText(e.Why), Drift: e.Drift && e.Diff.Action != infra.Run, Took: e.Took}
	for _, f := range e.Diff.Fields[:min(len(e.Diff.Fields), 50)] {
		c.Fields = append(c.Fields, fleet.Field{Name: f.Name, Old: cutText(f.Old), New: cutText(f.New), Text: cutText(f.Text)})
	}
	out.Changes = append(out.Changes, c)
}

func cutText(s string) string {
	if len(s) > mostText {
		return strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

// test runs the tests of the host's roles.
func (k *keeper) test(v visit, m infra.Manifest, out *fleet.Outcome) error {
	out.Tests = nil
	if len(m.Tests) == 0 {
		return nil
	}
	text, err := testsYAML(m)
	if err != nil {
		return err
	}
	r, err := v.verify(text, 0)
	if err != nil {
		return err
	}
	for _, t := range r.Results {
		one := fleet.Test{Name: t.Test, Status: string(t.Status), Severity: t.Severity, Rollback: t.Rollback, Repair: t.Repair}
		if t.Status == verify.Error {
			one.Status, one.Found = "failed", t.Why
		}
		for _, p := range t.Properties {
			if p.Status == verify.Failed || p.Status == verify.Error {
				one.Found = cutText(strings.TrimSpace(strings.Join([]string{one.Found, fmt.Sprintf("%s: expected %s, found %s %s", p.Name, p.Expected, p.Found, p.Why)}, "; ")))
			}
		}
		one.Found = strings.TrimPrefix(strings.TrimSpace(one.Found), "; ")
		out.Tests = append(out.Tests, one)
	}
	return nil
}
