package followup

import (
	"time"

	"steer/base/event"
)

// facts are all that a follow-up is made from.
type facts struct {
	incident Incident
	events   []event.Event // about it, in the order of the journal
	checks   []Watched
	said     []said // in order
	within   time.Duration
	now      time.Time
	before   int64 // the incident whose check this is again; 0: none
	after    int64 // the incident by which this came back; 0: none
}

// follow works out the steps, in their order: each may look at those before it.
func follow(f facts) Followup {
	i := f.incident
	out := Followup{
		Incident: i.Number, Title: i.Title, Check: i.Check, Service: i.Service, Environment: i.Environment, Team: i.Team,
		Opened: i.Opened, ReturnOf: f.before, ReturnedAs: f.after,
	}
	if !i.Resolved.IsZero() {
		until := i.Resolved.Add(f.within)
		out.Resolved, out.Until = &i.Resolved, &until
	}
	l := &look{facts: f, out: &out, stages: stages(f)}
	for _, t := range titles {
		s := Step{Name: t.name, Title: t.title, State: Open}
		refused := s.hear(f.said)
		if s.State == Open {
			if e := l.find(t.name, refused); e != nil {
				s.State, s.Evidence = Found, e
			}
		}
		out.Steps = append(out.Steps, s)
	}
	// Without a test or a check there is none to pass.
	for _, pair := range [][2]string{{Test, TestPasses}, {Check, CheckPasses}} {
		first, then := out.step(pair[0]), out.step(pair[1])
		if first.State == Waived && then.State == Open {
			then.State, then.By, then.Reason = Waived, first.By, first.Reason
		}
	}
	out.judge(f, l.due)
	for n := range out.Steps {
		if s := &out.Steps[n]; s.State == Open {
			s.Next = l.next(s.Name)
			if out.Next == "" {
				out.Next = s.Next
			}
		}
	}
	if f.before != 0 && out.Next != "" {
		out.Next = again(f.before) + out.Next
	}
	return out
}

// hear takes what people said about the step, and returns the evidence that they
// doubt.
func (s *Step) hear(all []said) (refused map[string]bool) {
	refused = map[string]bool{}
	for _, p := range all {
		if p.Step != s.Name {
			continue
		}
		switch p.What {
		case give, confirm:
			s.State, s.Evidence = Given, p.Evidence
			if p.What == confirm {
				s.State = Confirmed
			}
			delete(refused, p.Evidence.Ref)
		case waive:
			s.State, s.Evidence = Waived, nil
		case doubt:
			s.State, s.Evidence = Open, nil
			if p.Evidence != nil {
				refused[p.Evidence.Ref] = true
			}
			s.By, s.Reason = "", ""
			continue
		}
		s.By, s.Reason = p.By, p.Reason
	}
	return refused
}

// judge says how the whole is, from its steps and the clock; due is when a step
// may be done by waiting.
func (out *Followup) judge(f facts, due time.Time) {
	for _, s := range out.Steps {
		switch s.State {
		case Open:
		case Waived:
			out.Waived++
		default:
			out.Done++
		}
	}
	// Nothing is done for good before the incident is over.
	switch all := out.Done+out.Waived == len(out.Steps) && out.Resolved != nil; {
	case all && out.Waived > 0:
		out.State = Waived
	case all && f.after != 0:
		out.State = Returned
	case all:
		out.State = Complete
	case out.Until != nil && !f.now.Before(*out.Until):
		out.State = Without
	default:
		out.State = Following
		if out.Until != nil {
			out.due = *out.Until
		}
	}
	switch {
	case out.Finished() || out.State == Returned:
		at := f.now
		out.Settled = &at
	case out.State == Without:
		out.Settled = out.Until
	}
	if !due.IsZero() && (out.due.IsZero() || due.Before(out.due)) {
		out.due = due
	}
}
