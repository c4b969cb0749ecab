package artifact

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/oci"
	"steer/catalog"
)

//go:embed migrations
var migrations embed.FS

// Config is what operators may set.
type Config struct {
	Limits `yaml:",inline"`
}

// Limits bound one artifact, packed and unpacked.
type Limits struct {
	MaxMB    int `yaml:"max_mb" doc:"Unpacked size of one artifact, in MiB." default:"2048"`
	MaxFiles int `yaml:"max_files" doc:"Files, folders and links in one artifact." default:"100000"`
}

// Check says what is wrong with the limits.
func (l Limits) Check() error {
	if l.MaxMB < 1 || l.MaxFiles < 1 {
		return fault.New(fault.Invalid, "limits of artifacts: max_mb is %d and max_files is %d, both must be at least 1", l.MaxMB, l.MaxFiles)
	}
	return nil
}

// Options are what a repository needs.
type Options struct {
	Config
	Dir string // the OCI layout; made when absent
	DB  *database.DB
	// Journal appends event.ArtifactPackaged in the transaction of the new row.
	Journal func(context.Context, *sql.Tx, *event.Event) error
	// Recorded is told of a new version in the same transaction; its files are there. May be nil.
	Recorded func(context.Context, *sql.Tx, Artifact) error
	Key      string // file of the key that signs packages; made when one is needed
	// Manifest parses a steer.yaml, for PutLocal.
	Manifest func(file string, data []byte) (catalog.Manifest, error)
	Log      *slog.Logger
	Now      func() time.Time
}

// Repository is safe for concurrent use by one process.
type Repository struct {
	layout  layout
	limits  Limits
	key     string
	db      *database.DB
	journal func(context.Context, *sql.Tx, *event.Event) error
	told    func(context.Context, *sql.Tx, Artifact) error
	parse   func(file string, data []byte) (catalog.Manifest, error)
	log     *slog.Logger
	now     func() time.Time
	mu      sync.Mutex // holds index and rows together
}

