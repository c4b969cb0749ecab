package pipeline

import (
	"context"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

// Newest returns the newest run of every service, by service.
func (p *Pipeline) Newest(ctx context.Context) ([]Run, error) {
	return p.newest(ctx, "id IN (SELECT max(id) FROM pipeline_run GROUP BY service) ORDER BY service")
}

// Manifests returns the steer.yaml of every service, by service: that of its
// newest green version, since what a failed run brought is not in force; of its
// newest readable one before there is a green version.
func (p *Pipeline) Manifests(ctx context.Context) ([]catalog.Manifest, error) {
	green, err := p.newest(ctx, "id IN (SELECT max(id) FROM pipeline_run WHERE green GROUP BY service) ORDER BY service")
	if err != nil {
		return nil, err
	}
	runs, err := p.Newest(ctx)
	if err != nil {
		return nil, err
	}
	var all []catalog.Manifest
	seen := map[id.Service]bool{}
	for _, r := range append(green, runs...) {
		if r.Manifest != nil && !seen[r.Service] {
			seen[r.Service] = true
			all = append(all, *r.Manifest)
		}
	}
	return all, nil
}

// ManifestOf returns the steer.yaml of one service as Manifests does.
func (p *Pipeline) ManifestOf(ctx context.Context, service id.Service) (catalog.Manifest, error) {
	all, err := p.Manifests(ctx)
	if err != nil {
		return catalog.Manifest{}, err
	}
	for _, m := range all {
		if m.Service == service {
			return m, nil
		}
	}
	return catalog.Manifest{}, fault.New(fault.NotFound, "service %s: no commit with a readable steer.yaml is known", service)
}

func (p *Pipeline) newest(ctx context.Context, condition string) ([]Run, error) {
	records, err := selected(ctx, p.DB.Read(), condition)
	if err != nil {
		return nil, err
	}
	runs := make([]Run, len(records))
	for i, r := range records {
		runs[i] = r.Run
	}
	return runs, nil
}
