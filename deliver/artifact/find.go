package artifact

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"steer/base/database"
	"steer/base/fault"
	"steer/base/id"
)

const columns = "service, version, digest, size, commit_sha, created, chain"

func scan(from func(...any) error) (a Artifact, err error) {
	var created int64
	err = from(&a.Service, &a.Version, &a.Digest, &a.Size, &a.Commit, &created, &a.Chain)
	a.Created = database.Time(created)
	return a, err
}

// Get returns one version of a service. id.Local is the newest one that was
// packed on this machine; id.Latest is not its business, since only the pipeline
// knows what is green.
func (r *Repository) Get(ctx context.Context, service id.Service, version id.Version) (Artifact, error) {
	if version == id.Local {
		return r.newestLocal(ctx, service)
	}
	a, err := r.find(ctx, service, version)
	if fault.Of(err) != fault.NotFound {
		return a, err
	}
	newest, e := r.List(ctx, service, 1)
	if e != nil {
		return a, e
	}
	if len(newest) == 0 {
		return a, fault.New(fault.NotFound, "artifact %s %s: nothing has been built of this service yet", service, version)
	}
	return a, fault.New(fault.NotFound, "artifact %s %s: no such version (newest: %s)", service, version, newest[0].Version)
}

func (r *Repository) find(ctx context.Context, service id.Service, version id.Version) (Artifact, error) {
	row := r.db.Read().QueryRowContext(ctx, "SELECT "+columns+" FROM artifact WHERE service = $1 AND version = $2", service, version)
	a, err := scan(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return a, fault.New(fault.NotFound, "artifact %s %s: no such version", service, version)
	}
	if err != nil {
		return a, fmt.Errorf("find artifact %s %s: %w", service, version, err)
	}
	return a, nil
}

// List returns the newest artifacts, newest first: those of a service, or of all
// if it is empty; at most limit, or all if it is 0.
func (r *Repository) List(ctx context.Context, service id.Service, limit int) ([]Artifact, error) {
	q, args := "SELECT "+columns+" FROM artifact", []any{}
	if service != "" {
		q, args = q+" WHERE service = $1", append(args, service)
	}
	q += " ORDER BY created DESC, version DESC"
	if limit > 0 {
		q += fmt.Sprintf(" LIMIT %d", limit)
	}
	rows, err := r.db.Read().QueryContext(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", err)
	}
	defer rows.Close()
	list := []Artifact{}
	for rows.Next() {
		a, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list artifacts: %w", err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// Provenance returns where the artifact with this digest came from.
func (r *Repository) Provenance(ctx context.Context, digest string) (Provenance, error) {
	p, _, err := r.load(digest)
	return p, err
}
