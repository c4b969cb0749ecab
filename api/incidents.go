package api

import (
	"context"
	"net/http"

	"steer/base/id"
	"steer/monitor/state"
)

// Acknowledgement says that somebody takes care.
type Acknowledgement struct {
	Comment string `json:"comment,omitempty" maxLength:"1000" doc:"What is being done; kept in the journal."`
}

func (a *API) incidents() {
	operation(a, http.MethodGet, "/incidents", "list-incidents", "Incidents, newest first", viewer,
		func(ctx context.Context, in *struct {
			Service string `query:"service" doc:"Only this service."`
			Open    bool   `query:"open" doc:"Only those that are not resolved."`
			Limit   int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"At most so many."`
		}) ([]state.Incident, error) {
			filter := state.Filter{Service: id.Service(in.Service), Limit: in.Limit}
			if in.Open {
				filter.State = "active"
			}
			all, err := a.o.Checks.Incidents(ctx, filter)
			return list(all), err
		})
	operation(a, http.MethodGet, "/incidents/{id}", "get-incident", "One incident and what changed before it", viewer,
		func(ctx context.Context, in *runInput) (state.Incident, error) {
			return a.o.Checks.Incident(ctx, in.ID)
		})
	placed(a, http.MethodPost, "/incidents/{id}/ack", "acknowledge-incident", "Say that you take care of it", developer,
		func(ctx context.Context, in *struct {
			ID   int64 `path:"id" doc:"Number of the incident."`
			Body Acknowledgement
		}) (state.Incident, error) {
			if err := a.mayHandle(ctx, in.ID); err != nil {
				return state.Incident{}, err
			}
			return a.o.Checks.Acknowledge(ctx, in.ID, person(ctx), in.Body.Comment)
		})
	placed(a, http.MethodPost, "/incidents/{id}/resolve", "resolve-incident", "Close it by hand", developer,
		func(ctx context.Context, in *struct {
			ID   int64 `path:"id" doc:"Number of the incident."`
			Body Decision
		}) (state.Incident, error) {
			if err := a.mayHandle(ctx, in.ID); err != nil {
				return state.Incident{}, err
			}
			return a.o.Checks.Resolve(ctx, in.ID, person(ctx), in.Body.Reason)
		})
}

// mayHandle asks for a developer where the incident is.
func (a *API) mayHandle(ctx context.Context, number int64) error {
	i, err := a.o.Checks.Incident(ctx, number)
	if err != nil {
		return err
	}
	return may(ctx, developer, i.Environment)
}
