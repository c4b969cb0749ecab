package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/infra"
)

var httpKind = Kind{
	Name: "http",
	Doc: `The answer to an HTTP request of this host, without a proxy. A server that does not answer
in time fails every property. body searches the first answer that is no redirect, of at most 16 MiB.`,
	Key:     "url",
	Example: "http: {url: \"https://localhost/\", insecure: true, status: 200, body: [Welcome], headers: {Server: \"/^nginx/\"}, within: 2s}",
	Stable:  []string{"status"},
	New:     func() Subject { return &request{} },
}

type request struct {
	URL      string            `yaml:"url" doc:"What is asked for."`
	Method   string            `yaml:"method" doc:"HTTP method." default:"GET"`
	Send     map[string]string `yaml:"send" doc:"Headers of the request; Host is the name that the server is asked as."`
	Data     string            `yaml:"data" doc:"Body of the request."`
	Within   config.Duration   `yaml:"within" doc:"How long it may take, to the end of the answer." default:"5s"`
	Insecure bool              `yaml:"insecure" doc:"Whether any certificate will do." default:"false"`
	Follow   bool              `yaml:"follow" doc:"Whether redirects are followed, up to ten." default:"true"`
	Status   Number            `yaml:"status" doc:"Status of the answer." default:"200"`
	Body     Text              `yaml:"body" doc:"Contents of the answer."`
	Headers  map[string]Text   `yaml:"headers" doc:"Headers of the answer, by name."`
	Days     Number            `yaml:"certificate_days" doc:"For how many more days the server's certificate is valid."`
}

func (r *request) ID() string { return r.URL }

func (r *request) Check() error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("url: %q is no address that starts with http:// or https:// and a host", r.URL)
	}
	if _, err := r.request(context.Background()); err != nil {
		return err
	}
	return between("within", r.Within, time.Minute)
}

func (r *request) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(r.Data))
	if err != nil {
		return nil, err
	}
	for name, value := range r.Send {
		if req.Header.Set(name, value); strings.EqualFold(name, "Host") {
			req.Host = value
		}
	}
	return req, nil
}

func (r *request) Look(ctx context.Context, _ *infra.Host) (Found, error) {
	req, err := r.request(ctx)
	if err != nil {
		return nil, err
	}
	client := http.Client{
		Timeout:   r.Within.Std(),
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: r.Insecure}},
	}
	if !r.Follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	answer, err := client.Do(req)
	if err != nil {
		return r.nothing(ctx, err)
	}
	defer answer.Body.Close()
	found := Found{"status": answer.StatusCode}
	for name := range r.Headers {
		if values := answer.Header.Values(name); len(values) > 0 {
			found["headers."+name] = slices.Clone(values)
		}
	}
	if len(r.Days) > 0 {
		found["certificate_days"] = Nothing("the answer came without TLS")
		if answer.TLS != nil {
			left := time.Until(answer.TLS.PeerCertificates[0].NotAfter)
			found["certificate_days"] = int(left.Hours() / 24)
		}
	}
	if len(r.Body) > 0 {
		text, err := readAll(answer.Body)
		if err != nil {
			found["body"] = fmt.Errorf("read the answer: %w", err)
		} else {
			found["body"] = Content{Text: text}
		}
	}
	return found, nil
}

// nothing is what is found of a server that does not answer.
func (r *request) nothing(ctx context.Context, err error) (Found, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if inner := (&url.Error{}); errors.As(err, &inner) {
		err = inner.Err
	}
	found := Found{}
	for _, p := range properties(r) {
		found[p.name] = Nothing(err.Error())
	}
	return found, nil
}

// between checks a bound of time.
func between(key string, d config.Duration, most time.Duration) error {
	if d <= 0 || d.Std() > most {
		return fmt.Errorf("%s: has to be more than 0s and at most %s", key, config.Duration(most))
	}
	return nil
}

func oneOf(key, value string, known ...string) error {
	if !slices.Contains(known, value) {
		return fmt.Errorf("%s: %q is none%s", key, value, config.Suggest(value, known))
	}
	return nil
}
