package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/base/config"
	"steer/base/fault"
	"steer/catalog"
	"steer/monitor/notify"
)

var now = time.Unix(1_800_000_000, 0)

func message() notify.Message {
	return notify.Message{
		Incident: 7, Transition: notify.Opened, Title: "catalog: slow is CRITICAL", Summary: "ttfb = 412, above 300", Severity: "page",
		Service: "catalog", Environment: "production", Version: "b12", Team: "storefront", URL: "http://steer/incidents/7",
		Changes: []string{"catalog b12 serves"}, At: now.UTC(), Opened: now.UTC(), Chain: "c1", Cause: "e1",
	}
}

func kind(t *testing.T, c Config) notify.Kind {
	t.Helper()
	k, err := New(Options{Config: c, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestDeliverPostsTheDocumentedBody(t *testing.T) {
	var got map[string]any
	var header http.Header
	var raw []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		raw, _ = io.ReadAll(r.Body)
		if err := json.Unmarshal(raw, &got); err != nil || r.Method != http.MethodPost {
			t.Error(r.Method, err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	k := kind(t, Config{Secret: "hush"})
	if err := k.Channel.Deliver(t.Context(), notify.Delivery{ID: "d1", Thread: "d1", Address: s.URL + "/hook", Message: message()}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"schema": "steer.incident.v1", "delivery": "d1", "incident": 7.0, "transition": "opened", "title": "catalog: slow is CRITICAL",
		"summary": "ttfb = 412, above 300", "reason": "", "severity": "page", "service": "catalog", "environment": "production",
		"version": "b12", "team": "storefront", "url": "http://steer/incidents/7", "runbook": "", "changes": []any{"catalog b12 serves"},
		"at": "2027-01-15T08:00:00Z", "opened": "2027-01-15T08:00:00Z", "text": "[page] incident 7: catalog: slow is CRITICAL",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if header.Get("Content-Type") != "application/json" || header.Get("Steer-Delivery") != "d1" {
		t.Error(header)
	}
	if signature := header.Get("Steer-Signature"); signature != sign("hush", now, raw) || !strings.HasPrefix(signature, "t=1800000000,v1=") {
		t.Error(signature)
	}
}

func TestAnswers(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed to another host") }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/taken":
		case "/moved":
			http.Redirect(w, r, "/taken", http.StatusTemporaryRedirect)
		case "/get":
			http.Redirect(w, r, "/taken", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusPermanentRedirect)
		case "/away":
			http.Redirect(w, r, other.URL+"/secret", http.StatusPermanentRedirect)
		case "/busy":
			w.Header().Set("Retry-After", "90")
			http.Error(w, "slow\n down", http.StatusTooManyRequests)
		case "/later":
			w.Header().Set("Retry-After", now.Add(time.Minute).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/unknown":
			http.Error(w, "no_service", http.StatusNotFound)
		case "/endless":
			w.WriteHeader(http.StatusBadRequest)
			for range 1000 {
				if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
					return
				}
			}
		case "/hang":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		case "/cut":
			panic(http.ErrAbortHandler)
		}
	}))
	defer s.Close()
	k := kind(t, Config{Timeout: config.Duration(300 * time.Millisecond)})
	refused := errors.New("")
	for path, c := range map[string]struct {
		like  error // nil: taken; refused: never again; else again
		after time.Duration
		text  string
	}{
		"/taken":   {},
		"/moved":   {},
		"/get":     {refused, 0, "which is not followed"},
		"/loop":    {refused, 0, "308"},
		"/away":    {refused, 0, other.URL + ", which is not followed (put the new address into teams.yaml)"},
		"/busy":    {io.EOF, 90 * time.Second, `429 Too Many Requests "slow down"`},
		"/later":   {io.EOF, time.Minute, "503"},
		"/broken":  {io.EOF, 0, "500 Internal Server Error"},
		"/unknown": {refused, 0, `404 Not Found "no_service"`},
		"/endless": {refused, 0, "…"},
		"/hang":    {io.EOF, 0, "post to " + s.URL},
		"/cut":     {io.EOF, 0, "EOF"},
	} {
		err := k.Channel.Deliver(t.Context(), notify.Delivery{ID: "d1", Address: s.URL + path, Message: message()})
		if (err == nil) != (c.like == nil) {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if err == nil {
			continue
		}
		if notify.IsRefused(err) != (c.like == refused) || !strings.Contains(err.Error(), c.text) || len(err.Error()) > 500 {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := notify.Asked(err); after != c.after {
			t.Errorf("%s: again after %s, want %s", path, after, c.after)
		}
		if strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error gives the path away: %v", path, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	k := kind(t, Config{})
	for address, never := range map[string]bool{"http://127.0.0.1:1/secret": false, "secret": true, "ftp://host/secret": true, ":": true} {
		err := k.Channel.Deliver(context.Background(), notify.Delivery{Address: address, Message: message()})
		if err == nil || notify.IsRefused(err) != never || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestKind(t *testing.T) {
	k := kind(t, Config{})
	if got := k.Show("https://user:pw@hooks.example.org/T0/secret?x=1"); got != "https://hooks.example.org" {
		t.Error(got)
	}
	if k.Address(catalog.Contact{Email: "a@b"}) != "" || k.Address(catalog.Contact{Webhook: "http://x"}) != "http://x" {
		t.Error("address")
	}
	if _, err := New(Options{Config: Config{Timeout: config.Duration(time.Hour)}}); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
}
