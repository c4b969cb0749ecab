// Package webhook tells programs about incidents: a JSON POST to a URL.
//
// The body, schema steer.incident.v1 (fields are only ever added):
//
//	{"schema": "steer.incident.v1",
//	 "delivery": "0199…",              the same when it is sent again, also in header Steer-Delivery
//	 "incident": 7, "transition": "opened" | "acknowledged" | "resolved",
//	 "title": "…", "summary": "…", "reason": "…", "severity": "page" | "ticket" | "info",
//	 "service": "catalog", "environment": "production", "version": "b12", "team": "storefront",
//	 "url": "http://…/incidents/7", "runbook": "…", "changes": ["catalog b12 serves in production"],
//	 "at": "2026-01-02T03:04:05Z", "opened": "2026-01-02T03:00:00Z", "text": "one line for chats"}
//
// Any status from 200 to 299 takes the message. 408, 425, 429, 5xx and everything
// that is no HTTP answer is tried again (Retry-After is honoured); other answers
// refuse it for good. With a secret, header Steer-Signature is "t=SECONDS,v1=HEX",
// HEX being the HMAC-SHA256 of "SECONDS.BODY" with the secret as key; a receiver
// should also refuse old SECONDS.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/secret"
	"steer/catalog"
	"steer/monitor/notify"
)

// Config is what operators choose.
type Config struct {
	Timeout config.Duration `yaml:"timeout" doc:"Time that a receiver has to answer." default:"10s"`
	Secret  secret.Value    `yaml:"secret" doc:"Key of the signature in header Steer-Signature; empty: none is sent."`
}

// Check refuses timeouts that would block or never wait.
func (c Config) Check() error {
	if d := c.Timeout.Std(); d < 0 || d > 50*time.Second {
		return fault.New(fault.Invalid, "timeout %s: a webhook may take up to 50s (10s is usual)", c.Timeout)
	}
	return nil
}

// Options are what the channel needs.
type Options struct {
	Config
	Agent string // User-Agent; default "Steer"
	Now   func() time.Time
}

// Schema names the form of the body.
const Schema = "steer.incident.v1"

const (
	readMost  = 4 << 10 // of an answer
	quoteMost = 200     // of it in an error
)

// New returns the kind webhook.
func New(o Options) (notify.Kind, error) {
	o.Timeout = cmp.Or(o.Timeout, config.Duration(10*time.Second))
	if err := o.Config.Check(); err != nil {
		return notify.Kind{}, err
	}
	o.Agent = cmp.Or(o.Agent, "Steer")
	if o.Now == nil {
		o.Now = time.Now
	}
	return notify.Kind{
		Name:    "webhook",
		Doc:     "A JSON POST to a URL.",
		Address: func(c catalog.Contact) string { return c.Webhook },
		Show:    show,
		Channel: &channel{o: o, client: &http.Client{Timeout: o.Timeout.Std(), CheckRedirect: redirect}},
	}, nil
}

// show keeps the path to itself: in many services it is the password.
func show(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "(unreadable URL)"
	}
	return u.Scheme + "://" + u.Host
}

// redirect follows only to the same host, and only where the POST stays a POST:
// a message must not end up with somebody else, nor as an empty GET that seems to
// succeed. What is not followed comes back as the answer, and is refused.
func redirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	same := next.URL.Host == first.Host && (next.URL.Scheme == first.Scheme || next.URL.Scheme == "https")
	if !same || next.Method != http.MethodPost || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

type channel struct {
	o      Options
	client *http.Client
}

type body struct {
	Schema   string `json:"schema"`
	Delivery string `json:"delivery"`
	notify.Message
	Text string `json:"text"`
	// The journal's links are of no use outside.
	Chain *string `json:"chain,omitempty"`
	Cause *string `json:"cause,omitempty"`
}

// Deliver posts one message.
func (c *channel) Deliver(ctx context.Context, d notify.Delivery) error {
	content, err := json.Marshal(body{Schema: Schema, Delivery: d.ID, Message: d.Message, Text: d.Message.Subject()})
	if err != nil {
		return notify.Refused(fmt.Errorf("write webhook body: %w", err))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Address, bytes.NewReader(content))
	if err != nil || request.URL.Host == "" || request.URL.Scheme != "http" && request.URL.Scheme != "https" {
		return notify.Refused(errors.New("the webhook's address is no URL (write http://… or https://…)"))
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", c.o.Agent)
	request.Header.Set("Steer-Delivery", d.ID)
	if c.o.Secret != "" {
		request.Header.Set("Steer-Signature", sign(c.o.Secret.Reveal(), c.o.Now(), content))
	}
	response, err := c.client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address and its secrets
		}
		return fmt.Errorf("post to %s: %w", show(d.Address), err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, readMost)) // what could be read is good enough to quote
	return judge(response, answer, c.o.Now())
}

// sign makes the value of header Steer-Signature.
func sign(secret string, at time.Time, content []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(seconds + "."))
	mac.Write(content)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func judge(r *http.Response, answer []byte, now time.Time) error {
	if r.StatusCode >= 200 && r.StatusCode < 300 {
		return nil
	}
	err := fmt.Errorf("%s answered %s%s", show(r.Request.URL.String()), r.Status, quote(answer))
	switch code := r.StatusCode; {
	case code >= 300 && code < 400:
		return notify.Refused(fmt.Errorf("%w: it redirects to %s, which is not followed (put the new address into teams.yaml)", err, show(r.Header.Get("Location"))))
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		if after, ok := retryAfter(r.Header.Get("Retry-After"), now); ok {
			return notify.Later(after, err)
		}
		return err
	}
	return notify.Refused(err)
}

// retryAfter reads seconds or a date.
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

func quote(answer []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(answer), "?")), " ")
	if text == "" {
		return ""
	}
	if len(text) > quoteMost {
		text = strings.ToValidUTF8(text[:quoteMost], "") + "…"
	}
	return fmt.Sprintf(" %q", text)
}
