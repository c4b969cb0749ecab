package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/base/metric"
)

func TestProgramOfTheServer(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := w.join("web-1")
	served, replaced := make(chan string, 9), make(chan string, 9)
	w.run(dir, func(o *AgentOptions) {
		o.Program = other
		o.Serve = func(_ context.Context, program string, _ io.ReadWriter) error {
			served <- program
			return nil
		}
		o.Replace = func(program string) error {
			replaced <- program
			return nil
		}
	})
	conn, err := w.Take(t.Context(), "web-1")
	if err != nil {
		t.Fatal(err)
	}
	path := <-served
	want, _ := w.Registry.program.digest()
	if have, err := sum(path); have != want || filepath.Dir(path) != filepath.Join(dir, "bin") || err != nil {
		t.Errorf("%s %s %v", path, have, err)
	}
	if got := <-replaced; got != path {
		t.Errorf("%s takes over", got)
	}
	conn.Close()
	// One that does not run here is not kept.
	if err := os.WriteFile(w.Registry.program.path, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.Registry.program.sum, _ = sum(w.Registry.program.path)
	if _, err := w.Take(t.Context(), "web-1"); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "does not run here") {
		t.Error(err)
	}
	// Nor one that changed on the way.
	w.Registry.program.sum = strings.Repeat("ab", 32)
	if _, err := w.Take(t.Context(), "web-1"); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "has the digest") {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, "bin")); len(entries) != 1 {
		t.Errorf("%v is left", entries)
	}
}

func TestLeave(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	dir := w.join("web-1")
	if _, err := Join(t.Context(), JoinOptions{Dir: dir, URL: w.server.URL, Token: "join_x"}); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "steer agent leave") {
		t.Error(err)
	}
	i, err := ReadIdentity(dir)
	if err != nil || i.Host != "web-1" {
		t.Fatal(i, err)
	}
	if _, err := Leave(t.Context(), dir, false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Verify(t.Context(), i.Credential); fault.Of(err) != fault.Anonymous {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%v is left", entries)
	}
	dir = w.join("web-2")
	w.server.Close()
	if _, err := Leave(t.Context(), dir, false); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "--force") {
		t.Error(err)
	}
	if _, err := Leave(t.Context(), dir, true); err != nil {
		t.Error(err)
	}
	for url, want := range map[string]string{"steer": "no address", "ftp://x": "no address", w.server.URL: "no answer from the server"} {
		if _, err := Join(t.Context(), JoinOptions{Dir: t.TempDir(), URL: url, Token: "join_x"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestFigures(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	var got []string
	w.figures = func(points []metric.Point) error {
		for _, p := range points {
			got = append(got, fmt.Sprintf("%s %v", p.Name, p.Value))
		}
		return nil
	}
	now := w.clock.Unix()
	if err := w.Figures("web-1.example", []Figure{{"cpu.idle", now, 97.5}, {"load.1", now - 10, 0}}); err != nil || strings.Join(got, ", ") != "servers.web-1_example.cpu.idle 97.5, servers.web-1_example.load.1 0" {
		t.Error(got, err)
	}
	for _, wrong := range []Figure{{"", now, 1}, {"a b", now, 1}, {"a;host=other", now, 1}, {"a..b", now, 1}, {".a", now, 1}, {"a\n", now, 1}, {strings.Repeat("a", longestName+1), now, 1}, {"a", now - 7200, 1}, {"a", now + 7200, 1}} {
		if err := w.Figures("web-1", []Figure{wrong}); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if err := w.Figures("web-1", make([]Figure, mostFigures+1)); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
}

// A host that is revoked while it connects is not let in.
func TestRevokedWhileItConnects(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	dir := w.join("web-1")
	if err := w.Revoke(t.Context(), "ada", "web-1", ""); err != nil {
		t.Fatal(err)
	}
	_, gone := w.attach(dir, "m0") // as if it had been verified before
	<-gone
	if _, ok := w.connected("web-1"); ok {
		t.Error("it is connected")
	}
}

// TestNewerProgramTakesOver: it waits for visits, and not for what has no end.
func TestNewerProgramTakesOver(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	replaced := make(chan string, 9)
	w.run(w.join("web-1"), func(o *AgentOptions) {
		o.Program = other
		o.Serve = func(_ context.Context, _ string, conn io.ReadWriter) error {
			var b [1]byte
			conn.Read(b[:])
			return nil
		}
		o.Replace = func(program string) error {
			replaced <- program
			return nil
		}
	})
	stays, err := w.Stay(t.Context(), "web-1")
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	visit, err := w.Take(t.Context(), "web-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(replaced) > 0 {
		t.Error("it takes over during a visit")
	}
	visit.Close()
	select {
	case <-replaced:
	case <-time.After(90 * time.Second):
		t.Fatal("it waits for what has no end")
	}
}
