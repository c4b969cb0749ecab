package api

import (
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"steer/base/fault"
)

// Time that a client may take to send a body. Git's pushes have their own.
const (
	bodyTime   = 30 * time.Second
	uploadTime = time.Hour
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
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(bodyTime))
		r.Body = &timely{r.Body, control}
	}
	a.handler.ServeHTTP(w, r)
}

// timely is a body that must arrive in time. Once it has, the time is over too:
// it would end the request's context while the answer is worked on.
type timely struct {
	io.ReadCloser
	control *http.ResponseController
}

func (t *timely) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		t.control.SetReadDeadline(time.Time{})
	}
	return n, err
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
