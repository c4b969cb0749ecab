package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"steer/base/event"
	"steer/base/id"
	"steer/base/journal"
	"steer/catalog"
	"steer/deliver/deploy"
	"steer/deliver/pipeline"
	"steer/monitor/state"
)

// Now is the state of everything, for the first page.
type Now struct {
	Services  []ServiceNow     `json:"services"`  // by name
	Incidents []state.Incident `json:"incidents"` // not resolved, newest first
	Changes   []event.Event    `json:"changes"`   // what changed lately, newest first
	Seq       int64            `json:"seq"`       // position of the journal this was read at or before
}

// ServiceNow is one service at a glance.
type ServiceNow struct {
	Service     id.Service         `json:"service"`
	Team        id.Team            `json:"team"`
	Description string             `json:"description"`
	State       string             `json:"state"` // ok, warn, critical, or unknown when nothing runs
	Build       *pipeline.Run      `json:"build"` // its newest run, null before the first
	Placements  []deploy.Placement `json:"placements"`
	Checks      map[string]int     `json:"checks"` // how many are in which state

	blind bool // a check lost its data; one that never had any yet is not meant
}

// changes are the events that people mean by "what changed".
var changes = []string{
	event.Deployed, event.Upgraded, event.RolledBack, event.DeployFailed, event.DefinitionsChanged, event.ChangeMerged,
	event.RunFinished, event.IncidentOpened, event.IncidentClosed, event.IncidentAcked, event.VersionPinned, event.VersionFreed,
	event.ApprovalCreated, event.ApprovalClosed, event.NodeDied, event.ServerStarted,
}

func (a *API) now() {
	operation(a, http.MethodGet, "/now", "now", "What runs where, current builds, open incidents, what just changed", viewer,
		func(ctx context.Context, _ *none) (Now, error) {
			var n Now
			var err error
			if n.Seq, err = a.o.Journal.Last(ctx); err != nil {
				return n, err
			}
			if n.Services, err = a.everyService(ctx); err != nil {
				return n, err
			}
			if n.Incidents, err = a.o.Checks.Incidents(ctx, state.Filter{State: "active", Limit: 100}); err != nil {
				return n, err
			}
			n.Incidents = list(n.Incidents)
			n.Changes, err = a.o.Journal.Read(ctx, journal.Query{Types: changes, Newest: true, Limit: 30})
			n.Changes = list(n.Changes)
			return n, err
		})
}

// list makes JSON's [] of an empty list, never null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// everyService gathers services from wherever one is known: definitions, builds,
// placements, checks.
func (a *API) everyService(ctx context.Context) ([]ServiceNow, error) {
	all := map[id.Service]*ServiceNow{}
	service := func(name id.Service) *ServiceNow {
		if all[name] == nil {
			all[name] = &ServiceNow{Service: name, Placements: []deploy.Placement{}, Checks: map[string]int{}}
		}
		return all[name]
	}
	for _, s := range a.o.Catalog().Services {
		service(s.Artifact).Team = s.Team
	}
	newest, err := a.o.Pipelines.Newest(ctx)
	if err != nil {
		return nil, err
	}
	for _, run := range newest {
		service(run.Service).Build = &run
	}
	placements, err := a.o.Deploys.Placements(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range placements {
		s := service(p.Service)
		s.Placements = append(s.Placements, p)
	}
	for _, status := range a.o.Checks.Statuses() {
		if status.Check.Service != "" {
			s := service(status.Check.Service)
			s.Checks[status.State]++
			s.blind = s.blind || status.State == "NODATA" && status.Incident != 0
		}
	}
	out := make([]ServiceNow, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		if m, ok := a.manifest(ctx, name); ok {
			s.Description = m.Description
			if m.Team != "" {
				s.Team = m.Team
			}
		}
		s.State = health(s)
		out = append(out, *s)
	}
	return out, nil
}

// manifest is the service's steer.yaml at its newest commit that had a good one.
func (a *API) manifest(ctx context.Context, service id.Service) (catalog.Manifest, bool) {
	m, err := a.o.Pipelines.ManifestOf(ctx, service)
	return m, err == nil
}

// health is the worst of checks and placements.
func health(s *ServiceNow) string {
	worst := "unknown"
	for _, p := range s.Placements {
		switch p.State {
		case "down":
			return "critical"
		case "degraded":
			worst = "warn"
		case "serving", "deploying":
			if worst == "unknown" {
				worst = "ok"
			}
		}
	}
	switch {
	case s.Checks["CRITICAL"] > 0:
		return "critical"
	case s.Checks["WARN"] > 0 || s.blind:
		return "warn"
	case worst == "unknown" && s.Checks["OK"] > 0:
		return "ok"
	}
	return worst
}
