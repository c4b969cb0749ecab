package followup

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// stepNames lists the steps for people.
func stepNames() string {
	var names []string
	for _, t := range titles {
		names = append(names, t.name)
	}
	return strings.Join(names, ", ")
}

// begin finds what somebody speaks about. It is called with f.mu held.
func (f *Followups) begin(ctx context.Context, what string, number int64) (i Incident, was row, is Followup, err error) {
	if i, err = f.o.Incident(ctx, number); err != nil {
		return i, was, is, fmt.Errorf("%s: %w", what, err)
	}
	if was, err = f.row(ctx, number); err != nil || was.settled() {
		return i, was, was.Followup, err
	}
	if is, err = f.update(ctx, i, was, nil); err != nil {
		return i, was, is, err
	}
	was, err = f.row(ctx, number)
	return i, was, is, err
}

// Learn says that a step is done. With a ref it gives the evidence, without one it
// confirms what Steer found.
func (f *Followups) Learn(ctx context.Context, number int64, step, ref, reason string, who id.Person) (Followup, error) {
	what := fmt.Sprintf("learn %s from incident %d", step, number)
	if !known(step) {
		return Followup{}, fault.New(fault.Invalid, "%s: there is no step %q (use %s)", what, step, stepNames())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i, was, is, err := f.begin(ctx, what, number)
	if err != nil {
		return is, err
	}
	s := said{Step: step, What: give, Reason: reason, By: who, At: f.o.Now().UTC()}
	switch at := is.step(step); {
	case ref != "":
		if s.Evidence, err = f.verify(ctx, i, is, step, ref); err != nil {
			return is, fmt.Errorf("%s: %w", what, err)
		}
	case at.State == Found:
		s.What, s.Evidence = confirm, at.Evidence
	case at.State == Open:
		return is, fault.New(fault.Conflict, "%s: Steer found no evidence that could be confirmed; name it (%s)", what, forms[step])
	default:
		return is, fault.New(fault.Conflict, "%s: the step is %s by %s already", what, at.State, at.By)
	}
	return f.update(ctx, i, was, []saying{{s, s.event(i, event.IncidentLearned, fmt.Sprintf("Incident %d, %s: %s", number, step, s.Evidence.Text))}})
}

// Doubt says that what stands for a step is none: evidence is not taken again, and a
// waiver ends.
func (f *Followups) Doubt(ctx context.Context, number int64, step, reason string, who id.Person) (Followup, error) {
	what := fmt.Sprintf("doubt %s of incident %d", step, number)
	switch {
	case !known(step) && step != Return:
		return Followup{}, fault.New(fault.Invalid, "%s: there is no step %q (use %s, or %s)", what, step, stepNames(), Return)
	case strings.TrimSpace(reason) == "":
		return Followup{}, fault.New(fault.Invalid, "%s: say why, for those who believed it", what)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i, was, is, err := f.begin(ctx, what, number)
	if err != nil {
		return is, err
	}
	s := said{Step: step, What: doubt, Reason: reason, By: who, At: f.o.Now().UTC()}
	text := fmt.Sprintf("Incident %d is not the return of incident %d", number, is.ReturnOf)
	if step == Return {
		if is.ReturnOf == 0 {
			return is, fault.New(fault.Conflict, "%s: it is not taken for the return of another", what)
		}
	} else {
		at := is.step(step)
		if at.State == Open {
			return is, fault.New(fault.Conflict, "%s: the step is open", what)
		}
		s.Evidence = at.Evidence
		text = fmt.Sprintf("Incident %d, %s: not waived any more", number, step)
		if s.Evidence != nil {
			text = fmt.Sprintf("Incident %d, %s: %s is no evidence", number, step, s.Evidence.Ref)
		}
	}
	return f.update(ctx, i, was, []saying{{s, s.event(i, event.IncidentDoubted, text)}})
}

// Waive says that steps are not worth it; without a step all that are open.
func (f *Followups) Waive(ctx context.Context, number int64, steps []string, reason string, who id.Person) (Followup, error) {
	what := fmt.Sprintf("waive %s of incident %d", strings.Join(steps, ", "), number)
	if len(steps) == 0 {
		what = fmt.Sprintf("waive the open steps of incident %d", number)
	}
	if strings.TrimSpace(reason) == "" {
		return Followup{}, fault.New(fault.Invalid, "%s: say why, for those who meet the fault again", what)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i, was, is, err := f.begin(ctx, what, number)
	if err != nil {
		return is, err
	}
	if len(steps) == 0 {
		for _, s := range is.Steps {
			if s.State == Open && s.Name != QuickFix {
				steps = append(steps, s.Name)
			}
		}
		if len(steps) == 0 {
			return is, fault.New(fault.Conflict, "%s: none is open", what)
		}
	}
	var just []saying
	for _, name := range steps {
		s := said{Step: name, What: waive, Reason: reason, By: who, At: f.o.Now().UTC()}
		switch at := is.step(name); {
		case at == nil:
			return is, fault.New(fault.Invalid, "%s: there is no step %q (use %s)", what, name, stepNames())
		case at.State != Open:
			return is, fault.New(fault.Conflict, "%s: %s is %s; if its evidence is none, doubt it first", what, name, at.State)
		}
		just = append(just, saying{s, s.event(i, event.IncidentWaived, fmt.Sprintf("Incident %d goes without %s", number, name))})
	}
	return f.update(ctx, i, was, just)
}

// event tells what a person said.
func (s said) event(i Incident, kind, summary string) event.Event {
	d := struct {
		Incident int64  `json:"incident"`
		Step     string `json:"step"`
		What     string `json:"what"`
		Ref      string `json:"ref,omitempty"`
	}{i.Number, s.Step, s.What, ""}
	if s.Evidence != nil {
		d.Ref = s.Evidence.Ref
	}
	data, err := json.Marshal(d)
	if err != nil {
		panic("BUG: what was said is no JSON: " + err.Error())
	}
	return event.Event{
		Source: source, Type: kind, Subject: incidentRef(i.Number), Time: s.At, Data: data, Summary: summary, Actor: s.By, Reason: s.Reason,
		Service: i.Service, Environment: i.Environment, Version: i.Version, Chain: i.Chain, Cause: i.Event,
	}
}
