package signs

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"steer/base/event"
	"steer/base/id"
)

func TestFailures(t *testing.T) {
	week := 7 * 24.0
	hosts := []Host{{Name: "web-1", Group: "web", Owner: "ops", Environment: "production", Seen: at(week + 24)}}
	facts := Facts{Hosts: hosts, Services: map[id.Service]id.Team{"shop": "storefront", "quiet": "storefront"}, Environments: []id.Environment{"production", "ci"}}
	for _, c := range []struct {
		name   string
		events []event.Event
		facts  func(*Facts)
		query  Query
		of     func(Failures) Reliability
		want   string // failures, between, median between, down, repair median, repair mean, open | before: failures, between
	}{
		{name: "none", want: "0 none none 0 none none 0 | 0 none"},
		{
			name:   "two apart",
			events: slices.Concat(incidentOf(1, "shop/up", week+10, week+11, "shop", "production"), incidentOf(2, "shop/up", week+50, week+53, "shop", "production")),
			want:   "2 82 24.5 4 2 2 0 | 0 none", // (168-4)/2; (10+39)/2
		}, {
			name:   "two that overlap are one failure, and two repairs",
			events: append(incidentOf(1, "shop/up", week+10, 0, "shop", "production"), append(incidentOf(2, "shop/ttfb", week+11, week+13, "shop", "production"), told(event.IncidentClosed, "incident/1", week+12, map[string]any{"severity": "page"}))...),
			want:   "1 165 10 3 2 2 0 | 0 none",
		}, {
			name:   "one that goes on",
			events: incidentOf(1, "shop/up", week+160, 0, "shop", "production"),
			want:   "1 160 160 8 none none 1 | 0 none",
		}, {
			name:   "one from before that ends in the period is downtime and no failure of it",
			events: incidentOf(1, "shop/up", week-10, week+2, "shop", "production"),
			want:   "0 none none 2 none none 0 | 1 158",
		}, {
			name: "one from long ago that goes on is known from the records",
			facts: func(f *Facts) {
				f.Open = []Open{{Ref: "incident/1", Service: "shop", Opened: at(-1000), Severity: "page"}}
			},
			want: "0 none none 168 none none 0 | 0 none",
		}, {
			name: "info is none",
			events: []event.Event{told(event.IncidentOpened, "incident/1", week+1, map[string]any{"check": "x", "severity": "info"}),
				told(event.IncidentClosed, "incident/1", week+2, map[string]any{"severity": "info"})},
			want: "0 none none 0 none none 0 | 0 none",
		}, {
			name:   "a group is observed since its first host",
			events: incidentOf(1, "host/web-1", week+48, week+50, "", ""),
			of:     func(f Failures) Reliability { return f.Groups[0] },
			want:   "1 142 24 2 2 2 0 | 0 none", // 168-24-2
		}, {
			name:   "a check of a host's role is of its group, and of its environment",
			events: incidentOf(1, "web-1-disk", week+48, week+50, "", ""),
			of: func(f Failures) Reliability {
				return f.Environments[slices.IndexFunc(f.Environments, func(r Reliability) bool { return r.Name == "production" })]
			},
			want: "1 142 24 2 2 2 0 | 0 none",
		}, {
			name:   "a service without any is listed",
			events: incidentOf(1, "shop/up", week+10, week+11, "shop", "production"),
			of:     func(f Failures) Reliability { return f.Services[0] },
			want:   "0 none none 0 none none 0 | 0 none",
		}, {
			name:   "of another team",
			events: incidentOf(1, "host/web-1", week+48, week+50, "", ""),
			query:  Query{Team: "storefront"},
			want:   "0 none none 0 none none 0 | 0 none",
		}, {
			name:   "elsewhere",
			events: incidentOf(1, "shop/up", week+10, week+11, "shop", "production"),
			query:  Query{Environment: "ci"},
			want:   "0 none none 0 none none 0 | 0 none",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts
			if c.facts != nil {
				c.facts(&f)
			}
			all := tale(c.events...).failures(weeks, c.query, f.known())
			r := all.Total
			if c.of != nil {
				r = c.of(all)
			}
			down := r.Down
			got := fmt.Sprintf("%d %s %s %s %s %s %d | %d %s", r.Failures, text(r.Between), text(r.MedianBetween), text(&down), text(r.Repair.Median), text(r.Repair.Mean), r.Open, r.Before.Failures, text(r.Before.Between))
			if got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// Whatever happened: the times add up, and everything named exists.
func TestFailuresAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []event.Event
		for n := range rapid.IntRange(0, 30).Draw(t, "incidents") {
			from := rapid.Float64Range(-50, 400).Draw(t, "from")
			events = append(events, incidentOf(n, "shop/up", from, from+rapid.Float64Range(-5, 80).Draw(t, "lasts"), rapid.SampledFrom([]id.Service{"shop", "pay", ""}).Draw(t, "service"), "production")...)
		}
		slices.SortStableFunc(events, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
		s := tale(events...)
		s.first = at(rapid.Float64Range(0, 330).Draw(t, "first"))
		all := s.failures(weeks, Query{}, Facts{}.known())
		for _, r := range append(append(all.Services, all.Environments...), all.Total) {
			if r.Down < 0 || r.Down > r.Observed+1e-6 || r.Failures != len(r.Outages) || (r.Between == nil) != (r.Failures == 0) {
				t.Fatalf("%+v", r)
			}
			if r.Between != nil && math.Abs(*r.Between*float64(r.Failures)+r.Down-r.Observed) > 1e-3 {
				t.Fatalf("%v × %d + %v is not %v", *r.Between, r.Failures, r.Down, r.Observed)
			}
			for i, o := range r.Outages { // newest first, apart from each other
				if i > 0 && (o.To.IsZero() || !o.To.Before(r.Outages[i-1].From)) || len(o.Incidents) == 0 {
					t.Fatalf("%+v", r.Outages)
				}
			}
		}
	})
}
