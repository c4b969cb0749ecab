package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"steer/base/database"
)

// Names lists repositories after one, sorted by their bytes, at most n.
func (r *Registry) Names(ctx context.Context, after string, n int) ([]string, error) {
	return r.strings(ctx, `SELECT DISTINCT repository`+r.collate+` AS name FROM registry_manifest WHERE repository`+r.collate+` > $1 ORDER BY name LIMIT $2`, after, n)
}

// Tags lists the tags of a repository after one, sorted by their bytes, at most n.
func (r *Registry) Tags(ctx context.Context, repository, after string, n int) ([]string, error) {
	if err := r.known(ctx, repository); err != nil {
		return nil, err
	}
	return r.strings(ctx, `SELECT tag FROM registry_tag WHERE repository = $3 AND tag`+r.collate+` > $1 ORDER BY tag`+r.collate+` LIMIT $2`, after, n, repository)
}

// known says no to a repository that has nothing.
func (r *Registry) known(ctx context.Context, repository string) error {
	if err := CheckName(repository); err != nil {
		return err
	}
	var there bool
	if err := r.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM registry_manifest WHERE repository = $1)`, repository).Scan(&there); err != nil {
		return fmt.Errorf("find repository %s: %w", repository, err)
	}
	if !there {
		return Fail(NameUnknown, http.StatusNotFound, "repository %s: there is none ('steer registry list' shows them; a push makes one)", repository)
	}
	return nil
}

func (r *Registry) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := r.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// Repositories lists what there is, sorted by name.
func (r *Registry) Repositories(ctx context.Context) ([]Repository, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT m.repository`+r.collate+` AS name, count(*), max(m.touched),
		(SELECT count(*) FROM registry_tag t WHERE t.repository = m.repository) FROM registry_manifest m GROUP BY m.repository ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	defer rows.Close()
	list := []Repository{}
	for rows.Next() {
		var one Repository
		var updated int64
		if err := rows.Scan(&one.Name, &one.Images, &updated, &one.Tags); err != nil {
			return nil, fmt.Errorf("list repositories: %w", err)
		}
		one.Updated = database.Time(updated)
		list = append(list, one)
	}
	return list, rows.Err()
}

// Detail lists the tags of a repository, newest first, at most n.
func (r *Registry) Detail(ctx context.Context, repository string, n int) ([]Tag, error) {
	if err := r.known(ctx, repository); err != nil {
		return nil, err
	}
	rows, err := r.db.Read().QueryContext(ctx, `SELECT t.tag, t.digest, m.artifact_type, m.media_type, m.total, t.built, t.updated, t.actor
		FROM registry_tag t JOIN registry_manifest m ON m.repository = t.repository AND m.digest = t.digest
		WHERE t.repository = $1 ORDER BY t.updated DESC, t.tag LIMIT $2`, repository, n)
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repository, err)
	}
	defer rows.Close()
	list := []Tag{}
	for rows.Next() {
		var t Tag
		var artifact, media string
		var updated int64
		if err := rows.Scan(&t.Tag, &t.Digest, &artifact, &media, &t.Size, &t.Built, &updated, &t.Actor); err != nil {
			return nil, fmt.Errorf("list tags of %s: %w", repository, err)
		}
		t.Updated = database.Time(updated)
		if t.Type = artifact; artifact == "" {
			t.Type = media
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// Referrers lists the manifests of a repository that refer to a subject, after a
// digest, of one artifact type or of all if that is "". They are as many as fit into
// an answer; more tells that there are others.
func (r *Registry) Referrers(ctx context.Context, repository string, subject Digest, artifactType string, after Digest) (list []Descriptor, more bool, err error) {
	if err := CheckName(repository); err != nil {
		return nil, false, err
	}
	rows, err := r.db.Read().QueryContext(ctx, `SELECT digest, media_type, artifact_type, annotations, size FROM registry_manifest
		WHERE repository = $1 AND subject = $2 AND ($3 = '' OR artifact_type = $3) AND digest > $4 ORDER BY digest`, repository, subject, artifactType, after)
	if err != nil {
		return nil, false, fmt.Errorf("list referrers: %w", err)
	}
	defer rows.Close()
	list = []Descriptor{}
	for size := 0; rows.Next(); {
		var d Descriptor
		var annotations string
		if err := rows.Scan(&d.Digest, &d.MediaType, &d.ArtifactType, &annotations, &d.Size); err != nil {
			return nil, false, fmt.Errorf("list referrers: %w", err)
		}
		if size += 500 + len(annotations); len(list) > 0 && size > MaxManifest {
			return list, true, nil
		}
		if annotations != "" {
			d.Annotations = json.RawMessage(annotations)
		}
		list = append(list, d)
	}
	return list, false, rows.Err()
}
