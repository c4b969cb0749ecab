package api

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/pipeline"
)

type runInput struct {
	ID int64 `path:"id" doc:"Number of the run."`
}

// Decision is a person's word on a stage.
type Decision struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; kept in the journal."`
}

type stageInput struct {
	ID    int64  `path:"id" doc:"Number of the run."`
	Stage string `path:"stage" doc:"Name of the stage."`
	Body  Decision
}

func (a *API) runs() {
	operation(a, http.MethodGet, "/runs", "list-runs", "Pipeline runs, newest first", viewer,
		func(ctx context.Context, in *struct {
			Service string `query:"service" doc:"Only this service."`
			Limit   int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"At most so many."`
		}) ([]pipeline.Run, error) {
			runs, err := a.o.Pipelines.Runs(ctx, pipeline.Filter{Service: id.Service(in.Service), Limit: in.Limit})
			return list(runs), err
		})
	operation(a, http.MethodGet, "/runs/{id}", "get-run", "One run with its stages", viewer,
		func(ctx context.Context, in *runInput) (pipeline.Run, error) { return a.o.Pipelines.Get(ctx, in.ID) })
	placed(a, http.MethodPost, "/runs/{id}/stages/{stage}/approve", "approve-stage", "Let a waiting stage go on", developer,
		func(ctx context.Context, in *stageInput) (pipeline.Run, error) {
			return a.decided(ctx, in, a.o.Pipelines.Approve)
		})
	placed(a, http.MethodPost, "/runs/{id}/stages/{stage}/reject", "reject-stage", "Stop a run at a waiting stage", developer,
		func(ctx context.Context, in *stageInput) (pipeline.Run, error) {
			return a.decided(ctx, in, a.o.Pipelines.Reject)
		})
	operation(a, http.MethodPost, "/runs/{id}/retry", "retry-run", "Run again from the failed stage", developer,
		func(ctx context.Context, in *runInput) (pipeline.Run, error) {
			return a.o.Pipelines.Retry(ctx, in.ID, person(ctx))
		})
	operation(a, http.MethodPost, "/runs/{id}/cancel", "cancel-run", "Stop a run", developer,
		func(ctx context.Context, in *struct {
			ID   int64 `path:"id" doc:"Number of the run."`
			Body Decision
		}) (pipeline.Run, error) {
			return a.o.Pipelines.Cancel(ctx, in.ID, person(ctx), in.Body.Reason)
		})
}

func (a *API) decided(ctx context.Context, in *stageInput, decide func(context.Context, int64, string, id.Person, string) (pipeline.Run, error)) (pipeline.Run, error) {
	run, err := a.o.Pipelines.Get(ctx, in.ID)
	if err != nil {
		return run, err
	}
	var env id.Environment // of a stage that deploys nowhere: all
	for _, s := range run.Stages {
		if s.Name == in.Stage {
			env = s.Deploy
		}
	}
	if err := may(ctx, developer, env); err != nil {
		return run, err
	}
	return decide(ctx, in.ID, in.Stage, person(ctx), in.Body.Reason)
}

// stageLog sends what a stage printed; with ?follow=1 until the stage is over.
func (a *API) stageLog(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		a.refuse(w, r, fault.New(fault.Invalid, "run %q is no number", r.PathValue("id")))
		return
	}
	a.text(w, r, func(ctx context.Context, follow bool) (io.ReadCloser, error) {
		if follow {
			return a.o.Pipelines.Follow(ctx, number, r.PathValue("stage"))
		}
		return a.o.Pipelines.Log(ctx, number, r.PathValue("stage"))
	})
}
