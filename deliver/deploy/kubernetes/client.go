package kubernetes

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

// client speaks the API of a cluster, HTTP with JSON, in one namespace.
// https://kubernetes.io/docs/reference/kubernetes-api/
type client struct {
	file, context string // of the kubeconfig
	namespace     string

	mu     sync.Mutex
	at     *access
	opened time.Time
}

// reopen is the shortest time after which the kubeconfig is read again when the API
// does not know who asks.
const reopen = 10 * time.Second

// access is the way to the API. refused is one that the API did not take: the
// kubeconfig may have changed since it was read, or a program tells another token.
func (c *client) access(refused *access) (*access, error) {
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

// Paths of the kinds that the driver uses, below a namespace.
const (
	pods        = "pods"
	secrets     = "secrets"
	replicaSets = "replicasets"
)

// path is that of objects of a kind, or of one.
func (c *client) path(kind string, name ...string) string {
	group := "/api/v1"
	if kind == replicaSets {
		group = "/apis/apps/v1"
	}
	p := group + "/namespaces/" + url.PathEscape(c.space()) + "/" + kind
	for _, n := range name {
		p += "/" + url.PathEscape(n)
	}
	return p
}

// space is the namespace; if nobody named one, the kubeconfig does.
func (c *client) space() string {
	c.access(nil) // an error is told by the request
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.namespace
}

// open sends a request and returns the answer, whose body the caller closes. The
// error is fault.Unavailable when there was no answer or the server is not well.
func (c *client) open(ctx context.Context, method, path string, query url.Values, kind string, body []byte) (*http.Response, error) {
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
		return nil, said.fault(a.server, c.space())
	}
}

// status is how the API says what is wrong, also in the middle of a watch.
type status struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

// gone is what the API says of a resourceVersion that is too old.
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

// call sends in as JSON, if it is not nil, and reads the answer into out, if that
// is not nil.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
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

// remove deletes an object with all that it owns. One that is not there is no error.
// grace is that of pods, in seconds; less than 0: their own.
func (c *client) remove(ctx context.Context, kind, name string, grace int) error {
	how := map[string]any{"propagationPolicy": "Background"}
	if grace >= 0 {
		how["gracePeriodSeconds"] = grace
	}
	err := c.call(ctx, http.MethodDelete, c.path(kind, name), nil, how, nil)
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
