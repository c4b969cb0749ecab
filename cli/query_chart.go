package cli

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"time"

	"steer/api/client"
	"steer/base/event"
	"steer/base/metric"
	"steer/cli/chart"
)

// chart draws series for a terminal.
func (s *session) chart(ctx context.Context, c *client.Client, series []client.Series, q asked) error {
	o := chart.Options{TZ: time.Local, ASCII: q.ascii, Colour: !s.noColor && terminal(s.Stdout) && s.Env("TERM") != "dumb"}
	o.Width, o.Height = s.size(q.columns, q.rows)
	lines := make([]metric.Series, len(series))
	for i, one := range series {
		lines[i] = column(one)
	}
	if from, until, ok := span(series); ok && q.marks {
		// Whoever may read metrics only gets the chart without marks.
		if events, err := c.Events(ctx, marked(from, until)); err == nil {
			for _, e := range about(events, q.target) {
				o.Marks = append(o.Marks, chart.Mark{Time: e.Time.Unix(), Text: told(e), Bad: e.Type == event.IncidentOpened || e.Type == event.RolledBack})
			}
		}
	}
	for _, line := range chart.Draw(lines, o) {
		if _, err := fmt.Fprintln(s.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// column is a series on its grid.
func column(one client.Series) metric.Series {
	m := metric.Series{Name: one.Target, Step: 1, Values: make([]float64, len(one.Points))}
	for i, p := range one.Points {
		m.Values[i] = math.NaN()
		if p.Value != nil {
			m.Values[i] = *p.Value
		}
	}
	if len(one.Points) > 0 {
		m.Start = one.Points[0].Time
	}
	if len(one.Points) > 1 {
		m.Step = one.Points[1].Time - one.Points[0].Time
	}
	return m
}

// span is the time of all series.
func span(series []client.Series) (from, until int64, ok bool) {
	for _, one := range series {
		for _, p := range one.Points {
			if !ok {
				from, until, ok = p.Time, p.Time, true
			}
			from, until = min(from, p.Time), max(until, p.Time)
		}
	}
	return from, until, ok
}

// marked asks for the newest turning points of a time.
func marked(from, until int64) url.Values {
	stamp := func(t int64) []string { return []string{time.Unix(t, 0).UTC().Format(time.RFC3339)} }
	return url.Values{"since": stamp(from), "until": stamp(until + 1), "limit": {"200"},
		"type": {event.Deployed, event.Upgraded, event.RolledBack, event.IncidentOpened, event.IncidentClosed}}
}

// about leaves out what happened to other services, or in other environments, than
// those that the target names, and puts the oldest first.
func about(events []client.Event, target string) []client.Event {
	words := regexp.MustCompile(`[^\w-]+`).Split(target, -1)
	named := func(of func(client.Event) string) func(client.Event) bool {
		any := slices.ContainsFunc(events, func(e client.Event) bool { return of(e) != "" && slices.Contains(words, of(e)) })
		return func(e client.Event) bool { return !any || of(e) == "" || slices.Contains(words, of(e)) }
	}
	service := named(func(e client.Event) string { return string(e.Service) })
	environment := named(func(e client.Event) string { return string(e.Environment) })
	kept := slices.DeleteFunc(slices.Clone(events), func(e client.Event) bool { return !service(e) || !environment(e) })
	slices.Reverse(kept)
	return kept
}
