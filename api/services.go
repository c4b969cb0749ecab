package api

import (
	"context"
	"net/http"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/catalog"
	"steer/deliver/deploy"
	"steer/deliver/pipeline"
	"steer/improve/flow"
	"steer/improve/signs"
	"steer/listen/timeline"
	"steer/monitor/state"
)

// Service is everything about one service.
type Service struct {
	ServiceNow
	Manifest  *catalog.Manifest `json:"manifest"` // of the newest commit with a good steer.yaml
	Runs      []pipeline.Run    `json:"runs"`     // newest first
	Deploys   []deploy.Deploy   `json:"deploys"`  // newest first
	Pins      []deploy.Pin      `json:"pins"`     // versions kept out of latest
	Statuses  []state.Status    `json:"statuses"` // of its checks
	Incidents []state.Incident  `json:"incidents"`
	Events    []event.Event     `json:"events"` // newest first
	Flow      *flow.Figures     `json:"flow"`   // of the last 30 days
}

// Why is the chain of events that a thing is part of.
type Why = timeline.Chain

type serviceInput struct {
	Service string `path:"service" doc:"Name of the service."`
}

func (a *API) services() {
	operation(a, http.MethodGet, "/services", "list-services", "All services at a glance", viewer,
		func(ctx context.Context, _ *none) ([]ServiceNow, error) { return a.everyService(ctx) })
	operation(a, http.MethodGet, "/services/{service}", "get-service", "Everything about one service", viewer,
		func(ctx context.Context, in *serviceInput) (Service, error) {
			return a.service(ctx, id.Service(in.Service))
		})
	operation(a, http.MethodGet, "/checks", "list-checks", "The state of every check", viewer,
		func(context.Context, *none) ([]state.Status, error) { return list(a.o.Checks.Statuses()), nil })
	operation(a, http.MethodGet, "/flow", "flow", "Lead time, deployment frequency, change failures, time to detect and to restore", viewer,
		func(ctx context.Context, in *struct {
			Service     string `query:"service" doc:"Only this service."`
			Environment string `query:"environment" default:"production" doc:"Where a change has arrived."`
			Days        int    `query:"days" default:"30" minimum:"1" maximum:"3650" doc:"Length of the period that ends now."`
		}) (flow.Figures, error) {
			return a.o.Flow.Figures(ctx, flow.Query{Service: id.Service(in.Service), Environment: id.Environment(in.Environment),
				Since: time.Now().AddDate(0, 0, -in.Days), Until: time.Now()})
		})
	operation(a, http.MethodGet, "/signs", "signs", "The signs of doing well: failures, rebuild times, patches, requests, working hours", viewer,
		func(ctx context.Context, in *struct {
			Team        string `query:"team" doc:"Only what belongs to this team."`
			Environment string `query:"environment" doc:"Only this environment; commits of the definitions are of none."`
			Days        int    `query:"days" default:"30" minimum:"1" maximum:"400" doc:"Length of the period that ends now; it is compared with the one before."`
		}) (signs.Signs, error) {
			return a.o.Signs.Signs(ctx, signs.Query{Team: id.Team(in.Team), Environment: id.Environment(in.Environment), Days: in.Days})
		})
	operation(a, http.MethodGet, "/why", "why", "The chain of events that led to a commit, run, version, deploy or incident", viewer,
		func(ctx context.Context, in *struct {
			Ref string `query:"ref" required:"true" doc:"incident/7, deploy/12, run/5, SERVICE/VERSION, a commit, or an event's id."`
		}) (Why, error) {
			return a.o.Timeline.Why(ctx, in.Ref)
		})
}

func (a *API) service(ctx context.Context, name id.Service) (Service, error) {
	all, err := a.everyService(ctx)
	if err != nil {
		return Service{}, err
	}
	var s Service
	known := ""
	for _, n := range all {
		known += " " + string(n.Service)
		if n.Service == name {
			s.ServiceNow = n
		}
	}
	if s.Service == "" {
		if known == "" {
			known = " none"
		}
		return s, fault.New(fault.NotFound, "service %q: no such service (known:%s)", name, known)
	}
	if m, ok := a.manifest(ctx, name); ok {
		s.Manifest = &m
	}
	if s.Runs, err = a.o.Pipelines.Runs(ctx, pipeline.Filter{Service: name, Limit: 20}); err != nil {
		return s, err
	}
	if s.Deploys, err = a.o.Deploys.Deploys(ctx, deploy.Filter{Service: name, Limit: 20}); err != nil {
		return s, err
	}
	if s.Pins, err = a.o.Deploys.Pins(ctx, name); err != nil {
		return s, err
	}
	for _, status := range a.o.Checks.Statuses() {
		if status.Check.Service == name {
			s.Statuses = append(s.Statuses, status)
		}
	}
	if s.Incidents, err = a.o.Checks.Incidents(ctx, state.Filter{Service: name, Limit: 20}); err != nil {
		return s, err
	}
	if s.Events, err = a.o.Journal.Read(ctx, journal.Query{Service: name, Types: changes, Newest: true, Limit: 50}); err != nil {
		return s, err
	}
	figures, err := a.o.Flow.Figures(ctx, flow.Query{Service: name, Since: time.Now().AddDate(0, 0, -30), Until: time.Now()})
	if err != nil {
		return s, err
	}
	s.Flow = &figures
	s.Runs, s.Deploys, s.Pins, s.Statuses = list(s.Runs), list(s.Deploys), list(s.Pins), list(s.Statuses)
	s.Incidents, s.Events = list(s.Incidents), list(s.Events)
	return s, nil
}
