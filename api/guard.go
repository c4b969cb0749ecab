package api

import (
	"net/http"
	"runtime/debug"
	"time"

	"steer/base/fault"
)

// Time that a client may take to send a body. Git's pushes have their own.
const (
	bodyTime   = 30 * time.Second
	uploadTime = time.Hour
	fileTime   = 5 * time.Minute // for each of a stream of files
)

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				a.o.Log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // ends the connection: half an answer must not look like one
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	// What is not the web UI runs nothing in a browser, like a script in a graph.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	if r.Body != nil && r.Body != http.NoBody {
		// Only for the body: once that is read, package http lifts the deadline.
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.bodyTime))
	}
	a.handler.ServeHTTP(w, r)
}

// known answers in the API's own form for what mux has no pattern for.
func (a *API) known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			a.refuse(w, r, fault.New(fault.NotFound, "%s %s: no such address (all are in /api/v1/openapi.yaml)", r.Method, r.URL.Path))
			return
		}
		mux.ServeHTTP(w, r)
	})
}
