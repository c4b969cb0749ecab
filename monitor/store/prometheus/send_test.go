package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/monitor/store"
)

func TestSendHeaders(t *testing.T) {
	c := newCluster(t)
	var got http.Header
	c.set(func(_ []string, r *http.Request) (int, string, string) {
		got = r.Header.Clone()
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/write" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		return 204, "", ""
	})
	o := c.options(t)
	o.Headers, o.Agent = map[string]string{"X-Scope-OrgID": "steer"}, "Steer/test"
	o.TokenFile = filepath.Join(t.TempDir(), "token")
	if _, err := Open(o); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), o.TokenFile) {
		t.Errorf("without the token's file: %v", err)
	}
	for _, token := range []string{"one", "two"} { // which may change
		if err := os.WriteFile(o.TokenFile, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := opened(t, o)
		stop := start(t, s)
		write(t, s, "a."+token)
		c.until("it arrives", func() bool { return slices.Contains(paths(c.taken), "a."+token) })
		stop()
		for name, want := range map[string]string{
			"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0",
			"User-Agent": "Steer/test", "X-Scope-Orgid": "steer", "Authorization": "Bearer " + token,
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Get(name), want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What may be a matter of time is tried again, and nothing overtakes it.
func TestSendAgain(t *testing.T) {
	for _, status := range []int{500, 502, 503, 429, 401, 403, 404, 405, 408, 302} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c := newCluster(t)
			c.always(status, "not now")
			s := opened(t, c.options(t))
			start(t, s)
			write(t, s, "a.one")
			c.until("it was tried three times", func() bool { return len(c.requests) >= 3 })
			write(t, s, "a.two")
			if st := s.Stats(); st.Sent != 0 || st.Retries < 2 || st.Waiting == 0 || !strings.Contains(st.Failure, "not now") || st.Points != 2 {
				t.Errorf("%+v", st)
			}
			c.always(204, "")
			c.until("all is taken", func() bool { return len(c.taken) == 2 })
			if got := paths(c.taken); !slices.Equal(got, []string{"a.one", "a.two"}) {
				t.Errorf("%q", got)
			}
			c.until("the state says so", func() bool { st := s.Stats(); return st.Failure == "" && st.Waiting == 0 && st.Sent == 2 })
			if st := s.Stats(); st.Dropped["rejected"] != 0 || st.LastSent.IsZero() {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-3": 0, "x": 0, "999999": 5 * time.Minute,
		"Wed, 25 Nov 2026 12:00:30 GMT": 30 * time.Second, "Wed, 25 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	// And it counts: one second instead of a few milliseconds.
	c := newCluster(t)
	var first time.Time
	c.set(func([]string, *http.Request) (int, string, string) {
		if first.IsZero() {
			first = time.Now()
			return 503, "1", "busy"
		}
		return 204, "", ""
	})
	s := opened(t, c.options(t))
	start(t, s)
	write(t, s, "a")
	c.until("it is taken", func() bool { return len(c.taken) == 1 })
	if d := time.Since(first); d < time.Second || len(c.requests) != 2 {
		t.Errorf("%d requests, the last after %v", len(c.requests), d)
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{100 * time.Millisecond, 30 * time.Second}
	for try, most := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		for _, chance := range []float64{0, 0.5, 0.999} {
			if d := b.wait(try, func() float64 { return chance }); d < most/2 || d > most {
				t.Errorf("try %d, chance %v: %v", try, chance, d)
			}
		}
	}
	for _, try := range []int{9, 16, 63, 64, 1 << 40} {
		if d := b.wait(try, func() float64 { return 0 }); d != 15*time.Second {
			t.Errorf("try %d: %v", try, d)
		}
	}
}

// One point that the cluster refuses takes no other along.
func TestRejectedPoints(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
	}{{400, "out of order sample"}, {422, "no"}, {413, "too large"}, {500, "too old sample"}, {409, "conflict"}} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			cl := newCluster(t)
			bad := map[string]bool{"a.n000": true, "a.n037": true, "a.n038": true, "a.n099": true}
			cl.set(func(series []string, _ *http.Request) (int, string, string) {
				for _, p := range paths(series) {
					if bad[p] {
						return c.status, "", c.text
					}
				}
				return 204, "", ""
			})
			s := opened(t, cl.options(t))
			start(t, s)
			names := numbered(100)
			write(t, s, names...)
			write(t, s, "b.last")
			cl.until("the last is there", func() bool { return slices.Contains(paths(cl.taken), "b.last") })
			want := append(slices.DeleteFunc(names, func(n string) bool { return bad[n] }), "b.last")
			if got := paths(cl.taken); !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
			cl.until("they are counted", func() bool { st := s.Stats(); return st.Dropped["rejected"] == 4 && st.Sent == 97 })
		})
	}
}

