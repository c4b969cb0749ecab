package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/artifact"
)

// Artifact is what was built of a version, and where it came from.
type Artifact struct {
	artifact.Artifact
	Repository string           `json:"repository,omitempty"`
	Author     string           `json:"author,omitempty"`
	Message    string           `json:"message,omitempty"`
	Run        int64            `json:"run,omitempty"`
	Build      string           `json:"build,omitempty" doc:"Command that made the files."`
	Stages     []artifact.Stage `json:"stages,omitempty" doc:"What had passed before it was packed."`
	Files      []artifact.File  `json:"files" doc:"What can be fetched below this address; what is most likely wanted comes first."`
}

type artifactInput struct {
	Service string `path:"service" maxLength:"200"`
	Version string `path:"version" maxLength:"200" doc:"b12, or latest: the newest green version that is not pinned."`
}

func (a *API) artifacts() {
	operation(a, http.MethodGet, "/artifacts/{service}/{version}", "get-artifact", "What was built of a version, and its files", viewer,
		func(ctx context.Context, in *artifactInput) (Artifact, error) {
			made, err := a.artifact(ctx, in.Service, in.Version)
			if err != nil {
				return Artifact{}, err
			}
			p, err := a.o.Artifacts.Provenance(ctx, made.Digest)
			if err != nil {
				return Artifact{}, err
			}
			files, err := a.o.Artifacts.Files(made.Digest)
			return Artifact{made, p.Repository, p.Author, p.Message, p.Run, p.Build, p.Stages, files}, err
		})
}

// artifact finds the artifact of a version.
func (a *API) artifact(ctx context.Context, service, version string) (artifact.Artifact, error) {
	s, err := a.resolve(ctx, service)
	if err != nil {
		return artifact.Artifact{}, err
	}
	v, err := id.Parse[id.Version]("version", version)
	if err != nil {
		return artifact.Artifact{}, fault.New(fault.Invalid, "artifact of %s: %w", s, err)
	}
	if v == id.Latest {
		if v, err = a.o.Pipelines.Latest(ctx, s); err != nil {
			return artifact.Artifact{}, err
		}
	}
	return a.o.Artifacts.Get(ctx, s, v)
}

// artifactFile sends a file of an artifact, or the parts of it that the request names.
func (a *API) artifactFile(w http.ResponseWriter, r *http.Request) {
	made, err := a.artifact(r.Context(), r.PathValue("service"), r.PathValue("version"))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	f, in, err := a.o.Artifacts.OpenFile(made.Digest, r.PathValue("file"))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer in.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", cmp.Or(mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}), "attachment"))
	h.Set("ETag", `"`+f.Digest+`"`)
	h.Set("Steer-Version", string(made.Version))
	if raw, err := hex.DecodeString(strings.TrimPrefix(f.Digest, "sha256:")); err == nil {
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(raw)+":") // RFC 9530
	}
	// A line of 64 KiB a second is served, one that hangs is not waited for.
	until := time.Now().Add(time.Minute + time.Duration(f.Size>>16)*time.Second)
	if err := http.NewResponseController(w).SetWriteDeadline(until); err != nil && !errors.Is(err, http.ErrNotSupported) {
		a.refuse(w, r, err)
		return
	}
	http.ServeContent(w, r, "", made.Created, in)
}

// packages serves the package repositories: to programs on this machine without a
// login, to others with a token as the password, which apt and dnf can keep.
func (a *API) packages() http.Handler {
	read := a.require(viewer, true, a.o.Packages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := caller(r.Context()); !ok && !(a.o.Anonymous && local(r)) {
			w.Header().Set("WWW-Authenticate", askPassword)
		}
		read.ServeHTTP(w, r)
	})
}
