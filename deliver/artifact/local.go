package artifact

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"

	"steer/base/database"
	"steer/base/fault"
	"steer/base/id"
)

// PutLocal packs what is on this machine as the version "local-<n>" of a
// service: the artifact paths of the steer.yaml in dir, as they are. It builds
// nothing. If nothing changed since the newest local version, that one is
// returned.
func (r *Repository) PutLocal(ctx context.Context, service id.Service, dir string) (Artifact, error) {
	const file = "steer.yaml"
	root, err := os.OpenRoot(dir) // a link in it must not lead to a file of the machine
	if err != nil {
		return Artifact{}, fmt.Errorf("pack local version of %s: %w", service, err)
	}
	defer root.Close()
	text, err := root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Artifact{}, fault.New(fault.NotFound, "pack local version of %s: there is no %s (name the folder that holds it)", service, file)
	}
	if err != nil {
		return Artifact{}, fmt.Errorf("pack local version of %s: %w", service, err)
	}
	def, err := r.parse(file, text)
	if err != nil {
		return Artifact{}, fmt.Errorf("pack local version of %s: %w", service, err)
	}
	if def.Service != service {
		return Artifact{}, fault.New(fault.Invalid, "pack local version of %s: %s is of service %q", service, file, def.Service)
	}
	for _, p := range def.Artifact.Paths {
		if _, err := root.Lstat(path.Clean(p)); errors.Is(err, fs.ErrNotExist) && def.Artifact.Build != "" {
			return Artifact{}, fault.New(fault.NotFound, "pack local version of %s: %s is not there (build it first: %s)", service, p, def.Artifact.Build)
		}
	}
	meta := Meta{Service: service, Build: def.Artifact.Build, Manifest: &def, Chain: id.New(), Created: database.Time(database.Micros(r.now()))}
	layer, p, err := r.pack(ctx, meta, dir, def.Artifact.Paths)
	if err != nil {
		return Artifact{}, fmt.Errorf("pack local version of %s: %w", service, err)
	}
	if newest, err := r.newestLocal(ctx, service); err == nil {
		old, layers, err := r.load(newest.Digest)
		if err == nil && layers[0].Digest == layer.Digest && reflect.DeepEqual(old.Manifest, p.Manifest) {
			return newest, nil
		}
	} else if fault.Of(err) != fault.NotFound {
		return Artifact{}, err
	}
	err = r.db.Tx(ctx, func(tx *sql.Tx) error {
		n, err := database.Next(ctx, tx, "local/"+string(service))
		p.Version = id.Version(fmt.Sprintf("local-%d", n))
		return err
	})
	if err != nil {
		return Artifact{}, fmt.Errorf("pack local version of %s: %w", service, err)
	}
	return r.store(ctx, p, layer)
}

func (r *Repository) newestLocal(ctx context.Context, service id.Service) (Artifact, error) {
	row := r.db.Read().QueryRowContext(ctx, "SELECT "+columns+` FROM artifact
		WHERE service = $1 AND version LIKE 'local-%' ORDER BY created DESC, version DESC LIMIT 1`, service)
	a, err := scan(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return a, fault.New(fault.NotFound, "artifact %s local: nothing of this machine was packed yet", service)
	}
	if err != nil {
		return a, fmt.Errorf("find local artifact of %s: %w", service, err)
	}
	return a, nil
}
