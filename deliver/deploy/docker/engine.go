package docker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steer/base/fault"
)

const (
	maxAnswer = 64 << 20         // bytes of an answer that is read whole
	patience  = 30 * time.Second // for an answer that is not a stream
)

// engine speaks the Docker Engine API: HTTP with JSON. The paths are those of
// API 1.41 (Engine 20.10) and are the same in later ones.
// https://docs.docker.com/reference/api/engine/
type engine struct {
	at      string // as DOCKER_HOST has it
	base    string
	http    *http.Client
	useless error // why there can be none at that address
}

// socket is where the engine listens unless DOCKER_HOST says otherwise.
const socket = "unix:///var/run/docker.sock"

// newEngine reads an address as DOCKER_HOST has it. DOCKER_TLS_VERIFY and
// DOCKER_CERT_PATH are honoured for tcp.
func newEngine(at string) (*engine, error) {
	at = cmp.Or(at, os.Getenv("DOCKER_HOST"), socket)
	u, err := url.Parse(at)
	if err != nil {
		return nil, fault.New(fault.Invalid, "address of the Docker engine %q: %w", at, err)
	}
	t := &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute}
	e := &engine{at: at, base: "http://docker", http: &http.Client{Transport: t}}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", u.Path)
		}
	case u.Scheme == "tcp" && u.Host != "":
		t.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
		e.base = "http://" + u.Host
		if os.Getenv("DOCKER_TLS_VERIFY") != "" {
			e.base = "https://" + u.Host
			if t.TLSClientConfig, err = certificates(cmp.Or(os.Getenv("DOCKER_CERT_PATH"), filepath.Join(os.Getenv("HOME"), ".docker"))); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fault.New(fault.Invalid, "address of the Docker engine %q: write unix:///PATH or tcp://HOST:PORT (deploy.docker.host or DOCKER_HOST)", at)
	}
	return e, nil
}

func certificates(dir string) (*tls.Config, error) {
	fail := func(err error) (*tls.Config, error) {
		return nil, fault.New(fault.Invalid, "certificates for the Docker engine in %s (DOCKER_CERT_PATH): %w", dir, err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return fail(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return fail(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return fail(errors.New("ca.pem holds no certificate"))
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}, nil
}

// open sends a request and returns the answer, whose body the caller closes. The
// error is fault.Unavailable when there was no answer, and NotFound, Conflict or
// Invalid when the engine says so.
func (e *engine) open(ctx context.Context, method, path string, query url.Values, body io.Reader, kind string) (*http.Response, error) {
	if e.useless != nil {
		return nil, e.useless
	}
	r, err := http.NewRequestWithContext(ctx, method, e.base+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := e.http.Do(r)
	if err != nil {
		if context.Cause(ctx) == errSlow {
			return nil, fault.New(fault.Unavailable, "the Docker engine at %s did not answer in time", e.at)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return nil, fault.New(fault.Unavailable, "the Docker engine at %s does not answer: %w (is it running? deploy.docker.host or DOCKER_HOST says where it is)", e.at, err)
	}
	if answer.StatusCode < 400 {
		return answer, nil
	}
	defer answer.Body.Close()
	var said struct {
		Message string `json:"message"`
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = answer.Status
	}
	of := map[int]fault.Kind{400: fault.Invalid, 404: fault.NotFound, 409: fault.Conflict, 503: fault.Unavailable}[answer.StatusCode]
	return nil, fault.New(of, "the Docker engine says: %s", strings.TrimSpace(said.Message))
}

// call sends in as JSON, if it is not nil, and reads the answer into out.
func (e *engine) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	answer, err := e.open(ctx, method, path, query, body, "application/json")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out); err != nil {
		return fault.New(fault.Unavailable, "read the Docker engine's answer: %w", err)
	}
	return nil
}

var errSlow = errors.New("too slow")

// send streams a body, and reads the answer's lines of progress to their end: the
// engine tells errors in them.
func (e *engine) send(ctx context.Context, method, path string, query url.Values, body io.Reader) error {
	answer, err := e.open(ctx, method, path, query, body, "application/x-tar")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for lines := json.NewDecoder(answer.Body); ; {
		var line struct {
			Error string `json:"error"`
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fault.New(fault.Unavailable, "read the Docker engine's answer: %w", err)
		case line.Error != "":
			return fault.New(fault.Invalid, "the Docker engine says: %s", line.Error)
		}
	}
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// filters are a query for objects with these labels or references.
func filters(key, value string) string {
	return fmt.Sprintf(`{%q:[%q]}`, key, value)
}
