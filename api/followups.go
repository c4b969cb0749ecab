package api

import (
	"context"
	"net/http"
	"time"

	"steer/base/id"
	"steer/improve/followup"
)

// Learned says that a step of an incident's follow-up is done.
type Learned struct {
	Ref    string `json:"ref,omitempty" maxLength:"500" doc:"Evidence: run/12/acceptance, deploy/14, commit/SHA, definitions/SHA, check/SERVICE/NAME, visit/3, or the address of a page. Empty: confirm what Steer found."`
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why it is evidence; kept in the journal."`
}

// Because is a reason that has to be given.
type Because struct {
	Reason string `json:"reason" maxLength:"1000" doc:"Why; kept in the journal."`
}

// Waiver says that steps of an incident's follow-up are not worth it.
type Waiver struct {
	Steps  []string `json:"steps,omitempty" maxItems:"6" doc:"Names of steps; empty: all that are open."`
	Reason string   `json:"reason" maxLength:"1000" doc:"Why; kept in the journal."`
}

func (a *API) followups() {
	operation(a, http.MethodGet, "/followups", "list-followups", "How far incidents are on the way to an improvement, those of the newest first", viewer,
		func(ctx context.Context, in *struct {
			State   string `query:"state" enum:"following,complete,without,waived,returned" doc:"Only those in this state: there is time left; all steps done; ended without; waived; came back."`
			Service string `query:"service" doc:"Only this service."`
			Team    string `query:"team" doc:"Only this team."`
			Before  int64  `query:"before" minimum:"0" doc:"Only of incidents with a smaller number, for the next page."`
			Limit   int    `query:"limit" default:"100" minimum:"1" maximum:"500" doc:"At most so many."`
		}) ([]followup.Followup, error) {
			all, err := a.o.Followups.List(ctx, followup.Filter{State: in.State, Service: id.Service(in.Service), Team: id.Team(in.Team), Before: in.Before, Limit: in.Limit})
			return list(all), err
		})
	operation(a, http.MethodGet, "/followups/shares", "followup-shares", "Share of the incidents that ended with all steps, by service and team", viewer,
		func(ctx context.Context, in *struct {
			Days int `query:"days" default:"90" minimum:"1" maximum:"3650" doc:"Length of the period that ends now, in which the incidents were resolved."`
		}) (followup.Shares, error) {
			now := time.Now()
			return a.o.Followups.Shares(ctx, now.AddDate(0, 0, -in.Days), now)
		})
	operation(a, http.MethodGet, "/incidents/{id}/followup", "get-followup", "The steps from an incident to an improvement, with their evidence", viewer,
		func(ctx context.Context, in *runInput) (followup.Followup, error) {
			return a.o.Followups.Get(ctx, in.ID)
		})
	placed(a, http.MethodPost, "/incidents/{id}/steps/{step}/learn", "learn-from-incident", "Say that a step is done: give evidence, or confirm what Steer found", developer,
		func(ctx context.Context, in *struct {
			ID   int64  `path:"id" doc:"Number of the incident."`
			Step string `path:"step" doc:"quick-fix, check, test, fix, test-passes or check-passes."`
			Body Learned
		}) (followup.Followup, error) {
			if err := a.mayHandle(ctx, in.ID); err != nil {
				return followup.Followup{}, err
			}
			return a.o.Followups.Learn(ctx, in.ID, in.Step, in.Body.Ref, in.Body.Reason, person(ctx))
		})
	placed(a, http.MethodPost, "/incidents/{id}/steps/{step}/doubt", "doubt-step-of-incident", "Say that what stands for a step is no evidence, or end its waiver", developer,
		func(ctx context.Context, in *struct {
			ID   int64  `path:"id" doc:"Number of the incident."`
			Step string `path:"step" doc:"A step; or return: it is not the return of an earlier incident."`
			Body Because
		}) (followup.Followup, error) {
			if err := a.mayHandle(ctx, in.ID); err != nil {
				return followup.Followup{}, err
			}
			return a.o.Followups.Doubt(ctx, in.ID, in.Step, in.Body.Reason, person(ctx))
		})
	placed(a, http.MethodPost, "/incidents/{id}/waive", "waive-steps-of-incident", "Say that steps are not worth it", developer,
		func(ctx context.Context, in *struct {
			ID   int64 `path:"id" doc:"Number of the incident."`
			Body Waiver
		}) (followup.Followup, error) {
			if err := a.mayHandle(ctx, in.ID); err != nil {
				return followup.Followup{}, err
			}
			return a.o.Followups.Waive(ctx, in.ID, in.Body.Steps, in.Body.Reason, person(ctx))
		})
}
