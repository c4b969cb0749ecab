package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// Options say what Handler serves and whom it tells.
type Options struct {
	// Repo returns the folder of a repository. create is set for a push: then it
	// may make the repository. Its error goes to the person, with its kind's status.
	Repo   func(name string, create bool) (dir string, err error)
	Hook   []string                      // see Repo.SetHook; empty: pushes are not checked
	Env    []string                      // more environment variables for the hook
	Pushed func(name string)             // called after each push, accepted or not; may be nil
	Person func(*http.Request) id.Person // who asks; the hook finds the name in REMOTE_USER; may be nil
	Limit  int64                         // bytes of one request, default 512 MiB
	Log    *slog.Logger
}

// Requests that run at the same time; more wait.
const atOnce = 16

// IsPush says whether a request to Handler is part of a push, so that the caller
// can ask for more rights than for a clone.
func IsPush(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
}

// Handler serves clone, fetch and push of bare repositories over HTTP at
// /NAME.git/…. Who may do that is the caller's business.
func Handler(o Options) http.Handler {
	o.Limit = cmp.Or(o.Limit, 512<<20)
	h := &handler{Options: o, slots: make(chan struct{}, atOnce)}
	h.Log = cmp.Or(o.Log, slog.Default())
	h.backend = sync.OnceValues(func() (string, error) {
		out, err := call{args: []string{"--exec-path"}}.exec(context.Background())
		return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), err
	})
	return h
}

type handler struct {
	Options
	slots   chan struct{}
	backend func() (string, error)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.serve(w, r); err != nil {
		h.Log.DebugContext(r.Context(), "git request refused", "path", r.URL.Path, "error", err)
		// git shows the text to the person.
		http.Error(w, err.Error(), fault.Of(err).Status())
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	name, service, err := route(r)
	if err != nil {
		return err
	}
	if r.ContentLength > h.Limit {
		http.Error(w, fmt.Sprintf("the push has %d MiB, at most %d MiB are allowed: push in smaller steps", r.ContentLength>>20, h.Limit>>20), http.StatusRequestEntityTooLarge)
		return nil
	}
	push := IsPush(r)
	dir, err := h.Repo(name, push)
	if err != nil {
		return err
	}
	repo, err := Open(dir)
	if err != nil {
		return err
	}
	backend, err := h.backend()
	if err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return nil
	}

	// A large push over a slow line takes longer than other requests may.
	control := http.NewResponseController(w)
	deadline := time.Now().Add(time.Hour)
	if err := errors.Join(control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}

	config := []string{"http.receivepack=true", fmt.Sprintf("receive.maxInputSize=%d", h.Limit)}
	if len(h.Hook) == 0 {
		config = append(config, noHooks)
	} else if push {
		if err := repo.SetHook(h.Hook); err != nil {
			return err
		}
	}
	if push {
		if err := repo.Sweep(time.Minute); err != nil {
			h.Log.WarnContext(r.Context(), "git repository not swept", "dir", dir, "error", err)
		}
		if r.Method == http.MethodPost && h.Pushed != nil {
			defer h.Pushed(name)
		}
	}
	env := append(environ(configure(config...)...), h.Env...)
	env = append(env, "GIT_PROJECT_ROOT="+repo.dir, "GIT_HTTP_EXPORT_ALL=1")
	if h.Person != nil {
		env = append(env, "REMOTE_USER="+string(h.Person(r)))
	}
	stderr := &tail{limit: 4 << 10}
	c := cgi.Handler{Path: backend, Dir: repo.dir, Env: env, Stderr: stderr, Logger: slog.NewLogLogger(h.Log.Handler(), slog.LevelWarn)}
	c.ServeHTTP(&flushing{w, control}, h.inner(r, service))
	if text := strings.TrimSpace(stderr.String()); strings.Contains(text, "fatal:") || strings.Contains(text, "error:") {
		h.Log.WarnContext(r.Context(), "git http-backend", "repository", name, "stderr", text)
	}
	return nil
}

// route splits /NAME.git/SERVICE.
func route(r *http.Request) (name, service string, err error) {
	name, service, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	unknown := fault.New(fault.NotFound, "no such page: Git repositories are at NAME.git")
	if !ok {
		return "", "", unknown
	}
	if _, err := id.Parse[string]("repository", name); err != nil {
		return "", "", fault.New(fault.NotFound, "%w", err)
	}
	switch want := r.URL.Query().Get("service"); {
	case r.Method == http.MethodGet && service == "info/refs" && (want == "git-upload-pack" || want == "git-receive-pack"):
	case r.Method == http.MethodGet && service == "info/refs":
		return "", "", fault.New(fault.Denied, "this Git client is too old: only the smart protocol is served")
	case r.Method == http.MethodPost && (service == "git-upload-pack" || service == "git-receive-pack"):
	default:
		return "", "", unknown
	}
	return name, service, nil
}

// inner is the request as the CGI program gets it: without the caller's
// credentials, which would stand in the environment of hooks.
func (h *handler) inner(r *http.Request, service string) *http.Request {
	in := r.Clone(r.Context())
	in.URL.Path, in.URL.RawPath = "/"+service, ""
	in.Header = http.Header{}
	for _, key := range []string{"Content-Type", "Content-Encoding", "Git-Protocol", "User-Agent", "Accept"} {
		if v := r.Header.Get(key); v != "" {
			in.Header.Set(key, v)
		}
	}
	// A big push comes in chunks. http-backend reads it to the end, but package
	// cgi refuses it when it knows.
	in.TransferEncoding = nil
	if r.Body != nil {
		in.Body = &capped{r.Body, h.Limit}
	}
	return in
}

// capped ends a body that is too large. Unlike http.MaxBytesReader it leaves the
// response alone, which another goroutine writes at the same time.
type capped struct {
	io.ReadCloser
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errors.New("the push is too large")
	}
	return n, err
}

// flushing sends at once what hooks print, and keeps the connection alive while
// they work.
type flushing struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (f *flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err == nil {
		if e := f.control.Flush(); e != nil && !errors.Is(e, http.ErrNotSupported) {
			err = e
		}
	}
	return n, err
}
