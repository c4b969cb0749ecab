package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"steer/api/client"
)

// repository is a service's, on somebody's machine.
type repository struct {
	*server
	dir string
}

// commit changes files and pushes them as admin.
func (r repository) commit(message string, files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		write(r.t, filepath.Join(r.dir, name), text)
	}
	for _, args := range [][]string{{"add", "."}, {"commit", "-q", "-m", message}, {"push", "-q", r.url + "/git/shop.git", "main"}} {
		if out, err := r.git(r.dir, r.token, args...); err != nil {
			r.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// ended waits until a run of a version is over.
func (r repository) ended(version, state string) {
	r.t.Helper()
	r.within(90*time.Second, version+" "+state, func() error {
		runs, err := r.api.Runs(r.t.Context(), "shop", 1)
		if err != nil || len(runs) == 0 || string(runs[0].Version) != version || runs[0].State != state {
			return fmt.Errorf("%+v %v", runs, err)
		}
		return nil
	})
}

// measured sends what customers meet, until the server ends: the fault while the
// faulty version serves, and one that comes and goes.
func (s *server) measured(faulty string, other *atomic.Bool) {
	to := regexp.MustCompile(`Graphite TCP +(\S+)`).FindStringSubmatch(s.out.String())
	if to == nil {
		s.t.Fatal(s.out)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	stop := s.end
	s.end = func() { cancel(); <-done; stop() }
	conn, err := net.Dial("tcp", to[1])
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(done)
		defer conn.Close()
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			wrong, odd := 0, 0
			if shop, err := s.api.Service(ctx, "shop"); err == nil {
				for _, p := range shop.Placements {
					if string(p.Version) == faulty {
						wrong = 1
					}
				}
			}
			if other.Load() {
				odd = 1
			}
			now := time.Now().Unix()
			fmt.Fprintf(conn, "shop.wrong %d %d\nshop.odd %d %d\n", wrong, now, odd, now)
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
}

func (s *server) followup(number, state string) (f client.Followup) {
	s.t.Helper()
	s.within(90*time.Second, "incident "+number+" is "+state, func() (err error) {
		if f, err = s.api.Followup(s.t.Context(), number); err == nil && f.State != state {
			err = fmt.Errorf("%+v", f)
		}
		return err
	})
	return f
}

func (s *server) resolved(number string) (i client.Incident) {
	s.t.Helper()
	s.within(90*time.Second, "incident "+number+" is over", func() (err error) {
		if i, err = s.api.Incident(s.t.Context(), number); err == nil && i.Resolved == nil {
			err = fmt.Errorf("%+v", i)
		}
		return err
	})
	return i
}

// TestFromIncidentToImprovement: a fault reaches customers, is taken back, gets a test
// that is seen to fail, a fix, and both are seen to pass: Steer finds all of it. Another
// incident ends without, and the same fault once more is told from a new one.
func TestFromIncidentToImprovement(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	told := &buffer{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(told, r.Body) }))
	t.Cleanup(receiver.Close)
	s := start(t, data, "state.interval=200ms", "followup.remind=1s")
	places := map[string]string{"storage.yaml": "- {name: shop, pattern: ^shop, retentions: '1s:1h'}\n", "environments.yaml": "production:\n  nodes:\n  - services: [shop]\n    number: 1\n",
		"services.yaml": "shop: {}\n", "teams.yaml": "web: {members: [ada], notify: [{webhook: '" + receiver.URL + "'}]}\n"}
	s.define(places)
	var odd atomic.Bool
	s.measured("b2", &odd)
	r := repository{s, t.TempDir()}
	if out, err := s.git(r.dir, "", "init", "-q", "-b", "main"); err != nil {
		t.Fatal(out)
	}
	deploy := func(version string) {
		t.Helper()
		d, err := s.api.Deploy(t.Context(), "shop", "production", version, "", false)
		if err != nil {
			t.Fatal(err)
		}
		if d = s.deployed(d); d.State != "passed" {
			t.Fatalf("%+v", d)
		}
	}

	manifest := `service: shop
team: web
artifact: {build: 'true', paths: [shop.sh]}
run: {command: sh shop.sh, grace: 1s}
pipeline:
- {stage: commit, run: sh test.sh}
checks:
- {name: wrong, environment: production, query: shop.wrong, above: 0, window: 2s, no_data: ok, severity: page}
- {name: odd, environment: production, query: shop.odd, above: 0, window: 2s, no_data: ok}
`
	r.commit("First", map[string]string{"steer.yaml": manifest, "shop.sh": "exec sleep 600\n", "test.sh": "echo fine\n"})
	r.ended("b1", "passed")
	deploy("b1")
	r.commit("Wrong prices", map[string]string{"shop.sh": "# wrong\nexec sleep 600\n"})
	r.ended("b2", "passed")
	deploy("b2")

	// The check sees it, and b2 is taken back.
	s.resolved("1")
	f := s.followup("1", "following")
	want := func(step, state, ref, text string) {
		t.Helper()
		for _, s := range f.Steps {
			if s.Name != step {
				continue
			}
			if s.State != state || ref != "" && (s.Evidence == nil || s.Evidence.Ref != ref || !strings.Contains(s.Evidence.Text, text)) {
				t.Errorf("%s: %+v %+v", step, s, s.Evidence)
			}
		}
	}
	want("quick-fix", "found", "deploy/3", "shop is back at b1 in production")
	want("check", "found", "check/shop/wrong", "was CRITICAL, and opened the incident")
	want("test", "open", "", "")
	if !strings.HasPrefix(f.Next, "Write a test that fails on b2 (git checkout ") {
		t.Error(f.Next)
	}
	if _, err := s.api.Learn(t.Context(), "1", "test", "run/2/commit", ""); err == nil || !strings.Contains(err.Error(), "no such test failed") {
		t.Error(err)
	}

	s.within(90*time.Second, "the team is reminded", func() error {
		if !regexp.MustCompile(`"transition": ?"reminder".*"severity": ?"info"`).MatchString(told.String()) {
			return errors.New(told.String())
		}
		return nil
	})

	// A test that fails on it, then the fix.
	r.commit("A test", map[string]string{"test.sh": "! grep -q wrong shop.sh\n"})
	r.ended("b3", "failed")
	r.commit("Right prices", map[string]string{"shop.sh": "exec sleep 600 # right\n"})
	r.ended("b4", "passed")
	deploy("b4")
	f = s.followup("1", "complete")
	want("test", "found", "run/3/commit", "run 3: stage commit failed on b3, passed on b4")
	want("fix", "found", "deploy/4", "shop b4 is deployed in production, and passed commit, which b3 failed")
	want("test-passes", "found", "run/4/commit", "stage commit passed on b4")
	want("check-passes", "found", "check/shop/wrong", "was OK for 2s with b4")
	if n := strings.Count(told.String(), "reminder"); n != 1 {
		t.Errorf("reminded %d times: %s", n, told)
	}
	s.until("the journal tells it", func() error {
		if a := s.as(s.token).do("GET", "/api/v1/events?subject=incident/1", nil); !strings.Contains(a.body, "led to an improvement: all steps are done") {
			return a
		}
		return nil
	})

	// Another comes and goes.
	odd.Store(true)
	s.until("another is open", func() error { _, err := s.api.Incident(t.Context(), "2"); return err })
	odd.Store(false)
	s.resolved("2")
	f = s.followup("2", "following")
	ada := s.as(s.give("ada", "viewer"))
	if a := ada.do("POST", "/api/v1/incidents/2/waive", map[string]any{"reason": "why not"}); a.code != 403 {
		t.Error(a)
	}
	if f, err := s.api.Waive(t.Context(), "2", []string{"test"}, "cannot be tested"); err != nil || f.Done != 2 || f.Waived != 2 {
		t.Errorf("%+v %v", f, err)
	}
	s.stop()

	// Its time is over. What was said and found is still there.
	s = start(t, data, "state.interval=200ms", "followup.within=1s")
	if f = s.followup("2", "without"); strings.Join(f.Open(), " ") != "fix check-passes" {
		t.Errorf("%v", f.Open())
	}
	want("test", "waived", "", "")
	want("test-passes", "waived", "", "")
	s.followup("1", "complete")
	shares, err := s.api.Shares(t.Context(), 1)
	if err != nil || shares.Total.Complete != 1 || shares.Total.Without != 1 || *shares.Total.Rate != 0.5 || len(shares.Teams) != 1 || shares.Teams[0].Name != "web" {
		t.Errorf("%+v %v", shares, err)
	}
	if all, err := s.api.Followups(t.Context(), "without", 10); err != nil || len(all) != 1 || all[0].Incident != 2 {
		t.Errorf("%+v %v", all, err)
	}

	// The same check once more: the first did not end well after all.
	odd.Store(false)
	s.measured("b4", &odd)
	s.until("the same is open", func() error { _, err := s.api.Incident(t.Context(), "3"); return err })
	if f = s.followup("1", "returned"); f.ReturnedAs != 3 {
		t.Errorf("%+v", f)
	}
	if f, err = s.api.Followup(t.Context(), "3"); err != nil || f.ReturnOf != 1 || !strings.HasPrefix(f.Next, "Incident 1 ended with all steps, and this is its check again") {
		t.Errorf("%+v %v", f, err)
	}
	if f, err = s.api.Doubt(t.Context(), "3", "return", "the measurement is wrong this time"); err != nil || f.ReturnOf != 0 {
		t.Errorf("%+v %v", f, err)
	}
	s.followup("1", "complete")
}
