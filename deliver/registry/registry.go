package registry

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
)

//go:embed migrations
var migrations embed.FS

// Options are what a registry needs.
type Options struct {
	Config
	Dir string // the OCI layout; made when absent
	DB  *database.DB
	// Journal appends an event in the transaction of what it tells.
	Journal func(context.Context, *sql.Tx, *event.Event) error
	Log     *slog.Logger
	Now     func() time.Time
}

// Registry is safe for concurrent use by one process.
type Registry struct {
	config  Config
	files   files
	uploads *uploads
	db      *database.DB
	journal func(context.Context, *sql.Tx, *event.Event) error
	log     *slog.Logger
	now     func() time.Time
	collate string // what makes the database sort by bytes

	// mu is held from the moment that contents are found to be there or not needed
	// until the row that needs them is made, or they are gone.
	mu sync.Mutex
	// backup is held for reading while what the database names must stay, whatever
	// happens to the database meanwhile.
	backup sync.RWMutex
	broken bool // versions are on record that cannot be read: then nothing is collected
}

// New opens a registry, with the uploads that a stop interrupted.
func New(ctx context.Context, o Options) (*Registry, error) {
	if o.Dir == "" || o.DB == nil || o.Journal == nil {
		return nil, errors.New("BUG: registry.New needs Dir, DB and Journal")
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := o.DB.Migrate(ctx, "registry", migrations); err != nil {
		return nil, err
	}
	f, err := openFiles(o.Dir, int64(o.KeepFreeMB)<<20)
	if err != nil {
		return nil, err
	}
	u, err := openUploads(f, o.Config)
	if err != nil {
		return nil, err
	}
	r := &Registry{config: o.Config, files: f, uploads: u, db: o.DB, journal: o.Journal, log: cmp.Or(o.Log, slog.Default()), now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	if o.DB.Dialect() == database.Postgres {
		r.collate = ` COLLATE "C"`
	}
	return r, nil
}

// Run gives up uploads that stand still, and removes what nothing needs, until ctx
// ends.
func (r *Registry) Run(ctx context.Context) error {
	stale, collect := time.NewTicker(time.Minute), time.NewTicker(6*time.Hour)
	defer stale.Stop()
	defer collect.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-stale.C:
			r.uploads.expire(time.Now())
		case <-collect.C:
			if _, err := r.Collect(ctx); err != nil && ctx.Err() == nil {
				r.log.Error("collect what no image needs", "error", err)
			}
		}
	}
}

// Hold keeps all contents where they are until release is called, for a backup.
func (r *Registry) Hold() (release func()) {
	r.backup.RLock()
	return sync.OnceFunc(r.backup.RUnlock)
}

// Begin starts an upload and returns its id.
func (r *Registry) Begin() (string, error) { return r.uploads.begin() }

// Uploaded is how many bytes of an upload have come in.
func (r *Registry) Uploaded(name string) (int64, error) {
	up, done, err := r.uploads.take(name)
	if err != nil {
		return 0, err
	}
	defer done()
	return up.size, nil
}

// Append adds a piece to an upload and returns how many bytes it has then. What came
// in before an error stays, but for one that says the piece does not fit.
func (r *Registry) Append(name string, c Chunk) (int64, error) {
	up, done, err := r.uploads.take(name)
	if err != nil {
		return 0, err
	}
	defer done()
	err = r.uploads.append(name, up, c)
	return up.size, err
}

// Finish adds the last piece to an upload and makes a blob of it.
func (r *Registry) Finish(name string, c Chunk, d Digest) error {
	up, done, err := r.uploads.take(name)
	if err != nil {
		return err
	}
	defer done()
	if err := r.uploads.append(name, up, c); err != nil {
		return err
	}
	return r.uploads.finish(name, up, d)
}

// Cancel ends an upload.
func (r *Registry) Cancel(name string) error {
	up, done, err := r.uploads.take(name)
	if err != nil {
		return err
	}
	defer done()
	r.uploads.drop(name, up)
	return nil
}

// HasBlob returns the size of a blob. Whoever asks may count on it for a day, also if
// nothing refers to it yet.
func (r *Registry) HasBlob(d Digest) (int64, error) { return r.files.size(d, true) }

// OpenBlob opens a blob for reading; the caller closes it.
func (r *Registry) OpenBlob(d Digest) (*os.File, int64, error) { return r.files.open(d) }

// read is the whole of a manifest.
func (r *Registry) read(d Digest) ([]byte, error) {
	file, _, err := r.files.open(d)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, MaxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if is := d.of(body); is != d {
		return nil, fmt.Errorf("read manifest %s: the file %s is damaged: its content has the digest %s (push it again)", d, file.Name(), is)
	}
	return body, nil
}

// told appends an event about a repository.
func (r *Registry) told(ctx context.Context, tx *sql.Tx, kind, repository, ref string, actor id.Person, summary string) error {
	return r.journal(ctx, tx, &event.Event{Source: "/steer/registry", Type: kind, Subject: "image/" + repository + ref, Actor: actor, Summary: summary})
}
