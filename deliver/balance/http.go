package balance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/id"
)

// maxTries bounds the backends that one request is tried on.
const maxTries = 4

// exchange is one request on its way through.
type exchange struct {
	at      time.Time
	backend *backend // that answers; counted in its pool until the exchange ends
	counted bool
	failed  bool
}

type exchangeKey struct{}

// httpPort balances the requests of one port. It is the handler of the server
// before it, and the transport of the reverse proxy inside it.
type httpPort struct {
	b     *Balancer
	pool  *pool
	name  string
	proxy *httputil.ReverseProxy
}

func newHTTPPort(b *Balancer, p *pool, name string) *httpPort {
	h := &httpPort{b: b, pool: p, name: name}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:        h.rewrite,
		Transport:      h,
		ModifyResponse: h.answered,
		ErrorHandler:   h.refused,
		ErrorLog:       b.quiet,
		BufferPool:     &b.buffers,
	}
	return h
}

func (h *httpPort) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") == "" {
		// Without this the server takes what is left of the request's body away from
		// the backend as soon as the backend begins to answer.
		http.NewResponseController(w).EnableFullDuplex()
	}
	x := &exchange{at: time.Now()}
	ended := false
	defer func() {
		if x.backend == nil {
			return
		}
		// The proxy panics when a response breaks off, so that the client sees it too.
		if !ended && !x.failed && r.Context().Err() == nil {
			x.backend.errors.Add(1)
			h.b.broken(x.backend.names)
		}
		h.pool.release(x.backend)
	}()
	h.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	ended = true
}

func (h *httpPort) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = "backend"             // RoundTrip knows better
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, also if odd
	r.Out.Host = r.In.Host
	if h.b.o.TrustForwarded {
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	}
	r.SetXForwarded()
	if proto := r.In.Header["X-Forwarded-Proto"]; h.b.o.TrustForwarded && len(proto) > 0 {
		r.Out.Header["X-Forwarded-Proto"] = proto
	}
}

// RoundTrip picks a backend and sends the request, again if that is safe.
func (h *httpPort) RoundTrip(r *http.Request) (*http.Response, error) {
	x := r.Context().Value(exchangeKey{}).(*exchange)
	var again *replay
	if r.Body != nil && r.Body != http.NoBody {
		again = &replay{from: r.Body}
	}
	var tried []*backend
	var last error
	for try := 1; ; try++ {
		b, err := h.pool.pick(h.name, tried)
		if err != nil {
			if last != nil {
				err = fmt.Errorf("%w, after: %w", err, last)
			}
			return nil, err
		}
		x.backend = b
		response, sent, reused, err := send(r, b, b.Address[h.name], again)
		if err == nil {
			return response, nil
		}
		last = err
		if r.Context().Err() != nil {
			return nil, err
		}
		refused := false
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
			refused = true
			if h.pool.mark(b, "refuses connections: "+err.Error()) {
				h.b.log.Warn("node gets no requests", "node", b.ID, "service", h.pool.key.service, "environment", h.pool.key.environment, "error", err)
			}
		}
		safe := refused || !sent || idempotent(r) && !timeout(err)
		if !safe || try == maxTries || again != nil && again.spent() {
			return nil, err
		}
		// A kept connection may just have been closed by a backend in good health:
		// that one may be asked again, on a new connection.
		if !reused {
			tried = append(tried, b)
		}
		b.errors.Add(1)
		h.pool.release(b)
		x.backend = nil
	}
}

// send makes one attempt and says whether any byte of it reached the network,
// and whether that was on a kept connection.
func send(r *http.Request, b *backend, address string, again *replay) (response *http.Response, sent, reused bool, err error) {
	var conn *countingConn
	var before int64
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		reused = i.Reused
		if c, ok := i.Conn.(*countingConn); ok {
			conn, before = c, c.wrote.Load()
		}
	}}
	out := r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
	u := *r.URL
	u.Host = address
	out.URL = &u
	if again != nil {
		body, ok := again.begin()
		if !ok {
			return nil, true, false, errStale
		}
		out.Body = body
	}
	b.requests.Add(1)
	response, err = b.transport.RoundTrip(out)
	return response, conn != nil && conn.wrote.Load() > before, reused, err
}

// idempotent says whether a request may reach backends twice (RFC 9110, 9.2.2).
func idempotent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header.Get("Idempotency-Key") != ""
}

func timeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// answered sees the header of a response, before it goes to the client.
func (h *httpPort) answered(r *http.Response) error {
	x := r.Request.Context().Value(exchangeKey{}).(*exchange)
	x.failed = r.StatusCode >= 500
	if x.failed {
		x.backend.errors.Add(1)
	}
	r.Header.Set("X-Steer-Version", string(x.backend.Version))
	h.b.count(x.backend.names, r.StatusCode, x.failed, time.Since(x.at))
	return nil
}

// refused answers for a backend that did not.
func (h *httpPort) refused(w http.ResponseWriter, r *http.Request, err error) {
	x := r.Context().Value(exchangeKey{}).(*exchange)
	if r.Context().Err() != nil { // the client left: nobody's fault
		if x.backend != nil {
			h.b.count(x.backend.names, 0, false, -1)
		}
		return
	}
	status, text := http.StatusBadGateway, "the node that had the request did not answer it"
	switch {
	case errors.Is(err, errNoBackend):
		status, text = http.StatusServiceUnavailable, errNoBackend.Error()
	case errors.Is(err, errNoNode):
		status, text = http.StatusServiceUnavailable, errNoNode.Error()
	case timeout(err):
		status, text = http.StatusGatewayTimeout, "the node did not answer in time"
	}
	var version id.Version
	if x.backend != nil {
		x.backend.errors.Add(1)
		version = x.backend.Version
		h.b.count(x.backend.names, status, true, time.Since(x.at))
	} else {
		version = h.pool.wanted()
		h.b.count(newNames(h.pool.key, version), status, true, -1)
	}
	x.failed = true
	h.b.log.Warn("request failed", "service", h.pool.key.service, "environment", h.pool.key.environment,
		"version", version, "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Steer-Version", string(version))
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "%d: %s: %s\n", status, h.pool.key, text)
}

// spent says that the body's start is gone, so there is no other try.
func (r *replay) spent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// countingConn counts what was written, which is how an attempt knows that
// nothing of it was sent.
type countingConn struct {
	net.Conn
	wrote atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote.Add(int64(n))
	return n, err
}

// transport makes the connections to one backend. Kept connections end before
// servers usually end them (Node.js: 5 s), so that few requests meet a closing one.
func (b *Balancer) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: b.o.ConnectTimeout.Std()}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &countingConn{Conn: c}, nil
		},
		DisableCompression:     true, // pass on what the client asked for
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        4 * time.Second,
		ResponseHeaderTimeout:  b.o.AnswerTimeout.Std(),
		MaxResponseHeaderBytes: 1 << 20,
		ExpectContinueTimeout:  time.Second,
	}
}

// bufferPool lends the proxy its copy buffers.
type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte {
	if b, ok := p.Pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(b []byte) { p.Pool.Put(&b) }
