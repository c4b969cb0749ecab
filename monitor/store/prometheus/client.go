package prometheus

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"steer/base/fault"
)

const (
	// mostAnswer is how much of one answer is read, in bytes.
	mostAnswer = 512 << 20
	// quoteMost is how much of it an error quotes.
	quoteMost = 300
)

// client speaks HTTP with the cluster.
type client struct {
	http        http.Client
	write, read string
	headers     map[string]string
	agent       string

	token, username, password string // files but for the username
}

func newClient(o Options) (*client, error) {
	c := &client{
		write: o.WriteURL, read: strings.TrimSuffix(cmp.Or(o.ReadURL, o.URL), "/"), headers: o.Headers, agent: cmp.Or(o.Agent, "Steer"),
		token: o.TokenFile, username: o.Username, password: o.PasswordFile,
	}
	if c.write == "" && o.URL != "" {
		c.write = strings.TrimSuffix(o.URL, "/") + "/api/v1/write"
	}
	if c.write == "" || c.read == "" {
		return nil, fault.New(fault.Invalid, "store.prometheus.url: is missing, and there are not both write_url and read_url (write where the cluster is, like http://victoria:8428)")
	}
	c.http.Timeout = cmp.Or(o.Timeout.Std(), 30*time.Second)
	// Anything but an answer at this address would take the points and the
	// password elsewhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 2 * atOnce
	t.DisableCompression = true // the servers' time is dearer than the network's
	if o.CA != "" {
		roots, err := trust(o.CA)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	c.http.Transport = t
	for _, file := range []string{c.token, c.password} {
		if _, err := readSecret(file); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func trust(file string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read store.prometheus.ca: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "read store.prometheus.ca %s: no certificate in it (PEM is expected)", file)
	}
	return roots, nil
}

func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fault.New(fault.Unavailable, "log in to the metrics cluster: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fault.New(fault.Unavailable, "log in to the metrics cluster: file %s is empty", file)
	}
	return s, nil
}

// refusal is an answer with a status that is not 2xx.
type refusal struct {
	status int
	text   string        // start of the body, one line
	after  time.Duration // of Retry-After, or 0
}

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s: %s", r.status, http.StatusText(r.status), r.text))
}

// do sends a request and returns the body of a 2xx answer.
func (c *client) do(req *http.Request) (io.ReadCloser, error) {
	req.Header.Set("User-Agent", c.agent)
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	token, err := readSecret(c.token)
	if err != nil {
		return nil, err
	}
	password, err := readSecret(c.password)
	if err != nil {
		return nil, err
	}
	switch {
	case token != "":
		req.Header.Set("Authorization", "Bearer "+token)
	case c.username != "":
		req.SetBasicAuth(c.username, password)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL is ours to tell
		}
		return nil, err
	}
	if res.StatusCode/100 == 2 {
		return res.Body, nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, quoteMost))
	return nil, &refusal{res.StatusCode, strings.Join(strings.Fields(string(b)), " "), retryAfter(res.Header.Get("Retry-After"), time.Now())}
}

// post sends a WriteRequest.
func (c *client) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.write, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	answer, err := c.do(req)
	if err != nil {
		return err
	}
	defer answer.Close()
	io.Copy(io.Discard, io.LimitReader(answer, 1<<20)) //nolint:errcheck // so that the connection serves again
	return nil
}

// ask sends a question to the query API, POST when the form is to be in the
// body, and hands the answer to take.
func (c *client) ask(ctx context.Context, method, path string, form url.Values, take func(io.Reader) error) error {
	address, body := c.read+path, form.Encode()
	if method == http.MethodGet {
		address, body = address+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := c.do(req)
	if err == nil {
		defer answer.Close()
		err = take(&limited{answer, mostAnswer})
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.wrap(path, err)
}

func (c *client) wrap(path string, err error) error {
	at := fmt.Sprintf("ask the metrics cluster at %s%s", c.read, path)
	var r *refusal
	switch {
	case fault.Of(err) != fault.Internal:
		return fault.New(fault.Of(err), "%s: %w", at, err)
	case !errors.As(err, &r):
		return fault.New(fault.Unavailable, "%s: %w (see that it runs and that store.prometheus.read_url is right)", at, err)
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		return fault.New(fault.Unavailable, "%s: %w (see store.prometheus: token_file, username, password_file, headers)", at, err)
	case r.status == http.StatusNotFound || r.status/100 == 3:
		return fault.New(fault.Unavailable, "%s: %w (see that store.prometheus.read_url is right)", at, err)
	case r.status == http.StatusUnprocessableEntity:
		return fault.New(fault.TooMuch, "%s: %w (ask for fewer series or a shorter time, or raise the cluster's limits)", at, err)
	case r.status == http.StatusTooManyRequests || r.status/100 == 5:
		return fault.New(fault.Unavailable, "%s: %w (try again later)", at, err)
	}
	return fmt.Errorf("%s: %w", at, err)
}

// limited ends an answer that is too long.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fault.New(fault.TooMuch, "more than %d MiB in one answer (ask for fewer series or a shorter time)", mostAnswer>>20)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