// New opens the repository, finishes what a crash interrupted, and logs every
// artifact whose files are missing or damaged.
func New(ctx context.Context, o Options) (*Repository, error) {
	if o.Dir == "" || o.DB == nil || o.Journal == nil || o.Manifest == nil {
		return nil, errors.New("BUG: artifact.New needs Dir, DB, Journal and Manifest")
	}
	o.MaxMB, o.MaxFiles = cmp.Or(o.MaxMB, 2048), cmp.Or(o.MaxFiles, 100_000)
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := o.DB.Migrate(ctx, "artifact", migrations); err != nil {
		return nil, err
	}
	l, err := openLayout(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Repository{layout: l, limits: o.Limits, key: o.Key, db: o.DB, journal: o.Journal, told: o.Recorded, parse: o.Manifest, log: cmp.Or(o.Log, slog.Default()), now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	return r, r.repair(ctx)
}

// Put packs paths below dir as a version of a service. Packing the same again
// gives the same artifact; other content for a version that exists is
// fault.Conflict, since a version is built once.
func (r *Repository) Put(ctx context.Context, m Meta, dir string, paths []string) (Artifact, error) {
	if err := checkName(m.Service, m.Version); err != nil {
		return Artifact{}, err
	}
	m.Created = database.Time(database.Micros(cmp.Or(m.Created, r.now())))
	layer, p, err := r.pack(ctx, m, dir, paths)
	if err != nil {
		return Artifact{}, fmt.Errorf("store artifact %s %s: %w", m.Service, m.Version, err)
	}
	packages, err := r.packages(m, dir)
	if err != nil {
		return Artifact{}, fmt.Errorf("store artifact %s %s: %w", m.Service, m.Version, err)
	}
	return r.store(ctx, p, layer, packages...)
}

func checkName(s id.Service, v id.Version) error {
	if _, err := id.Parse[id.Service]("service", string(s)); err != nil {
		return fault.New(fault.Invalid, "store artifact: %w", err)
	}
	if _, err := id.Parse[id.Version]("version", string(v)); err != nil {
		return fault.New(fault.Invalid, "store artifact of %s: %w", s, err)
	}
	if v == id.Latest || v == id.Local {
		return fault.New(fault.Invalid, "store artifact of %s: %q is not the name of one version", s, v)
	}
	return nil
}

func (r *Repository) pack(ctx context.Context, m Meta, dir string, paths []string) (oci.Descriptor, Provenance, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return oci.Descriptor{}, Provenance{}, err
	}
	defer root.Close()
	if m.Manifest != nil && m.Manifest.Artifact.Kind == catalog.KindImage {
		return r.packImage(ctx, m, root, paths)
	}
	entries, size, err := collect(root, paths, r.limits)
	if err != nil {
		return oci.Descriptor{}, Provenance{}, err
	}
	p := Provenance{Meta: m, Builder: "steer", Content: []string{}, Bytes: size}
	for _, e := range entries {
		if e.info.IsDir() {
			continue
		}
		if p.Files++; len(p.Content) < 1000 {
			p.Content = append(p.Content, e.name)
		}
	}
	if p.Files == 1 && p.Single == nil {
		for _, e := range entries {
			if e.info.Mode().IsRegular() {
				if p.Single, err = single(root, e); err != nil {
					return oci.Descriptor{}, Provenance{}, err
				}
			}
		}
	}
	if p.Files == 0 {
		return oci.Descriptor{}, Provenance{}, fault.New(fault.Invalid, "pack artifact: there is no file in %q", paths)
	}
	digest, length, err := r.layout.write(func(w io.Writer) error { return archive(w, root, entries) })
	layer := oci.Descriptor{MediaType: TypeArchive, Digest: digest, Size: length}
	layer.Annotations = map[string]string{annotationTitle: fmt.Sprintf("%s.tar.gz", m.Service)}
	return layer, p, err
}

// store writes config, manifest, index and row, in this order.
func (r *Repository) store(ctx context.Context, p Provenance, layer oci.Descriptor, packages ...oci.Descriptor) (Artifact, error) {
	fail := func(err error) (Artifact, error) {
		return Artifact{}, fmt.Errorf("store artifact %s %s: %w", p.Service, p.Version, err)
	}
	config, err := r.layout.writeJSON(TypeProvenance, p)
	if err != nil {
		return fail(err)
	}
	notes := map[string]string{
		annotationTitle:   string(p.Service),
		annotationVersion: string(p.Version),
		annotationCreated: p.Created.UTC().Format(time.RFC3339Nano),
	}
	if p.Commit != "" {
		notes[annotationRevision] = p.Commit
	}
	if p.Repository != "" {
		notes[annotationSource] = p.Repository
	}
	size := layer.Size
	var d oci.Descriptor
	if layer.MediaType == TypeArchive {
		d, err = r.layout.writeJSON(oci.TypeManifest, oci.Manifest{SchemaVersion: 2, MediaType: oci.TypeManifest, ArtifactType: TypeArtifact, Config: config, Layers: append([]oci.Descriptor{layer}, packages...), Annotations: notes})
		d.ArtifactType = TypeArtifact
	} else {
		size = p.Bytes
		d, err = r.storeImage(config, layer, notes)
	}
	if err != nil {
		return fail(err)
	}
	d.Annotations = map[string]string{annotationRef: fmt.Sprintf("%s:%s", p.Service, p.Version)}
	a := Artifact{p.Service, p.Version, d.Digest, size, p.Commit, p.Created, p.Chain}

	r.mu.Lock()
	defer r.mu.Unlock()
	old, err := r.find(ctx, p.Service, p.Version)
	if err == nil && old.Digest != a.Digest {
		return Artifact{}, fault.New(fault.Conflict, "store artifact %s %s: this version exists with digest %s (a version is built once; make a new one)", p.Service, p.Version, old.Digest)
	}
	if err == nil {
		return old, nil
	}
	if fault.Of(err) != fault.NotFound {
		return fail(err)
	}
	x, err := r.layout.index()
	if err != nil {
		return fail(err)
	}
	if err := r.layout.list(x, d); err != nil {
		return fail(err)
	}
	if err := r.record(ctx, a, packages, p.Actor); err != nil {
		return fail(err)
	}
	return a, nil
}

// record makes the rows and their event.
func (r *Repository) record(ctx context.Context, a Artifact, packages []oci.Descriptor, actor id.Person) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	e := event.Event{
		Source: "/steer/artifact", Type: event.ArtifactPackaged, Subject: fmt.Sprintf("artifact/%s/%s", a.Service, a.Version),
		Summary: fmt.Sprintf("%s %s packaged, %s", a.Service, a.Version, bytesText(a.Size)), Actor: actor,
		Service: a.Service, Version: a.Version, Chain: a.Chain, Data: data,
	}
	return r.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO artifact (service, version, digest, size, commit_sha, created, chain)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, a.Service, a.Version, a.Digest, a.Size, a.Commit, database.Micros(a.Created), a.Chain)
		if err != nil {
			return err
		}
		if err := listPackages(ctx, tx, a, packages); err != nil {
			return err
		}
		if err := r.journal(ctx, tx, &e); err != nil || r.told == nil {
			return err
		}
		return r.told(ctx, tx, a)
	})
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// repair makes index and rows agree: what one of them lacks is added from the
// other, as long as the blobs are there.
func (r *Repository) repair(ctx context.Context) error {
	x, err := r.layout.index()
	if err != nil {
		// The blobs and rows know all that the index does.
		r.log.Error("artifact index is unreadable, making it anew", "error", err)
		if err := os.Rename(path.Join(r.layout.dir, "index.json"), path.Join(r.layout.dir, "index.json.damaged")); err != nil {
			return fmt.Errorf("set damaged artifact index aside: %w", err)
		}
		if x, err = r.layout.index(); err != nil {
			return err
		}
	}
	listed := map[string]bool{}
	for _, d := range x.Manifests {
		listed[d.Digest] = true
		p, layers, err := r.load(d.Digest)
		if err != nil {
			r.log.Error("artifact is damaged", "name", d.Annotations[annotationRef], "digest", d.Digest, "error", err)
			continue
		}
		if _, err := r.find(ctx, p.Service, p.Version); err == nil {
			continue
		} else if fault.Of(err) != fault.NotFound {
			return err
		}
		r.log.Warn("artifact was stored but not recorded when Steer stopped; recording it", "service", p.Service, "version", p.Version)
		a := Artifact{p.Service, p.Version, d.Digest, layers[0].Size, p.Commit, p.Created, p.Chain}
		if layers[0].MediaType != TypeArchive {
			a.Size = p.Bytes
		}
		if err := r.record(ctx, a, layers[1:], ""); err != nil {
			return fmt.Errorf("record artifact %s %s: %w", p.Service, p.Version, err)
		}
	}
	all, err := r.List(ctx, "", 0)
	if err != nil {
		return err
	}
	for _, a := range all {
		if listed[a.Digest] {
			continue
		}
		if _, _, err := r.load(a.Digest); err != nil {
			r.log.Error("artifact is damaged", "service", a.Service, "version", a.Version, "digest", a.Digest, "error", err)
			continue
		}
		if err := r.relist(a); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) relist(a Artifact) error {
	x, err := r.layout.index()
	if err != nil {
		return err
	}
	file, err := r.layout.blob(a.Digest)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	var m oci.Manifest
	if err := r.layout.readJSON(a.Digest, &m); err != nil {
		return err
	}
	return r.layout.list(x, oci.Descriptor{
		MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: a.Digest, Size: info.Size(),
		Annotations: map[string]string{annotationRef: fmt.Sprintf("%s:%s", a.Service, a.Version)},
	})
}

// load reads manifest and config, and checks that the archive and the packages, which
// come after it, have their length. Of an image it returns the manifest instead.
func (r *Repository) load(digest string) (Provenance, []oci.Descriptor, error) {
	var m oci.Manifest
	var p Provenance
	if err := r.layout.readJSON(digest, &m); err != nil {
		return p, nil, err
	}
	if m.MediaType == oci.TypeIndex {
		p, image, err := r.loadImage(digest)
		return p, []oci.Descriptor{image}, err
	}
	if m.ArtifactType != TypeArtifact || len(m.Layers) == 0 {
		return p, nil, fault.New(fault.Invalid, "artifact %s has type %q, not one made by Steer", digest, m.ArtifactType)
	}
	if err := r.layout.readJSON(m.Config.Digest, &p); err != nil {
		return p, nil, err
	}
	for _, l := range m.Layers {
		file, err := r.layout.blob(l.Digest)
		if err != nil {
			return p, nil, err
		}
		info, err := os.Stat(file)
		if err != nil {
			return p, nil, err
		}
		if info.Size() != l.Size {
			return p, nil, fmt.Errorf("file %s has %d bytes instead of %d", file, info.Size(), l.Size)
		}
	}
	return p, m.Layers, nil
}
