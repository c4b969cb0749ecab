package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
	"steer/base/oci"
)

// content is what a manifest says, be it of an image or an index.
type content struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	ArtifactType  string          `json:"artifactType"`
	Config        *Descriptor     `json:"config"`
	Layers        []Descriptor    `json:"layers"`
	Manifests     []Descriptor    `json:"manifests"`
	Subject       *Descriptor     `json:"subject"`
	Annotations   json.RawMessage `json:"annotations"`
}

// most bounds what one manifest may name.
const most = 10_000

// parse reads a manifest that was sent with a media type, which may be empty.
func parse(mediaType string, body []byte) (c content, err error) {
	invalid := func(format string, args ...any) (content, error) {
		return content{}, Fail(ManifestInvalid, http.StatusBadRequest, "read manifest: "+format, args...)
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return invalid("%w", err)
	}
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.TrimSpace(mediaType)
	switch {
	case c.MediaType == "":
		c.MediaType = mediaType
	case mediaType != "" && mediaType != c.MediaType:
		return invalid("it is sent as %.200q and says that it is %.200q", mediaType, c.MediaType)
	}
	if c.MediaType == "" { // the image-spec lets it be left out
		if c.MediaType = oci.TypeManifest; c.Config == nil {
			c.MediaType = oci.TypeIndex
		}
	}
	all := append(append([]Descriptor{}, c.Layers...), c.Manifests...)
	switch c.MediaType {
	case oci.TypeManifest, oci.TypeDockerImage:
		if c.Config == nil {
			return invalid("it has no config")
		}
		if c.Manifests != nil {
			return invalid("it has manifests, which only an index has")
		}
		all = append(all, *c.Config)
		if c.ArtifactType == "" {
			c.ArtifactType = c.Config.MediaType
		}
	case oci.TypeIndex, oci.TypeDockerIndex:
		if c.Config != nil || c.Layers != nil {
			return invalid("it has a config or layers, which no index has")
		}
	default:
		return invalid("%.200q is no media type that is known (%s, %s, and those of Docker)", c.MediaType, oci.TypeManifest, oci.TypeIndex)
	}
	if c.SchemaVersion != 2 {
		return invalid("its schemaVersion is %d instead of 2", c.SchemaVersion)
	}
	if c.Subject != nil {
		all = append(all, *c.Subject)
	}
	if len(all) > most {
		return invalid("it names %d things, at most %d are taken", len(all), most)
	}
	for _, d := range all {
		if _, err := ParseDigest(string(d.Digest)); err != nil {
			return content{}, err
		}
		if d.Size < 0 {
			return invalid("%s has %d bytes", d.Digest, d.Size)
		}
	}
	return c, nil
}

// blobs are the contents that the manifest needs, without layers that are elsewhere.
func (c content) blobs() []Descriptor {
	var all []Descriptor
	if c.Config != nil {
		all = append(all, *c.Config)
	}
	for _, l := range c.Layers {
		elsewhere := len(l.URLs) > 0 || strings.Contains(l.MediaType, ".nondistributable.") || strings.Contains(l.MediaType, ".foreign.")
		if !elsewhere {
			all = append(all, l)
		}
	}
	return all
}

// Push is a manifest on its way in.
type Push struct {
	Repository string
	Digest     Digest   // what it should have; "": any
	Tags       []string // that name it from now on
	MediaType  string   // that it is sent with
	Body       []byte
	Actor      id.Person
}

