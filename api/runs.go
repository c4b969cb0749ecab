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
	operation(a, http.MethodPost, "/runs/{id}/stages/{stage}/approve", "approve-stage", "Let a waiting stage go on", developer,
		func(ctx context.Context, in *stageInput) (pipeline.Run, error) {
			return a.decided(ctx, in, a.o.Pipelines.Approve)
		})
	operation(a, http.MethodPost, "/runs/{id}/stages/{stage}/reject", "reject-stage", "Stop a run at a waiting stage", developer,
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
	for _, s := range run.Stages {
		if s.Name == in.Stage && s.Deploy != "" {
			if err := may(ctx, developer, s.Deploy); err != nil {
				return run, err
			}
		}
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
	open := a.o.Pipelines.Log
	if r.URL.Query().Get("follow") != "" {
		open = a.o.Pipelines.Follow
	}
	log, err := open(r.Context(), number, r.PathValue("stage"))
	a.text(w, r, log, err)
}

// text sends a log as it grows.
func (a *API) text(w http.ResponseWriter, r *http.Request, log io.ReadCloser, err error) {
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := log.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			out.Flush()
		}
		if err != nil {
			return
		}
	}
}
