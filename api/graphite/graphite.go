// Package graphite speaks Graphite's HTTP API, so that existing dashboards and
// scripts read from Steer unchanged: /render, /metrics/find, /metrics/expand,
// /metrics/index.json, /tags, /events, /functions and /version.
//
// Errors are plain texts, below /tags and /events JSON with the key error. A wrong
// target is 400 and names the character; what nothing matches is 200 and empty.
package graphite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/listen/annotate"
	"steer/monitor/query"
)

// maxBody bounds a request that is sent as a form.
const maxBody = 1 << 20

// Find lists the nodes of the name tree that a glob matches.
type Find func(ctx context.Context, pattern string) ([]metric.Match, error)

// Options is what the application hands to New.
type Options struct {
	Engine *query.Engine
	Find   Find             // nil: the engine's
	Tags   Tags             // nil: nothing below /tags
	Events *annotate.Events // nil: nothing below /events
	TZ     *time.Location   // where requests without tz are; nil is UTC
	Now    func() time.Time // nil: the clock
	Log    *slog.Logger
}

// New makes the handler. It answers its own paths and 404 for all others; who may
// ask is up to a handler around it, which names the author of what IsWrite says is
// a change by As.
func New(o Options) http.Handler {
	s := &server{Options: o, quads: newQuads()}
	s.Log = cmp.Or(s.Log, slog.Default())
	s.TZ = cmp.Or(s.TZ, time.UTC)
	if s.Find == nil {
		s.Find = s.Engine.Find
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	mux := http.NewServeMux()
	read := map[string]func(http.ResponseWriter, *http.Request, parameters) error{
		"/render": s.render, "/metrics/find": s.find, "/metrics/expand": s.expand, "/metrics/index.json": s.index,
	}
	if s.Tags != nil {
		maps.Copy(read, s.tagHandlers())
		for path, handle := range s.tagWriters() {
			for _, path := range [...]string{path, path + "/{$}"} {
				mux.HandleFunc("POST "+path, s.checked(handle))
				mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Allow", http.MethodPost)
					http.Error(w, "only POST", http.StatusMethodNotAllowed)
				})
			}
		}
	}
	if s.Events != nil {
		s.eventHandlers(mux)
	}
	for path, handle := range read {
		for _, method := range [...]string{"GET ", "POST "} {
			mux.HandleFunc(method+path, s.checked(handle))
			mux.HandleFunc(method+path+"/{$}", s.checked(handle))
		}
	}
	for path, handle := range map[string]func(http.ResponseWriter, *http.Request, parameters) error{
		"/functions": s.functions, "/functions/{$}": s.functions, "/functions/{name}": s.function,
		"/version": s.version, "/version/{$}": s.version,
	} {
		mux.HandleFunc("GET "+path, s.checked(handle))
	}
	return mux
}

// Paths are the patterns to mount the handler at in a mux of others.
func Paths() []string {
	return []string{"/render", "/render/", "/metrics/", "/functions", "/functions/", "/version", "/version/", "/tags", "/tags/", "/events", "/events/"}
}

type server struct {
	Options
	writers sync.Pool // of *writer
	quads   *quads
}

// parameters are those of the address and of the form together, as Graphite
// takes them.
type parameters struct{ url.Values }

func (p parameters) has(name string) bool { _, ok := p.Values[name]; return ok }

// Get is the last value: a form goes before the address.
func (p parameters) Get(name string) string {
	if v := p.Values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (p parameters) yes(name string) bool {
	switch strings.ToLower(p.Get(name)) {
	case "", "0", "false", "no":
		return false
	}
	return true
}

// uncalled is without jsonp, for what Graphite has none for.
func (p parameters) uncalled() parameters {
	return parameters{url.Values{"pretty": p.Values["pretty"]}}
}

// checked reads the parameters and answers errors.
func (s *server) checked(handle func(http.ResponseWriter, *http.Request, parameters) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		p, err := read(r)
		if err == nil {
			err = handle(w, r, p)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

func read(r *http.Request) (parameters, error) {
	// Go refuses a bare semicolon, but names with tags have them.
	r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ";", "%3B")
	// ParseMultipartForm alone swallows the errors of other forms.
	err := r.ParseForm()
	if err == nil {
		if err = r.ParseMultipartForm(maxBody); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return parameters{}, fault.New(fault.Invalid, "read the request: its body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return parameters{}, fault.New(fault.Invalid, "read the request: %w", err)
	}
	// ParseForm puts the form before the address; the last value counts here.
	values := url.Values{}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return parameters{}, fault.New(fault.Invalid, "read the query of the address: %w", err)
	}
	for k, v := range query {
		values[k] = append(values[k], v...)
	}
	for k, v := range r.PostForm {
		values[k] = append(values[k], v...)
	}
	return parameters{values}, nil
}

// fail answers an error as text. What is our mistake is told in the log only.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	kind := fault.Of(err)
	text := err.Error()
	if kind == fault.Internal {
		s.Log.ErrorContext(r.Context(), "graphite request", "path", r.URL.Path, "error", err)
		text = "internal server error; the log of the server says more"
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if strings.HasPrefix(r.URL.Path, "/tags") || strings.HasPrefix(r.URL.Path, "/events") {
		h.Set("Content-Type", "application/json")
		w.WriteHeader(kind.Status())
		_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
		return
	}
	w.WriteHeader(kind.Status())
	fmt.Fprintln(w, text)
}

// zone is that of the request; an unknown one is ignored, as in Graphite.
func (s *server) zone(p parameters) *time.Location {
	if name := p.Get("tz"); name != "" && name != "Local" {
		if tz, err := time.LoadLocation(name); err == nil {
			return tz
		}
	}
	return s.TZ
}

// times are now, from and until of the request.
func (s *server) times(p parameters) (now, from, until time.Time, err error) {
	tz := s.zone(p)
	now = s.Now().In(tz)
	if text := p.Get("now"); text != "" {
		if now, err = query.ParseTime(text, now, tz); err != nil {
			return now, from, until, fmt.Errorf("parameter now: %w", err)
		}
	}
	from, until = now.Add(-24*time.Hour), now
	if text := p.Get("from"); text != "" {
		if from, err = query.ParseTime(text, now, tz); err != nil {
			return now, from, until, fmt.Errorf("parameter from: %w", err)
		}
	}
	if text := p.Get("until"); text != "" {
		if until, err = query.ParseTime(text, now, tz); err != nil {
			return now, from, until, fmt.Errorf("parameter until: %w", err)
		}
	}
	return now, from, until, nil
}

func (s *server) version(w http.ResponseWriter, _ *http.Request, _ parameters) error {
	// The version of the language and the API, which clients adapt to.
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("1.1.10\n"))
	return err
}

// whole reads a number that is not negative; anything else counts as not given,
// as in Graphite.
func (p parameters) whole(name string) (int, bool) {
	n, err := strconv.Atoi(p.Get(name))
	return n, err == nil && n >= 0
}