// Push stores a manifest whose contents are there, and moves tags to it.
func (r *Registry) Push(ctx context.Context, p Push) (Manifest, error) {
	if err := CheckName(p.Repository); err != nil {
		return Manifest{}, err
	}
	if len(p.Body) > MaxManifest {
		return Manifest{}, Fail(SizeInvalid, http.StatusRequestEntityTooLarge, "push to %s: the manifest has more than %d bytes", p.Repository, MaxManifest)
	}
	for _, tag := range p.Tags {
		if err := checkTag(tag); err != nil {
			return Manifest{}, err
		}
		if reserved(p.Repository, tag) {
			return Manifest{}, Fail(Denied, http.StatusForbidden, "push %s:%s: tags like b12 and local-3 are versions that Steer builds (push it under another tag)", p.Repository, tag)
		}
	}
	c, err := parse(p.MediaType, p.Body)
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Digest: anyDigest.of(p.Body), MediaType: c.MediaType, Body: p.Body}
	if p.Digest != "" {
		if m.Digest = p.Digest.of(p.Body); m.Digest != p.Digest {
			return Manifest{}, Fail(DigestInvalid, http.StatusBadRequest, "push to %s: the manifest has the digest %s instead of %s", p.Repository, m.Digest, p.Digest)
		}
	}
	if c.Subject != nil {
		m.Subject = c.Subject.Digest
	}
	if err := r.files.write(m.Digest, p.Body); err != nil {
		return Manifest{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	total, err := r.needs(ctx, p.Repository, c)
	if err != nil {
		return Manifest{}, err
	}
	if _, err := r.files.size(m.Digest, true); err != nil {
		return Manifest{}, err
	}
	return m, r.db.Tx(ctx, func(tx *sql.Tx) error {
		news, err := r.record(ctx, tx, entry{repository: p.Repository, digest: m.Digest, content: c, size: len(p.Body), total: total + int64(len(p.Body)), actor: p.Actor})
		if err != nil {
			return err
		}
		for _, tag := range p.Tags {
			moved, err := r.tag(ctx, tx, p.Repository, tag, m.Digest, false, p.Actor)
			if err != nil {
				return err
			}
			if moved {
				news = false // the tag tells it
				if err := r.told(ctx, tx, event.ArtifactPublished, p.Repository, ":"+tag, p.Actor, fmt.Sprintf("%s:%s pushed, %s", p.Repository, tag, short(m.Digest))); err != nil {
					return err
				}
			}
		}
		if !news {
			return nil
		}
		return r.told(ctx, tx, event.ArtifactPublished, p.Repository, "@"+string(m.Digest), p.Actor, fmt.Sprintf("%s@%s pushed", p.Repository, short(m.Digest)))
	})
}

// short is enough of a digest for people.
func short(d Digest) string { return string(d)[:min(len(d), 19)] }

// needs checks that all that a manifest names is there, and adds up its size.
func (r *Registry) needs(ctx context.Context, repository string, c content) (total int64, err error) {
	for _, d := range c.blobs() {
		is, err := r.files.size(d.Digest, false)
		if code, _ := Failure(err); err != nil && code == BlobUnknown {
			return 0, Fail(ManifestBlobUnknown, http.StatusNotFound, "push to %s: the manifest needs blob %s, which is not there (push it first)", repository, d.Digest)
		}
		if err != nil {
			return 0, err
		}
		if is != d.Size {
			return 0, Fail(ManifestInvalid, http.StatusBadRequest, "push to %s: the manifest says that blob %s has %d bytes, and it has %d", repository, d.Digest, d.Size, is)
		}
		total += is
	}
	for _, d := range c.Manifests {
		var size int64
		err := r.db.Read().QueryRowContext(ctx, `SELECT total FROM registry_manifest WHERE repository = $1 AND digest = $2`, repository, d.Digest).Scan(&size)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, Fail(ManifestBlobUnknown, http.StatusNotFound, "push to %s: the index needs manifest %s, which is not in this repository (push it first)", repository, d.Digest)
		}
		if err != nil {
			return 0, fmt.Errorf("push to %s: %w", repository, err)
		}
		total += size
	}
	return total, nil
}

// entry is a manifest to be recorded.
type entry struct {
	repository string
	digest     Digest
	content    content
	size       int
	total      int64
	built      bool
	actor      id.Person
}

