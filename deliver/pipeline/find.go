package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/base/id"
)

// Filter selects runs; a zero field selects all.
type Filter struct {
	Service id.Service
	State   string
	Before  int64 // only runs with a smaller number
	Limit   int   // default 50, at most 500
}

// Runs returns runs, newest first.
func (p *Pipeline) Runs(ctx context.Context, f Filter) ([]Run, error) {
	conditions, args := []string{"id > $1"}, []any{0}
	add := func(condition string, v any) {
		args = append(args, v)
		conditions = append(conditions, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	if f.Service != "" {
		add("service =", f.Service)
	}
	if f.State != "" {
		add("state =", f.State)
	}
	if f.Before > 0 {
		add("id <", f.Before)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	list, err := selected(ctx, p.DB.Read(), fmt.Sprintf("%s ORDER BY id DESC LIMIT %d", strings.Join(conditions, " AND "), min(limit, 500)), args...)
	if err != nil {
		return nil, err
	}
	runs := make([]Run, len(list))
	for i, r := range list {
		runs[i] = r.Run
	}
	return runs, nil
}

// Get returns one run.
func (p *Pipeline) Get(ctx context.Context, run int64) (Run, error) {
	r, err := load(ctx, p.DB.Read(), run)
	if err != nil {
		return Run{}, err
	}
	return r.Run, nil
}

// Version is one version of a service and how far it has come.
type Version struct {
	Run
	Pinned bool `json:"pinned"` // kept out of "latest"
}

// Versions returns the versions of a service, newest first, at most limit.
func (p *Pipeline) Versions(ctx context.Context, service id.Service, limit int) ([]Version, error) {
	runs, err := p.Runs(ctx, Filter{Service: service, Limit: limit})
	if err != nil {
		return nil, err
	}
	pinned, err := p.Pinned(ctx, service)
	if err != nil {
		return nil, fmt.Errorf("versions of %s: %w", service, err)
	}
	list := make([]Version, len(runs))
	for i, r := range runs {
		list[i] = Version{r, slices.Contains(pinned, r.Version)}
	}
	return list, nil
}

// Latest returns the newest green version of a service that is not pinned.
func (p *Pipeline) Latest(ctx context.Context, service id.Service) (id.Version, error) {
	pinned, err := p.Pinned(ctx, service)
	if err != nil {
		return "", fmt.Errorf("latest version of %s: %w", service, err)
	}
	rows, err := p.DB.Read().QueryContext(ctx, "SELECT version FROM pipeline_run WHERE service = $1 AND green ORDER BY id DESC", service)
	if err != nil {
		return "", fmt.Errorf("latest version of %s: %w", service, err)
	}
	defer rows.Close()
	kept := 0
	for rows.Next() {
		var v id.Version
		if err := rows.Scan(&v); err != nil {
			return "", fmt.Errorf("latest version of %s: %w", service, err)
		}
		if !slices.Contains(pinned, v) {
			return v, nil
		}
		kept++
	}
	if err := rows.Err(); err != nil {
		return "", fmt.Errorf("latest version of %s: %w", service, err)
	}
	if kept > 0 {
		return "", fault.New(fault.NotFound, "latest version of %s: all %d green versions are pinned (free one, or name a version)", service, kept)
	}
	runs, err := p.Runs(ctx, Filter{Service: service, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(runs) == 0 {
		return "", fault.New(fault.NotFound, "latest version of %s: nothing has been built of it yet (push a commit)", service)
	}
	why := runs[0].State
	if runs[0].Reason != "" {
		why += ": " + runs[0].Reason
	}
	return "", fault.New(fault.NotFound, "latest version of %s: none is green yet (run %d, %s, is %s)", service, runs[0].ID, runs[0].Version, why)
}

// Log reads what the log of a stage holds now.
func (p *Pipeline) Log(ctx context.Context, run int64, stage string) (io.ReadCloser, error) {
	if _, err := p.logged(ctx, run, stage); err != nil {
		return nil, err
	}
	f, err := os.Open(p.logFile(run, stage))
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(strings.NewReader("")), nil // nothing has been written yet
	}
	if err != nil {
		return nil, fmt.Errorf("log of stage %s of run %d: %w", stage, run, err)
	}
	return f, nil
}

// Follow reads the log of a stage from its beginning until the stage is over.
func (p *Pipeline) Follow(ctx context.Context, run int64, stage string) (io.ReadCloser, error) {
	if _, err := p.logged(ctx, run, stage); err != nil {
		return nil, err
	}
	return p.Options.Follow(ctx, p.logFile(run, stage), func(ctx context.Context) bool {
		s, err := p.logged(ctx, run, stage)
		return err != nil || s.State == Passed || s.State == Failed || s.State == Skipped
	}), nil
}

func (p *Pipeline) logged(ctx context.Context, run int64, stage string) (Stage, error) {
	r, err := p.Get(ctx, run)
	if err != nil {
		return Stage{}, err
	}
	i := r.stage(stage)
	if i < 0 {
		return Stage{}, fault.New(fault.NotFound, "log of stage %q of run %d: there is no such stage (it has: %s)", stage, run, names(r))
	}
	return r.Stages[i], nil
}
