package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"steer/base/event"
	"steer/base/id"
)

// Delete takes a tag away, or a manifest with all its tags.
func (r *Registry) Delete(ctx context.Context, repository, ref string, actor id.Person) error {
	if err := CheckName(repository); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.db.Tx(ctx, func(tx *sql.Tx) error {
		if !strings.Contains(ref, ":") {
			return r.deleteTag(ctx, tx, repository, ref, actor)
		}
		d, err := ParseDigest(ref)
		if err != nil {
			return err
		}
		return r.deleteManifest(ctx, tx, repository, d, actor, "")
	})
}

func (r *Registry) deleteTag(ctx context.Context, tx *sql.Tx, repository, tag string, actor id.Person) error {
	var built bool
	var d Digest
	err := tx.QueryRowContext(ctx, `SELECT built, digest FROM registry_tag WHERE repository = $1 AND tag = $2`, repository, tag).Scan(&built, &d)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Fail(ManifestUnknown, http.StatusNotFound, "delete %s:%.128s: there is no such tag ('steer registry list %s' shows them)", repository, tag, repository)
	case err != nil:
		return fmt.Errorf("delete %s:%s: %w", repository, tag, err)
	case built:
		return ofSteer(repository + ":" + tag)
	}
	if _, err := r.untag(ctx, tx, repository, d, tag); err != nil {
		return fmt.Errorf("delete %s:%s: %w", repository, tag, err)
	}
	return r.told(ctx, tx, event.ArtifactDeleted, repository, ":"+tag, actor, fmt.Sprintf("Tag %s:%s deleted, it was %s", repository, tag, short(d)))
}

func ofSteer(what string) error {
	return Fail(Denied, http.StatusForbidden, "delete %s: it is a version that Steer built, which environments may run and go back to; it stays", what)
}

// untag removes tags of a manifest: one, or all if it is "".
func (r *Registry) untag(ctx context.Context, tx *sql.Tx, repository string, d Digest, tag string) (gone int64, err error) {
	done, err := tx.ExecContext(ctx, `DELETE FROM registry_tag WHERE repository = $1 AND digest = $2 AND ($3 = '' OR tag = $3)`, repository, d, tag)
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE registry_manifest SET touched = $1 WHERE repository = $2 AND digest = $3`, r.now().UnixMicro(), repository, d); err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (r *Registry) deleteManifest(ctx context.Context, tx *sql.Tx, repository string, d Digest, actor id.Person, why string) error {
	what := repository + "@" + string(d)
	var built bool
	err := tx.QueryRowContext(ctx, `SELECT built FROM registry_manifest WHERE repository = $1 AND digest = $2`, repository, d).Scan(&built)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Fail(ManifestUnknown, http.StatusNotFound, "delete %s: there is no such manifest", what)
	case err != nil:
		return fmt.Errorf("delete %s: %w", what, err)
	case built:
		return ofSteer(what)
	}
	var index Digest
	err = tx.QueryRowContext(ctx, `SELECT m.digest FROM registry_reference r JOIN registry_manifest m ON m.digest = r.manifest
		WHERE r.digest = $1 AND m.repository = $2 LIMIT 1`, d, repository).Scan(&index)
	if err == nil {
		return Fail(Unsupported, http.StatusMethodNotAllowed, "delete %s: the index %s needs it (delete that first)", what, index)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("delete %s: %w", what, err)
	}
	if _, err := r.untag(ctx, tx, repository, d, ""); err != nil {
		return fmt.Errorf("delete %s: %w", what, err)
	}
	for _, q := range []string{
		`DELETE FROM registry_manifest WHERE digest = $1 AND repository = $2`,
		`DELETE FROM registry_reference WHERE manifest = $1 AND NOT EXISTS (SELECT 1 FROM registry_manifest WHERE digest = $1 AND repository <> $2)`,
	} {
		if _, err := tx.ExecContext(ctx, q, d, repository); err != nil {
			return fmt.Errorf("delete %s: %w", what, err)
		}
	}
	return r.told(ctx, tx, event.ArtifactDeleted, repository, "@"+string(d), actor, fmt.Sprintf("%s@%s deleted%s", repository, short(d), why))
}

// DeleteBlob removes a blob that no manifest needs.
func (r *Registry) DeleteBlob(ctx context.Context, repository string, d Digest, actor id.Person) error {
	if err := CheckName(repository); err != nil {
		return err
	}
	if !r.backup.TryLock() {
		return Fail(Unavailable, http.StatusServiceUnavailable, "delete blob %s: a backup is being taken (try again when it has ended)", d)
	}
	defer r.backup.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.files.size(d, false); err != nil {
		return err
	}
	where, err := r.needed(ctx, d)
	if err != nil {
		return err
	}
	if where != "" {
		return Fail(Unsupported, http.StatusMethodNotAllowed, "delete blob %s: %s needs it (delete that first)", d, where)
	}
	if err := r.db.Tx(ctx, func(tx *sql.Tx) error {
		return r.told(ctx, tx, event.ArtifactDeleted, repository, "@"+string(d), actor, fmt.Sprintf("Blob %s deleted", short(d)))
	}); err != nil {
		return err
	}
	if err := os.Remove(r.files.path(d)); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

// needed says who needs contents: "" nobody.
func (r *Registry) needed(ctx context.Context, d Digest) (string, error) {
	var repository, manifest string
	err := r.db.Read().QueryRowContext(ctx, `SELECT repository, digest FROM registry_manifest WHERE digest = $1
		UNION ALL SELECT m.repository, m.digest FROM registry_reference r JOIN registry_manifest m ON m.digest = r.manifest WHERE r.digest = $1
		LIMIT 1`, d).Scan(&repository, &manifest)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find who needs %s: %w", d, err)
	}
	return repository + "@" + manifest, nil
}
