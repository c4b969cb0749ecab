package pipeline

import (
	"context"
	"fmt"

	"steer/base/id"
)

// Publication is a version that a stage with publish let into an environment's package
// repository.
type Publication struct {
	Service     id.Service
	Environment id.Environment
	Version     id.Version
}

// mostPublished bounds how far back publications are looked for, in runs.
const mostPublished = 500

// Published lists the publications of the newest runs that publish, newest first.
func (p *Pipeline) Published(ctx context.Context) ([]Publication, error) {
	runs, err := p.newest(ctx, fmt.Sprintf(`record LIKE '%%"publish":"%%' ORDER BY id DESC LIMIT %d`, mostPublished))
	if err != nil {
		return nil, fmt.Errorf("list publications: %w", err)
	}
	var all []Publication
	for _, r := range runs {
		if r.Manifest == nil || r.Digest == "" {
			continue
		}
		for _, s := range r.Manifest.Pipeline {
			if i := r.stage(s.Name); s.Publish != "" && i >= 0 && r.Stages[i].State == Passed {
				all = append(all, Publication{r.Service, s.Publish, r.Version})
			}
		}
	}
	return all, nil
}

// Greens are all versions that are green, of all services.
func (p *Pipeline) Greens(ctx context.Context) (map[id.Service]map[id.Version]bool, error) {
	rows, err := p.DB.Read().QueryContext(ctx, "SELECT service, version FROM pipeline_run WHERE green")
	if err != nil {
		return nil, fmt.Errorf("list green versions: %w", err)
	}
	defer rows.Close()
	all := map[id.Service]map[id.Version]bool{}
	for rows.Next() {
		var s id.Service
		var v id.Version
		if err := rows.Scan(&s, &v); err != nil {
			return nil, fmt.Errorf("list green versions: %w", err)
		}
		if all[s] == nil {
			all[s] = map[id.Version]bool{}
		}
		all[s][v] = true
	}
	return all, rows.Err()
}
