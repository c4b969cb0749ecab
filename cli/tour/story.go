package tour

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"steer/api/client"
	"steer/base/event"
)

// What the sample service offers, and the figure that its check watches.
var pages = []string{"/", "/items", "/items/3"}

const firstByte = "stats.timers.catalog.production.ttfb.upper_90"

// trouble waits until Steer has noticed the slow version by itself.
func (t *tour) trouble(ctx context.Context) error {
	t.stepf("Steer notices by itself")
	var critical client.Status
	err := t.until(ctx, "the check to break", func(ctx context.Context) (bool, error) {
		statuses, err := t.ada.Checks(ctx)
		for _, s := range statuses {
			if s.State == "CRITICAL" && s.Check.Service == sampleName {
				critical = s
				return true, err
			}
		}
		return false, err
	})
	if err != nil {
		return err
	}
	t.badf("check %s is CRITICAL: %s", critical.Key, critical.Reason)

	var opened client.Incident
	err = t.until(ctx, "an incident", func(ctx context.Context) (bool, error) {
		incidents, err := t.ada.Incidents(ctx, false, 10)
		for _, i := range incidents {
			if i.Service == sampleName {
				opened = i
			}
		}
		return opened.ID != 0, err
	})
	if err != nil {
		return err
	}
	t.incident = opened.ID
	t.okf("incident %d is open, and blames what changed just before: %s", opened.ID, blamed(opened))
	if opened.Chain == "" {
		return fmt.Errorf("incident %d names no change that it may come from", opened.ID)
	}
	return t.told(ctx, "opened")
}

// blamed is the summary of the change that an incident points at.
func blamed(i client.Incident) string {
	if e, ok := i.Suspect(); ok {
		return e.Summary
	}
	return "nothing"
}

// told waits for the team's notification.
func (t *tour) told(ctx context.Context, transition string) error {
	var m message
	err := t.until(ctx, "the notification", func(context.Context) (ok bool, _ error) {
		m, ok = t.receiver.got(t.incident, transition)
		return ok, nil
	})
	if err != nil {
		return err
	}
	t.okf("the team's webhook got: %s", m.Text)
	return nil
}

// recovery waits until the old version serves again and all is well.
func (t *tour) recovery(ctx context.Context) error {
	t.stepf("And goes back by itself")
	var back client.Deploy
	err := t.until(ctx, "the automatic rollback", func(ctx context.Context) (bool, error) {
		deploys, err := t.ada.Deploys(ctx, sampleName, environment, 10)
		for _, d := range deploys {
			if d.Kind == "auto-rollback" {
				back = d
			}
		}
		if back.State == "failed" {
			return false, fmt.Errorf("the rollback, deploy %d, failed: %+v", back.ID, back.Failure)
		}
		return back.State == "passed", err
	})
	if err != nil {
		return err
	}
	if back.Version != "b1" {
		return fmt.Errorf("deploy %d went back to %s instead of b1", back.ID, back.Version)
	}
	took := ""
	if back.Finished != nil {
		took = " " + brief(back.Finished.Sub(back.Created)) + " after it was decided"
	}
	t.okf("rolled back: b1 serves again%s, its nodes were still warm", took)
	if _, err := t.serving(ctx, "b1"); err != nil {
		return err
	}
	service, err := t.ada.Service(ctx, sampleName)
	if err != nil {
		return err
	}
	var pinned []string
	for _, p := range service.Pins {
		pinned = append(pinned, string(p.Version))
	}
	if !slices.Contains(pinned, "b2") {
		return fmt.Errorf("b2 is not kept out of latest (kept out: %s)", strings.Join(pinned, ", "))
	}
	t.okf("b2 is kept out of version=latest until somebody says otherwise")

	number := strconv.FormatInt(t.incident, 10)
	var i client.Incident
	err = t.until(ctx, "the incident to end", func(ctx context.Context) (bool, error) {
		var err error
		i, err = t.ada.Incident(ctx, number)
		return i.State == "resolved", err
	})
	if err != nil {
		return err
	}
	t.okf("incident %d is resolved: %s", i.ID, i.ResolveReason)
	if err := t.told(ctx, "resolved"); err != nil {
		return err
	}
	for _, words := range [][]string{{"steer", "status"}, {"steer", "incident", number}} {
		out, err := t.shell.run(ctx, t.root, words...)
		if err != nil {
			return err
		}
		t.output(out)
	}
	return nil
}

// figures prints the chain, and what the change cost and taught.
func (t *tour) figures(ctx context.Context) error {
	ref := fmt.Sprintf("incident/%d", t.incident)
	t.stepf("What led to what, and the figures")
	out, err := t.shell.run(ctx, t.root, "steer", "why", ref)
	if err != nil {
		return err
	}
	t.output(out)
	chain, err := t.ada.Why(ctx, ref)
	if err != nil {
		return err
	}
	if err := complete(chain.Events); err != nil {
		return fmt.Errorf("the chain of %s: %w", ref, err)
	}
	flow, err := t.ada.Flow(ctx, sampleName, environment, 1)
	if err != nil {
		return err
	}
	total := flow.Total
	if total.LeadTime.Median == nil || total.TimeToDetect.Median == nil || total.TimeToRestore.Median == nil {
		return fmt.Errorf("a figure is missing: lead time %v, time to detect %v, time to restore %v", total.LeadTime.Samples, total.TimeToDetect.Samples, total.TimeToRestore.Samples)
	}
	c := t.customers.counted()
	if err := c.error(); err != nil {
		return err
	}
	t.okf("lead time         %8s   commit of b2 → production", seconds(*total.LeadTime.Median))
	t.okf("time to detect    %8s   b2 in production → incident", seconds(*total.TimeToDetect.Median))
	t.okf("time to restore   %8s   incident → resolved", seconds(*total.TimeToRestore.Median))
	t.okf("change failures   %8s   of deployments to production", fmt.Sprintf("%d of %d", total.ChangeFailure.Failed, total.ChangeFailure.Of))
	t.okf("requests          %8d   served (%s), %d failed, slowest %s", c.answered, byVersion(c.versions), c.failed, brief(c.slowest))
	if c.retried > 0 {
		t.notef("%d of them needed a second connection", c.retried)
	}
	t.okf("the whole tour    %8s", seconds(t.now().Sub(t.start).Seconds()))
	return nil
}

// byVersion says which version gave how many answers.
func byVersion(answers map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(answers)) {
		parts = append(parts, fmt.Sprintf("%d by %s", answers[v], v))
	}
	return strings.Join(parts, ", ")
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 1, 64) + " s" }

// complete makes sure that a chain tells the whole story, in its order.
func complete(events []client.Event) error {
	story := []struct{ what, kind string }{
		{"the commit", event.ChangeMerged},
		{"the artifact", event.ArtifactPackaged},
		{"the deploy", event.Upgraded},
		{"the incident", event.IncidentOpened},
		{"the rollback", event.RolledBack},
		{"the end of the incident", event.IncidentClosed},
	}
	at := 0
	for _, e := range events {
		if at < len(story) && e.Type == story[at].kind {
			at++
		}
	}
	if at < len(story) {
		return fmt.Errorf("%s is missing, or not where it belongs, among %d events", story[at].what, len(events))
	}
	return nil
}