// When everything is refused, it is given up after a bounded number of requests.
func TestAllRejected(t *testing.T) {
	c := newCluster(t)
	c.always(400, "no series of yours")
	s := opened(t, c.options(t))
	start(t, s)
	write(t, s, numbered(900)...)
	c.until("all is dropped", func() bool { return s.Stats().Dropped["rejected"] == 900 })
	if n := len(c.requests); n > 2*mostSplits+1 {
		t.Errorf("%d requests", n)
	}
	c.always(204, "")
	write(t, s, "b")
	c.until("the next is taken", func() bool { return slices.Equal(paths(c.taken), []string{"b"}) })
}

// The cluster is away when Steer starts, dies, and starts again.
func TestSpoolOutlivesEverything(t *testing.T) {
	c := newCluster(t)
	o := c.options(t)
	address := c.Listener.Addr().String()
	c.Close()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s)
	write(t, s, numbered(50)...)
	c.until("it has tried", func() bool { return s.Stats().Retries > 1 })
	if text := s.Stats().Failure; !strings.Contains(text, "connection refused") {
		t.Errorf("%q", text)
	}
	if _, err := s.Find(t.Context(), "*", 0); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "read_url") {
		t.Errorf("find: %v", err)
	}
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	back := newClusterAt(t, address)
	s = opened(t, o)
	start(t, s)
	write(t, s, "b.new")
	back.until("all is taken", func() bool { return len(back.taken) == 51 })
	if got := paths(back.taken); !slices.Equal(got, append(numbered(50), "b.new")) {
		t.Errorf("%q", got)
	}
}

// A spool without room refuses points, and takes them again when there is some.
func TestFullSpool(t *testing.T) {
	c := newCluster(t)
	c.always(503, "away")
	o := c.options(t)
	o.SpoolBytes = 20_000
	s := opened(t, o)
	start(t, s)
	accepted := 0
	for ; ; accepted++ {
		err := s.Write(t.Context(), points(fmt.Sprint("a.", strings.Repeat("x", 100), accepted)))
		if err == nil {
			if accepted > 10_000 {
				t.Fatal("the spool never gets full")
			}
			continue
		}
		if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "store.prometheus.spool_bytes") || !strings.Contains(err.Error(), "away") {
			t.Fatal(err)
		}
		break
	}
	st := s.Stats()
	if st.Refused != 1 || st.Points != uint64(accepted) || st.Waiting < o.SpoolBytes || !strings.Contains(st.Failure, "full") {
		t.Errorf("%+v", st)
	}
	c.always(204, "")
	c.until("all is taken", func() bool { return len(c.taken) == accepted })
	c.until("there is room", func() bool { return s.Stats().Waiting == 0 })
	write(t, s, "b")
}

// Close does not wait for a cluster that hangs, and what was under way comes
// again.
func TestCloseWhileSending(t *testing.T) {
	c := newCluster(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hanging.Close)
	o := c.options(t)
	o.URL = hanging.URL
	o.Timeout, o.grace = config.Duration(time.Hour), 50*time.Millisecond
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	start(t, s)
	write(t, s, "a")
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	o.URL = c.URL
	s = opened(t, o)
	start(t, s)
	c.until("it comes again", func() bool { return slices.Equal(paths(c.taken), []string{"a"}) })
}

func TestAskErrors(t *testing.T) {
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "steer" || password != "open sesame" {
			t.Errorf("login %q %q", user, password)
		}
		if status == 302 {
			w.Header().Set("Location", "http://127.0.0.1:1/")
		}
		w.WriteHeader(status)
		if body == "" && strings.HasSuffix(r.URL.Path, "/series") {
			_, _ = io.WriteString(w, `{"data":[]}`)
		} else if body == "" {
			_, _ = io.WriteString(w, `{"data":{"result":[]}}`)
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := opened(t, Options{
		Config: Config{WriteURL: "http://127.0.0.1:1/", ReadURL: server.URL + "/prefix/", Username: "steer", PasswordFile: password},
		Dir:    t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	for _, c := range []struct {
		status int
		body   string
		kind   fault.Kind
		want   string
	}{
		{200, "", 0, ""},
		{200, `{"status":"error","error":"disk gone"}`, fault.Unavailable, "disk gone"},
		{200, `<html>a proxy</html>`, fault.Unavailable, "invalid character"},
		{401, "who?", fault.Unavailable, "password_file"}, {404, "not here", fault.Unavailable, "read_url"}, {302, "", fault.Unavailable, "read_url"},
		{422, `{"status":"error","error":"too many samples"}`, fault.TooMuch, "too many samples"}, {503, "busy", fault.Unavailable, "busy"},
		{429, "slowly", fault.Unavailable, "later"}, {400, "parse error", fault.Internal, "parse error"},
	} {
		status, body = c.status, c.body
		_, err := s.Fetch(t.Context(), store.Request{Names: []string{"a"}, From: 1, Until: 100})
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), server.URL+"/prefix/api/v1/") {
			t.Errorf("%d %s: %v (%v)", c.status, c.body, err, fault.Of(err))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fetch(ctx, store.Request{Names: []string{"a"}, From: 1, Until: 100}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := io.ReadAll(&limited{strings.NewReader("abc"), 2}); fault.Of(err) != fault.TooMuch {
		t.Errorf("an answer that is too long: %v", err)
	}
}
