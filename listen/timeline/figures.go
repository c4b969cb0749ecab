package timeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"steer/base/event"
	"steer/base/id"
)

// Figures are how long the parts of one chain took, in seconds; null is not
// known, or not happened yet.
type Figures struct {
	CommitToProduction *float64 `json:"commit_to_production_seconds"` // commit → first deployed in production
	DeployToDetected   *float64 `json:"deploy_to_detected_seconds"`   // deployed → incident opened
	DetectedToRestored *float64 `json:"detected_to_restored_seconds"` // incident opened → resolved
}

const production id.Environment = "production"

// serving are the events after which another version has the traffic.
var serving = []string{event.Deployed, event.Upgraded, event.RolledBack}

// figures measures a chain. If it never reached an environment called production
// the environment of its incident, else its last one, counts instead.
func figures(events []event.Event) (f Figures) {
	in := production
	reached := func(e event.Event) bool { return slices.Contains(serving, e.Type) }
	if !slices.ContainsFunc(events, func(e event.Event) bool { return reached(e) && e.Environment == production }) {
		for _, e := range events {
			if e.Type == event.IncidentOpened && e.Environment != "" {
				in = e.Environment
				break
			} else if reached(e) {
				in = e.Environment
			}
		}
	}
	var committed, seen, deployed, opened, resolved time.Time
	var incident string
	for _, e := range events {
		var d struct {
			Committed time.Time `json:"committed"`
			Kind      string    `json:"kind"`
		}
		// What another version of Steer wrote differently is left out.
		_ = json.Unmarshal(e.Data, &d)
		if committed.IsZero() && !d.Committed.IsZero() && d.Kind != "rollback" && d.Kind != "auto-rollback" {
			committed = d.Committed
		}
		switch {
		case e.Type == event.ChangeMerged && seen.IsZero():
			seen = e.Time
		case reached(e) && e.Environment == in && e.Type != event.RolledBack && deployed.IsZero():
			deployed = e.Time
		case e.Type == event.IncidentOpened && opened.IsZero():
			opened, incident = e.Time, e.Subject
		case e.Type == event.IncidentClosed && e.Subject == incident && resolved.IsZero():
			resolved = e.Time
		}
	}
	if committed.IsZero() {
		committed = seen
	}
	f.CommitToProduction = seconds(committed, deployed)
	f.DeployToDetected = seconds(deployed, opened)
	f.DetectedToRestored = seconds(opened, resolved)
	return f
}

func seconds(from, to time.Time) *float64 {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return nil
	}
	s := to.Sub(from).Seconds()
	return &s
}

// lines writes the events for people: when, how long after the one before, what.
func lines(events []event.Event) []string {
	list := []string{}
	for n, e := range events {
		gap := ""
		if n > 0 {
			gap = pause(e.Time.Sub(events[n-1].Time))
		}
		text := e.Summary
		if e.Actor != event.Steer && e.Actor != "" {
			text += " (" + string(e.Actor) + ")"
		}
		list = append(list, fmt.Sprintf("%s %8s  %s", e.Time.UTC().Format(time.DateTime), gap, text))
	}
	return list
}

func pause(d time.Duration) string {
	switch {
	case d < 50*time.Millisecond:
		return "" // at once, or recorded out of order
	case d < 10*time.Second:
		return "+" + d.Round(100*time.Millisecond).String()
	case d < time.Hour:
		return "+" + d.Round(time.Second).String()
	}
	return "+" + d.Round(time.Minute).String()
}
