// Package registry speaks the protocol of container registries, the distribution-spec
// 1.1 of the Open Container Initiative, below /v2/. Package deliver/registry keeps what
// is pushed. Who calls, and may, is checked before: see As.
package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/registry"
)

// Time that a client has: for each piece that it sends, and to take what it asked for,
// at least a minute and this many bytes a second.
const (
	pause  = time.Minute
	slowly = 64 << 10
)

// page is how many names one answer lists at most.
const page = 1000

// Options are what the handler needs.
type Options struct {
	Registry *registry.Registry
	Log      *slog.Logger
}

type handler struct {
	r   *registry.Registry
	log *slog.Logger
}

// Handler answers everything below /v2/.
func Handler(o Options) http.Handler {
	return &handler{o.Registry, cmp.Or(o.Log, slog.Default())}
}

type actorKey struct{}

// As is a context of a request by somebody, whom the journal names.
func As(ctx context.Context, who id.Person) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

func actor(r *http.Request) id.Person {
	who, _ := r.Context().Value(actorKey{}).(id.Person)
	return who
}

// IsWrite tells whether a request changes something.
func IsWrite(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// WriteError answers with an error in the form of the distribution-spec.
func WriteError(w http.ResponseWriter, err error, text string) {
	code, status := registry.Failure(err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Del("Docker-Content-Digest")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": text}}})
}

// ServeHTTP answers a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	if err := h.serve(w, r); err != nil {
		text := err.Error()
		if fault.Of(err) == fault.Internal && r.Context().Err() == nil {
			h.log.Error("registry", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		WriteError(w, err, text)
	}
}

// serve finds what a path is about from its end: names have slashes.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	parts := strings.Split(path, "/")
	n := len(parts)
	at := func(i int) string { // from the end
		if i > n {
			return ""
		}
		return parts[n-i]
	}
	name := func(less int) string { return strings.Join(parts[:n-less], "/") }
	switch {
	case path == "":
		return only(r, http.MethodGet, func() error {
			w.Header().Set("Content-Type", "application/json")
			_, err := io.WriteString(w, "{}\n")
			return err
		})
	case path == "_catalog":
		return only(r, http.MethodGet, func() error { return h.catalog(w, r) })
	case at(2) == "tags" && at(1) == "list":
		return only(r, http.MethodGet, func() error { return h.tags(w, r, name(2)) })
	case at(2) == "blobs" && at(1) == "uploads", at(3) == "blobs" && at(2) == "uploads" && at(1) == "":
		return only(r, http.MethodPost, func() error { return h.begin(w, r, strings.TrimSuffix(name(2), "/blobs")) })
	case at(3) == "blobs" && at(2) == "uploads":
		return h.upload(w, r, name(3), at(1))
	case at(2) == "blobs":
		return h.blob(w, r, name(2), at(1))
	case at(2) == "manifests":
		return h.manifest(w, r, name(2), at(1))
	case at(2) == "referrers":
		return only(r, http.MethodGet, func() error { return h.referrers(w, r, name(2), at(1)) })
	}
	return fault.New(fault.NotFound, "%s %s: the registry has no such address", r.Method, r.URL.Path)
}

func only(r *http.Request, method string, f func() error) error {
	if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
		return f()
	}
	return wrongMethod(r)
}

// wrongMethod has the code UNSUPPORTED and the status that HTTP has for it.
func wrongMethod(r *http.Request) error {
	return registry.Fail(registry.Unsupported, http.StatusMethodNotAllowed, "%s %s: there is no such method here", r.Method, r.URL.Path)
}

// blob answers for one blob.
func (h *handler) blob(w http.ResponseWriter, r *http.Request, name, digest string) error {
	if err := registry.CheckName(name); err != nil {
		return err
	}
	d, err := registry.ParseDigest(digest)
	if err != nil {
		return err
	}
	switch r.Method {
	case http.MethodDelete:
		if err := h.r.DeleteBlob(r.Context(), name, d, actor(r)); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	case http.MethodHead:
		if _, err := h.r.HasBlob(d); err != nil { // somebody is about to push what needs it
			return err
		}
	case http.MethodGet:
	default:
		return wrongMethod(r)
	}
	file, size, err := h.r.OpenBlob(d)
	if err != nil {
		return err
	}
	defer file.Close()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pause + time.Duration(size/slowly)*time.Second))
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Docker-Content-Digest", string(d))
	head.Set("ETag", `"`+string(d)+`"`)
	head.Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, file) // ranges too
	return nil
}

// manifest answers for a manifest by tag or digest.
func (h *handler) manifest(w http.ResponseWriter, r *http.Request, name, ref string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		m, err := h.r.Resolve(r.Context(), name, ref)
		if err != nil {
			return err
		}
		head := w.Header()
		head.Set("Content-Type", m.MediaType)
		head.Set("Content-Length", strconv.Itoa(len(m.Body)))
		head.Set("Docker-Content-Digest", string(m.Digest))
		head.Set("ETag", `"`+string(m.Digest)+`"`)
		if r.Method == http.MethodGet {
			w.Write(m.Body)
		}
		return nil
	case http.MethodPut:
		return h.push(w, r, name, ref)
	case http.MethodDelete:
		if err := h.r.Delete(r.Context(), name, ref, actor(r)); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	return wrongMethod(r)
}

// mostTags is how many tags a push by digest may set.
const mostTags = 20

func (h *handler) push(w http.ResponseWriter, r *http.Request, name, ref string) error {
	p := registry.Push{Repository: name, MediaType: r.Header.Get("Content-Type"), Actor: actor(r)}
	if strings.Contains(ref, ":") {
		d, err := registry.ParseDigest(ref)
		if err != nil {
			return err
		}
		p.Digest, p.Tags = d, r.URL.Query()["tag"]
		if len(p.Tags) > mostTags {
			return fault.New(fault.Invalid, "push to %s: %d tags at a time, at most %d are taken", name, len(p.Tags), mostTags)
		}
	} else {
		p.Tags = []string{ref}
	}
	// One byte more than allowed: Push says what is too large.
	body, err := io.ReadAll(io.LimitReader(r.Body, registry.MaxManifest+1))
	if err != nil {
		return fault.New(fault.Invalid, "push to %s: the manifest broke off after %d bytes: %w", name, len(body), err)
	}
	p.Body = body
	m, err := h.r.Push(r.Context(), p)
	if err != nil {
		return err
	}
	head := w.Header()
	if m.Subject != "" {
		head.Set("OCI-Subject", string(m.Subject))
	}
	if p.Digest != "" && len(p.Tags) > 0 {
		head.Set("OCI-Tag", strings.Join(p.Tags, ", "))
	}
	created(w, name, "manifests", m.Digest)
	return nil
}

func created(w http.ResponseWriter, name, kind string, d registry.Digest) {
	w.Header().Set("Location", "/v2/"+name+"/"+kind+"/"+string(d))
	w.Header().Set("Docker-Content-Digest", string(d))
	w.WriteHeader(http.StatusCreated)
}
