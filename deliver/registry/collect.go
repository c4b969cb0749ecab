package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"steer/base/event"
)

// grace is how long contents stay that nothing needs, counted from when they came or
// somebody asked for them: a push brings its layers first and its manifest last, and
// a pipeline its archive before the version is on record.
const grace = 24 * time.Hour

// Collected is what a collection removed.
type Collected struct {
	Images int   // manifests that no tag named for long enough
	Blobs  int   // contents
	Bytes  int64 // of these
}

// Collect removes what nothing needs. It may run beside pushes and builds.
func (r *Registry) Collect(ctx context.Context) (done Collected, err error) {
	if r.broken {
		return done, errors.New("versions that were built cannot be read, see the log at the start: nothing is removed until they can")
	}
	if !r.backup.TryLock() {
		return done, nil // a backup is being taken; there is a next time
	}
	defer r.backup.Unlock()
	if keep := r.config.KeepUntagged.Std(); keep > 0 {
		if done.Images, err = r.forget(ctx, r.now().Add(-keep)); err != nil {
			return done, err
		}
	}
	for _, algorithm := range []string{"sha256", "sha512"} {
		dir, err := os.Open(filepath.Join(r.files.dir, "blobs", algorithm))
		if err != nil {
			return done, fmt.Errorf("collect: %w", err)
		}
		for err == nil && ctx.Err() == nil {
			var names []string
			names, err = dir.Readdirnames(1000)
			for _, name := range names {
				d, e := ParseDigest(algorithm + ":" + name)
				if e != nil {
					continue // not ours
				}
				n, e := r.sweep(ctx, d)
				if e != nil {
					dir.Close()
					return done, e
				}
				if n >= 0 {
					done.Blobs++
					done.Bytes += n
				}
			}
		}
		dir.Close()
	}
	if done != (Collected{}) {
		r.log.Info("removed what no image needs", "images", done.Images, "blobs", done.Blobs, "bytes", done.Bytes)
	}
	return done, ctx.Err()
}

// sweep removes a blob that is old and not needed, and returns its size; -1 if it stays.
func (r *Registry) sweep(ctx context.Context, d Digest) (int64, error) {
	info, err := os.Stat(r.files.path(d))
	if err != nil || time.Since(info.ModTime()) < grace {
		return -1, nil // gone, or too young
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if who, err := r.needed(ctx, d); err != nil || who != "" {
		return -1, err
	}
	// A pipeline may write the same contents right now, without asking. What is taken
	// away is looked at once more: if it is fresh, it was that, and goes back.
	if err := os.Rename(r.files.path(d), r.files.trash(d)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return -1, nil
		}
		return -1, fmt.Errorf("collect: %w", err)
	}
	info, err = os.Stat(r.files.trash(d))
	if err == nil && time.Since(info.ModTime()) < grace {
		return -1, r.files.restore(d)
	}
	if err == nil {
		err = os.Remove(r.files.trash(d))
	}
	if err != nil {
		return -1, fmt.Errorf("collect: %w", err)
	}
	return info.Size(), nil
}

// forget deletes manifests that no tag, no index, and no manifest that is there needs
// since before.
func (r *Registry) forget(ctx context.Context, before time.Time) (n int, err error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT repository, digest FROM registry_manifest m
		WHERE NOT built AND touched < $1
		AND NOT EXISTS (SELECT 1 FROM registry_tag t WHERE t.repository = m.repository AND t.digest = m.digest)
		AND NOT EXISTS (SELECT 1 FROM registry_reference r JOIN registry_manifest i ON i.digest = r.manifest WHERE r.digest = m.digest AND i.repository = m.repository)
		AND NOT EXISTS (SELECT 1 FROM registry_manifest s WHERE s.repository = m.repository AND s.digest = m.subject)
		LIMIT 1000`, before.UnixMicro())
	if err != nil {
		return 0, fmt.Errorf("find images without a tag: %w", err)
	}
	type one struct {
		repository string
		digest     Digest
	}
	var all []one
	for rows.Next() {
		var o one
		if err := rows.Scan(&o.repository, &o.digest); err != nil {
			rows.Close()
			return 0, fmt.Errorf("find images without a tag: %w", err)
		}
		all = append(all, o)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, fmt.Errorf("find images without a tag: %w", err)
	}
	for _, o := range all {
		gone, err := r.forgetOne(ctx, o.repository, o.digest, before)
		if err != nil {
			return n, err
		}
		if gone {
			n++
		}
	}
	return n, nil
}

// forgetOne asks once more: somebody may have tagged it meanwhile.
func (r *Registry) forgetOne(ctx context.Context, repository string, d Digest, before time.Time) (gone bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.db.Tx(ctx, func(tx *sql.Tx) error {
		var still int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM registry_manifest m WHERE repository = $1 AND digest = $2 AND touched < $3
			AND NOT EXISTS (SELECT 1 FROM registry_tag t WHERE t.repository = m.repository AND t.digest = m.digest)`, repository, d, before.UnixMicro()).Scan(&still); err != nil {
			return err
		}
		if still == 0 {
			return nil
		}
		gone = true
		return r.deleteManifest(ctx, tx, repository, d, event.Steer, ", since no tag named it for "+r.config.KeepUntagged.String())
	})
	if _, status := Failure(err); err != nil && status == 405 {
		return false, nil // an index needs it by now
	}
	return gone && err == nil, err
}
