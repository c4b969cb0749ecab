// Package api speaks to the API of a Kubernetes cluster: HTTP with JSON, as whom the
// kubeconfig says, in one namespace. What objects hold is up to the caller.
package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
)

const (
	maxAnswer = 64 << 20         // bytes of an answer that is read whole
	patience  = 30 * time.Second // for an answer that is not a stream
	roleGuide = "docs/guide/kubernetes.md has the Role to give"
)

var errSlow = errors.New("too slow")

// Client speaks the API of a cluster in one namespace. It is safe for concurrent use.
// https://kubernetes.io/docs/reference/kubernetes-api/
type Client struct {
	file, context string // of the kubeconfig
	namespace     string

	mu     sync.Mutex
	at     *access
	opened time.Time
}

// New makes a client. The kubeconfig file and its context may be "": then they are
// found as kubectl does, and in a pod they are its service account. So may the
// namespace, which the kubeconfig names then. Nothing is read yet.
func New(kubeconfig, context, namespace string) *Client {
	return &Client{file: kubeconfig, context: context, namespace: namespace}
}

// Check says why it is not known how to reach the cluster. It does not ask that.
func (c *Client) Check() error {
	_, err := c.access(nil)
	return err
}

// reopen is the shortest time after which the kubeconfig is read again when the API
// does not know who asks.
const reopen = 10 * time.Second

// access is the way to the API. refused is one that the API did not take: the
// kubeconfig may have changed since it was read, or a program tells another token.
func (c *Client) access(refused *access) (*access, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at != nil && (c.at != refused || time.Since(c.opened) < reopen) {
		return c.at, nil
	}
	a, err := open(c.file, c.context)
	if err != nil {
		return nil, err
	}
	if c.at != nil {
		c.at.http.CloseIdleConnections()
	}
	if c.namespace == "" {
		c.namespace = cmp.Or(a.namespace, "default")
	}
	c.at, c.opened = a, time.Now()
	return a, nil
}

// Kinds of objects, as paths name them.
const (
	Pods        = "pods"
	Secrets     = "secrets"
	ReplicaSets = "replicasets"
)

// Path is that of the namespace's objects of a kind, or of one.
func (c *Client) Path(kind string, name ...string) string {
	group := "/api/v1"
	if kind == ReplicaSets {
		group = "/apis/apps/v1"
	}
	p := group + "/namespaces/" + url.PathEscape(c.Namespace()) + "/" + kind
	for _, n := range name {
		p += "/" + url.PathEscape(n)
	}
	return p
}

// Namespace is that of all objects; if nobody named one, the kubeconfig does.
func (c *Client) Namespace() string {
	c.access(nil) // an error is told by the request
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.namespace
}

// open sends a request and returns the answer, whose body the caller closes. The
// error is fault.Unavailable when there was no answer or the server is not well.
func (c *Client) open(ctx context.Context, method, path string, query url.Values, kind string, body []byte) (*http.Response, error) {
	a, err := c.access(nil)
	if err != nil {
		return nil, err
	}
	for {
		token, err := a.who.bearer(ctx)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, method, a.server+path+"?"+query.Encode(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		r.Header.Set("Accept", "application/json")
		r.Header.Set("User-Agent", "steer")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		if a.as != "" {
			r.Header.Set("Impersonate-User", a.as)
		}
		answer, err := a.http.Do(r)
		if err != nil {
			if context.Cause(ctx) == errSlow {
				return nil, fault.New(fault.Unavailable, "the Kubernetes API at %s did not answer in time", a.server)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if u := (*url.Error)(nil); errors.As(err, &u) {
				err = u.Err
			}
			return nil, fault.New(fault.Unavailable, "the Kubernetes API at %s does not answer: %w", a.server, err)
		}
		if answer.StatusCode < 300 {
			return answer, nil
		}
		var said status
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
		answer.Body.Close()
		if answer.StatusCode == http.StatusUnauthorized {
			next, err := c.access(a)
			if err != nil {
				return nil, err
			}
			if next != a {
				a = next
				continue
			}
		}
		if json.Unmarshal(text, &said) != nil || said.Message == "" {
			said.Message = answer.Status
		}
		said.Code = answer.StatusCode
		return nil, said.fault(a.server, c.Namespace())
	}
}

// status is how the API says what is wrong, also in the middle of a watch.
type status struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

// errGone is what the API says of a resourceVersion that is too old.
var errGone = errors.New("the API no longer knows what was seen last")

func (s status) fault(server, namespace string) error {
	text := strings.TrimSpace(s.Message)
	switch {
	case s.Code == http.StatusUnauthorized:
		return fault.New(fault.Denied, "the Kubernetes API at %s does not know who Steer is: %s (renew the token or certificate of the kubeconfig)", server, text)
	case s.Code == http.StatusForbidden && strings.Contains(text, "exceeded quota"):
		return fault.New(fault.Conflict, "the Kubernetes API says: %s (raise the ResourceQuota of namespace %s, or lower run.limits)", text, namespace)
	case s.Code == http.StatusForbidden:
		return fault.New(fault.Denied, "the Kubernetes API says: %s (%s)", text, roleGuide)
	case s.Code == http.StatusNotFound && strings.Contains(text, "namespaces "):
		return fault.New(fault.NotFound, "there is no namespace %s in the cluster (kubectl create namespace %s)", namespace, namespace)
	case s.Code == http.StatusGone:
		return errGone
	case s.Code == http.StatusTooManyRequests || s.Code >= 500:
		return fault.New(fault.Unavailable, "the Kubernetes API says: %s", text)
	}
	if s.Reason == "AlreadyExists" {
		return fault.New(fault.Conflict, "%w", &alreadyThere{fmt.Errorf("the Kubernetes API says: %s", text)})
	}
	of := map[int]fault.Kind{400: fault.Invalid, 404: fault.NotFound, 409: fault.Conflict, 422: fault.Invalid}[s.Code]
	return fault.New(of, "the Kubernetes API says: %s", text)
}

// Exists tells whether an object could not be made since there is one of its name.
// A quota is another conflict.
func Exists(err error) bool {
	s := (*alreadyThere)(nil)
	return errors.As(err, &s)
}

// alreadyThere is what the API says of a name that is taken.
type alreadyThere struct{ error }

// Call sends in as JSON, if it is not nil, and reads the answer into out, if that
// is not nil. PATCH merges. The error is of the kind that the API's status means.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	kind := "application/json"
	if method == http.MethodPatch {
		kind = "application/merge-patch+json"
	}
	answer, err := c.open(ctx, method, path, query, kind, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	} else {
		err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out)
	}
	if err != nil {
		return fault.New(fault.Unavailable, "read the answer of the Kubernetes API: %w", err)
	}
	return nil
}

// Read returns an answer that comes bit by bit, and may have no end before ctx has.
// The caller closes it.
func (c *Client) Read(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	answer, err := c.open(ctx, http.MethodGet, path, query, "", nil)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// Remove deletes an object with all that it owns. One that is not there is no error.
// grace is that of pods, in seconds; less than 0: their own.
func (c *Client) Remove(ctx context.Context, kind, name string, grace int) error {
	how := map[string]any{"propagationPolicy": "Background"}
	if grace >= 0 {
		how["gracePeriodSeconds"] = grace
	}
	err := c.Call(ctx, http.MethodDelete, c.Path(kind, name), nil, how, nil)
	if fault.Of(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, err)
	}
	return nil
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}