// record makes the rows of a manifest, and tells whether it is new in the repository.
func (r *Registry) record(ctx context.Context, tx *sql.Tx, e entry) (fresh bool, err error) {
	var known int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM registry_manifest WHERE repository = $1 AND digest = $2`, e.repository, e.digest).Scan(&known); err != nil {
		return false, fmt.Errorf("record manifest: %w", err)
	}
	subject, annotations := Digest(""), ""
	if e.content.Subject != nil {
		subject, annotations = e.content.Subject.Digest, string(e.content.Annotations)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO registry_manifest (repository, digest, media_type, artifact_type, subject, annotations, size, total, built, touched, actor)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (repository, digest) DO UPDATE SET touched = excluded.touched, built = excluded.built OR registry_manifest.built`,
		e.repository, e.digest, e.content.MediaType, e.content.ArtifactType, subject, annotations, e.size, e.total, e.built, database.Micros(r.now()), e.actor); err != nil {
		return false, fmt.Errorf("record manifest: %w", err)
	}
	for _, d := range append(e.content.blobs(), e.content.Manifests...) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO registry_reference (manifest, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING`, e.digest, d.Digest); err != nil {
			return false, fmt.Errorf("record manifest: %w", err)
		}
	}
	return known == 0, nil
}

// tag moves a tag, and tells whether it was elsewhere before.
func (r *Registry) tag(ctx context.Context, tx *sql.Tx, repository, tag string, d Digest, built bool, actor id.Person) (moved bool, err error) {
	var old Digest
	err = tx.QueryRowContext(ctx, `SELECT digest FROM registry_tag WHERE repository = $1 AND tag = $2`, repository, tag).Scan(&old)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("move tag: %w", err)
	}
	now := database.Micros(r.now())
	if _, err := tx.ExecContext(ctx, `INSERT INTO registry_tag (repository, tag, digest, built, updated, actor) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest, built = excluded.built, updated = excluded.updated, actor = excluded.actor`,
		repository, tag, d, built, now, actor); err != nil {
		return false, fmt.Errorf("move tag: %w", err)
	}
	if old == "" || old == d {
		return old == "", nil
	}
	_, err = tx.ExecContext(ctx, `UPDATE registry_manifest SET touched = $1 WHERE repository = $2 AND digest = $3`, now, repository, old)
	return true, err
}

// Resolve returns what a reference names: a tag or a digest.
func (r *Registry) Resolve(ctx context.Context, repository, ref string) (Manifest, error) {
	if err := CheckName(repository); err != nil {
		return Manifest{}, err
	}
	d := Digest(ref)
	if strings.Contains(ref, ":") {
		if _, err := ParseDigest(ref); err != nil {
			return Manifest{}, err
		}
	} else {
		err := r.db.Read().QueryRowContext(ctx, `SELECT digest FROM registry_tag WHERE repository = $1 AND tag = $2`, repository, ref).Scan(&d)
		if errors.Is(err, sql.ErrNoRows) {
			return Manifest{}, Fail(ManifestUnknown, http.StatusNotFound, "image %s:%.128s: there is none ('steer registry list %s' shows the tags)", repository, ref, repository)
		} else if err != nil {
			return Manifest{}, fmt.Errorf("find image %s:%s: %w", repository, ref, err)
		}
	}
	m := Manifest{Digest: d}
	err := r.db.Read().QueryRowContext(ctx, `SELECT media_type, subject FROM registry_manifest WHERE repository = $1 AND digest = $2`, repository, d).Scan(&m.MediaType, &m.Subject)
	if errors.Is(err, sql.ErrNoRows) {
		return Manifest{}, Fail(ManifestUnknown, http.StatusNotFound, "manifest %s@%s: there is none", repository, d)
	} else if err != nil {
		return Manifest{}, fmt.Errorf("find manifest %s@%s: %w", repository, d, err)
	}
	m.Body, err = r.read(d)
	return m, err
}
