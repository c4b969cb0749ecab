package registry

import (
	"context"
	"database/sql"
	"fmt"

	"steer/base/event"
	"steer/base/id"
)

// Built makes a version that Steer has stored in the layout a tag of its service's
// repository, in the transaction that puts the version on record. It is recorded also
// of a service whose name no repository may have, as with capital letters: nobody can
// ask for it, and what it needs stays.
func (r *Registry) Built(ctx context.Context, tx *sql.Tx, service id.Service, version id.Version, d Digest) error {
	if _, err := r.adopt(ctx, tx, string(service), d); err != nil {
		return fmt.Errorf("list %s %s in the registry: %w", service, version, err)
	}
	_, err := r.tag(ctx, tx, string(service), string(version), d, true, event.Steer)
	return err
}

// adopt records a manifest of the layout, with those that it is an index of.
func (r *Registry) adopt(ctx context.Context, tx *sql.Tx, repository string, d Digest) (total int64, err error) {
	body, err := r.read(d)
	if err != nil {
		return 0, err
	}
	c, err := parse("", body)
	if err != nil {
		return 0, err
	}
	total = int64(len(body))
	for _, b := range c.blobs() {
		total += b.Size
	}
	for _, m := range c.Manifests {
		n, err := r.adopt(ctx, tx, repository, m.Digest)
		if err != nil {
			return 0, err
		}
		total += n
	}
	_, err = r.record(ctx, tx, entry{repository: repository, digest: d, content: c, size: len(body), total: total, built: true, actor: event.Steer})
	return total, err
}

// Version is one that Steer has built.
type Version struct {
	Service id.Service
	Version id.Version
	Digest  Digest
}

// Adopt makes tags of versions that were built before there was a registry. What
// cannot be read is logged, and keeps everything from being collected.
func (r *Registry) Adopt(ctx context.Context, all []Version) error {
	rows, err := r.strings(ctx, `SELECT repository || ' ' || tag || ' ' || digest FROM registry_tag WHERE built`)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, row := range rows {
		known[row] = true
	}
	for _, v := range all {
		if known[fmt.Sprintf("%s %s %s", v.Service, v.Version, v.Digest)] {
			continue
		}
		err := r.db.Tx(ctx, func(tx *sql.Tx) error { return r.Built(ctx, tx, v.Service, v.Version, v.Digest) })
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			r.broken = true
			r.log.Error("a version that was built cannot be listed in the registry", "service", v.Service, "version", v.Version, "error", err)
		}
	}
	return nil
}
