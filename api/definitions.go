package api

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"steer/base/fault"
	"steer/base/git"
)

// Definitions is the desired state as files.
type Definitions struct {
	Revision string            `json:"revision"` // commit
	Files    map[string]string `json:"files"`    // by path
	Problem  string            `json:"problem,omitempty" doc:"Why the newest commit is not in force, if so."`
}

// DefinitionsChange is a commit to make.
type DefinitionsChange struct {
	Base    string             `json:"base" doc:"Revision that the change was made from; another one since is a conflict."`
	Message string             `json:"message" minLength:"1" maxLength:"2000" doc:"Why."`
	Files   map[string]*string `json:"files" doc:"New content by path; null deletes."`
}

func (a *API) definitions() {
	operation(a, http.MethodGet, "/definitions", "get-definitions", "The definitions repository's files", viewer,
		func(context.Context, *none) (Definitions, error) {
			revision, files := a.o.Definitions.Current()
			d := Definitions{Revision: revision, Files: map[string]string{}}
			if problem := a.o.Definitions.Problem(); problem != nil {
				d.Problem = problem.Error()
			}
			err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				if path.Ext(name) == ".age" || strings.HasPrefix(name, "secrets/") { // encrypted ones as well stay where they are
					d.Files[name] = "(sensitive)"
					return nil
				}
				b, err := fs.ReadFile(files, name)
				d.Files[name] = string(b)
				return err
			})
			return d, err
		})
	operation(a, http.MethodPost, "/definitions", "change-definitions", "Commit a change of the definitions", operator,
		func(ctx context.Context, in *struct{ Body DefinitionsChange }) (Definitions, error) {
			change := git.Change{Author: person(ctx), Message: in.Body.Message, Base: in.Body.Base, Files: map[string][]byte{}}
			for name, content := range in.Body.Files {
				if !fs.ValidPath(name) {
					return Definitions{}, fault.New(fault.Invalid, "change definitions: %q is no path inside of the repository", name)
				}
				if content == nil {
					change.Files[name] = nil
				} else {
					change.Files[name] = []byte(*content)
				}
			}
			if len(change.Files) == 0 {
				return Definitions{}, fault.New(fault.Invalid, "change definitions: %w", errors.New("no file is named"))
			}
			revision, err := a.o.Definitions.Change(ctx, change)
			return Definitions{Revision: revision, Files: map[string]string{}}, err
		})
}
