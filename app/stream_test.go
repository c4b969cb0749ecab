package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stream opens an answer that goes on.
func (p *someone) stream(path string) (*http.Response, context.CancelFunc) {
	p.s.t.Helper()
	ctx, cancel := context.WithCancel(p.s.t.Context())
	client := plain()
	client.Timeout = 0
	res, err := client.Do(p.request(ctx, "GET", path, nil))
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.s.t.Cleanup(func() { cancel(); res.Body.Close() })
	return res, cancel
}

// ids reads n events and returns their positions.
func ids(t *testing.T, r io.Reader, n int) (got []string) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for len(got) < n && lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			got = append(got, id)
		}
	}
	if len(got) < n {
		t.Fatalf("the stream ended after %v: %v", got, lines.Err())
	}
	return got
}

// ends waits for the end of a stream.
func ends(t *testing.T, what string, r io.Reader, within time.Duration) {
	t.Helper()
	done := make(chan struct{})
	go func() { io.Copy(io.Discard, r); close(done) }()
	select {
	case <-done:
	case <-time.After(within):
		t.Errorf("%s goes on", what)
	}
}

func TestEventStream(t *testing.T) {
	s := start(t, t.TempDir())
	who := s.as(s.token)
	live, _ := who.stream("/api/v1/events/stream")
	if live.StatusCode != 200 || live.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(live.Status, live.Header)
	}
	for i := range 3 {
		s.give(fmt.Sprintf("p%d", i), "viewer")
	}
	first := ids(t, live.Body, 3)
	// Who comes back misses nothing and sees nothing twice.
	again, _ := who.with("Last-Event-ID", first[0]).stream("/api/v1/events/stream")
	if got := ids(t, again.Body, 2); got[0] != first[1] || got[1] != first[2] {
		t.Errorf("after %s come %v, want %v", first[0], got, first[1:])
	}
	other, _ := who.stream("/api/v1/events/stream?after=" + first[1])
	if got := ids(t, other.Body, 1); got[0] != first[2] {
		t.Errorf("after %s comes %v", first[1], got)
	}
	// A position of the server's earlier life does not silence the stream.
	future, _ := who.with("Last-Event-ID", "999999999").stream("/api/v1/events/stream")
	s.give("p4", "viewer")
	ids(t, future.Body, 1)

	// Who has no access any longer sees nothing more.
	gone, _ := s.as(s.give("gone", "viewer")).stream("/api/v1/events/stream")
	cookie := s.login(s.give("left", "viewer"))
	left, _ := s.as("").with("Cookie", cookie).stream("/api/v1/events/stream")
	if err := s.api.RevokeToken(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	s.as("").with("Cookie", cookie).do("DELETE", "/api/v1/session", nil)
	ends(t, "the stream of a revoked token", gone.Body, 15*time.Second)
	ends(t, "the stream of a session that ended", left.Body, 15*time.Second)

	// Readers that take nothing hold up nobody, and no stream holds up the end.
	for range 20 {
		who.with("Last-Event-ID", "0").stream("/api/v1/events/stream")
	}
	s.give("p5", "viewer")
	ids(t, live.Body, 1)
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("stopping with open streams took %s", took)
	}
	ends(t, "a stream of a stopped server", live.Body, time.Second)
}

func TestFollowedLogs(t *testing.T) {
	s := start(t, t.TempDir())
	s.define(places)
	s.push("shop", map[string]string{
		"steer.yaml": "service: shop\nartifact: {paths: [shop.sh]}\nrun: {command: sh shop.sh, grace: 1s}\npipeline:\n- {stage: commit, run: 'echo begins; sleep 600'}\n",
		"shop.sh":    "sleep 600\n",
	})
	s.until("the stage runs", func() error {
		r := s.as(s.token).do("GET", "/api/v1/runs/1/stages/commit/log", nil)
		if r.code != 200 || !strings.Contains(r.body, "begins") {
			return r
		}
		return nil
	})
	// Others start and end all the time; these follow a log for a client.
	following := func() (n int) {
		for _, stack := range ours() {
			if strings.Contains(stack, "api.(*API).stageLog") {
				n++
			}
		}
		return n
	}
	follow := "/api/v1/runs/1/stages/commit/log?follow=1"
	log, leave := s.as(s.token).stream(follow)
	line, err := bufio.NewReader(log.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, "begins") {
		t.Errorf("%q %v", line, err)
	}
	if n := following(); n != 1 {
		t.Errorf("%d goroutines follow the log, want 1", n)
	}
	leave()
	s.until("the server notices that the client left", func() error {
		if n := following(); n > 0 {
			return fmt.Errorf("%d goroutines follow the log", n)
		}
		return nil
	})
	gone, _ := s.as(s.give("gone", "viewer")).stream(follow)
	if err := s.api.RevokeToken(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	ends(t, "the log for a revoked token", gone.Body, 15*time.Second)
	last, _ := s.as(s.token).stream(follow)
	began := time.Now()
	s.stop()
	ends(t, "a log of a stopped server", last.Body, time.Second)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("stopping with a followed log and a running stage took %s", took)
	}
}
