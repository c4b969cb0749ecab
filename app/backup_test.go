package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"steer/api/client"
	"steer/app"
	"steer/base/backup"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
)

// lines sends Graphite lines and waits until the server has them.
func (s *server) lines(text string) {
	s.t.Helper()
	m := regexp.MustCompile(`Graphite TCP +(\S+)`).FindStringSubmatch(s.out.String())
	if m == nil {
		s.t.Fatal("the server does not say where it takes lines")
	}
	c, err := net.Dial("tcp", m[1])
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, text)
	last := strings.Fields(text[strings.LastIndexByte(strings.TrimSpace(text), '\n')+1:])
	s.until("the last line is stored", func() error {
		if r := s.render(last[0]); !strings.Contains(r, last[1]) {
			return fmt.Errorf("%s", r)
		}
		return nil
	})
}

func (s *server) render(target string) string {
	s.t.Helper()
	r := s.as(s.token).do("GET", "/render?format=raw&from=-1h&target="+url.QueryEscape(target), nil)
	if r.code != 200 {
		s.t.Fatal(r)
	}
	return r.body
}

// archive is a backup of the server in a file.
func (s *server) archive() (file string, sum client.BackupSummary) {
	s.t.Helper()
	f, err := os.Create(filepath.Join(s.t.TempDir(), "backup.tar"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if sum, err = s.api.Backup(s.t.Context(), f, nil); err != nil {
		s.t.Fatal(err)
	}
	return f.Name(), sum
}

func restored(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := backup.Restore(t.Context(), f, dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *server) events(kind string) (all []event.Event) {
	s.t.Helper()
	all, err := s.api.Events(s.t.Context(), url.Values{"type": {kind}, "limit": {"100"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// TestBackupHasEverything: a server made of the backup is as the one that was
// backed up, down to the services that it runs.
func TestBackupHasEverything(t *testing.T) {
	data := t.TempDir()
	write(t, filepath.Join(data, "server.yaml"), "state: {interval: 20s}\n")
	write(t, filepath.Join(data, "cache", "go", "big"), "x")
	outside := t.TempDir() // as where the data disk is small
	if err := os.Symlink(outside, filepath.Join(data, "artifacts")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(outside, "strange")); err != nil {
		t.Fatal(err)
	}
	s := start(t, data)
	s.define(places)
	s.push("shop", shop("exec sleep 600", ""))
	s.passed("shop", "b1")
	d, err := s.api.Deploy(t.Context(), "shop", "ci", "b1", "to have something", false)
	if err != nil {
		t.Fatal(err)
	}
	if d = s.deployed(d); d.State != "passed" {
		t.Fatalf("%+v", d)
	}
	eve := s.give("eve", "viewer")
	now := time.Now().Unix()
	s.lines(fmt.Sprintf("shop.sales 41 %d\nshop.sales 42 %d\n", now-20, now-10))
	secret, err := s.api.Encrypt(t.Context(), []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	s.define(map[string]string{"secrets/ci/password.age": string(secret)})

	file, sum := s.archive()
	if sum.Info.Steer != "test" || len(sum.Info.LeftOut) < 5 || len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], `"artifacts/strange" is left out: it is no file but a symbolic link`) {
		t.Errorf("%+v", sum)
	}
	taken := s.events(event.BackupTaken)
	var told struct{ Files, Bytes int64 }
	if len(taken) != 1 || taken[0].Actor != "admin" || json.Unmarshal(taken[0].Data, &told) != nil || told.Files != int64(sum.Files) || told.Bytes != sum.Bytes {
		t.Errorf("%+v", taken)
	}
	if left, _ := filepath.Glob(filepath.Join(data, "tmp", "*")); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	sales, log := s.render("shop.sales"), s.as(s.token).do("GET", "/api/v1/runs/1/stages/commit/log", nil).body
	before, err := s.api.Events(t.Context(), url.Values{"limit": {"200"}})
	if err != nil {
		t.Fatal(err)
	}
	definitions := s.as(s.token).do("GET", "/api/v1/definitions", nil).body
	s.stop()

	to := restored(t, file)
	for _, name := range []string{"lock", "server.url", "cache", "nodes", "stream", "tmp", "metrics/LOCK", "metrics/wal", "artifacts/tmp", "runs/1/work"} {
		if _, err := os.Stat(filepath.Join(to, name)); err == nil {
			t.Errorf("%s is in the backup", name)
		}
	}
	r := start(t, to)
	if r.token != s.token {
		t.Error("the token of admin is another")
	}
	if got := r.as(eve).do("GET", "/api/v1/now", nil); got.code != 200 {
		t.Errorf("a viewer's token: %v", got)
	}
	if got := r.render("shop.sales"); strings.TrimSpace(got) == "" || strings.Count(got, "41") != strings.Count(sales, "41") || strings.Count(got, "42") != strings.Count(sales, "42") {
		t.Errorf("sales were\n%sand are\n%s", sales, got)
	}
	if got := r.as(r.token).do("GET", "/api/v1/runs/1/stages/commit/log", nil).body; got != log || !strings.Contains(got, "tested") {
		t.Errorf("log of the run: %q, was %q", got, log)
	}
	if got := r.as(r.token).do("GET", "/api/v1/definitions", nil).body; got != definitions || !strings.Contains(got, "password.age") {
		t.Errorf("definitions are\n%s\nwere\n%s", got, definitions)
	}
	after, err := r.api.Events(t.Context(), url.Values{"limit": {"200"}})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, e := range after {
		known[e.ID] = true
	}
	for _, e := range before {
		if !known[e.ID] && e.Type != event.BackupTaken {
			t.Errorf("the journal lost %+v", e)
		}
	}
	if out, err := r.git(t.TempDir(), r.token, "clone", "-q", r.url+"/git/shop.git"); err != nil {
		t.Errorf("clone: %v %s", err, out)
	}
	r.until("the service runs again", func() error {
		n, err := r.api.Now(t.Context())
		if err == nil && (len(n.Services) != 1 || len(n.Services[0].Placements) != 1 || n.Services[0].Placements[0].State != "serving") {
			err = fmt.Errorf("%+v", n.Services)
		}
		return err
	})
	// It takes pushes, checks them, and builds on.
	r.define(map[string]string{"teams.yaml": "web: {}\n"})
	dir := t.TempDir()
	if out, err := r.git(dir, r.token, "clone", "-q", r.url+"/git/shop.git", "."); err != nil {
		t.Fatal(out)
	}
	write(t, filepath.Join(dir, "more"), "more")
	for _, args := range [][]string{{"add", "."}, {"commit", "-q", "-m", "Second"}, {"push", "-q", "origin", "main"}} {
		if out, err := r.git(dir, r.token, args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	r.passed("shop", "b2")
	r.stop()
	if text := r.log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "damaged") || strings.Contains(text, "torn") {
		t.Errorf("the restored server complains:\n%s", text)
	}
}

// TestBackupsOfABusyServer: whatever the moment, what the database names is there.
func TestBackupsOfABusyServer(t *testing.T) {
	s := start(t, t.TempDir())
	s.define(places)
	dir := t.TempDir()
	for name, text := range shop("exec sleep 600", "") {
		write(t, filepath.Join(dir, name), text)
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := s.git(dir, s.token, args...); err != nil {
			t.Errorf("git %v: %v\n%s", args, err, out)
		}
	}
	run("init", "-q", "-b", "main")
	done, ended := make(chan struct{}), make(chan struct{})
	pushed := make(chan int, 1000)
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			write(t, filepath.Join(dir, "n"), fmt.Sprint(n))
			run("add", ".")
			run("commit", "-q", "-m", fmt.Sprint("Change ", n))
			run("push", "-q", s.url+"/git/shop.git", "main")
			if r := s.as(s.token).do("POST", "/api/v1/definitions", map[string]any{"base": "", "message": "for a test", "files": map[string]string{"teams.yaml": fmt.Sprintf("t%d: {}\n", n)}}); r.code != 200 {
				t.Error(r)
			}
			pushed <- n
		}
	}()
	var files []string
	for range 4 {
		<-pushed
		<-pushed
		file, _ := s.archive()
		files = append(files, file)
	}
	close(done)
	<-ended
	s.stop()
	for _, file := range files {
		r := start(t, restored(t, file))
		r.until("the newest commit is built", func() error {
			head, err := r.git(filepath.Join(r.data, "git", "shop.git"), "", "rev-parse", "main")
			if err != nil {
				return fmt.Errorf("%s", head)
			}
			runs, err := r.api.Runs(t.Context(), "shop", 1)
			if err != nil || len(runs) == 0 || runs[0].Commit != strings.TrimSpace(head) || runs[0].State != "passed" {
				return fmt.Errorf("%+v %v", runs, err)
			}
			return nil
		})
		runs, err := r.api.Runs(t.Context(), "shop", 100)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, one := range runs {
			if seen[one.Commit] {
				t.Errorf("commit %s was built twice", one.Commit)
			}
			seen[one.Commit] = true
			if one.State == "failed" {
				t.Errorf("run %d: %s", one.ID, one.Reason)
			}
		}
		changes := map[string]int{}
		for _, e := range r.events(event.DefinitionsChanged) {
			changes[e.Subject]++
		}
		log, err := r.git(filepath.Join(r.data, "git", "definitions.git"), "", "log", "--format=definitions/%H", "main")
		if err != nil {
			t.Fatal(log)
		}
		for _, subject := range strings.Fields(log) {
			if changes[subject] != 1 {
				t.Errorf("the journal tells %d times of %s", changes[subject], subject)
			}
		}
		r.stop()
		if text := r.log.String(); strings.Contains(text, "level=ERROR") {
			t.Errorf("the restored server complains:\n%s", text)
		}
	}
}

// TestBrokenOffBackup: one at a time, and who goes away leaves nothing but a line in
// the journal.
func TestBrokenOffBackup(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	big := make([]byte, 32<<20) // more than the sockets hold
	rand.Read(big)
	write(t, filepath.Join(data, "runs", "1", "big.log"), string(big))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := http.DefaultClient.Do(s.as(s.token).request(ctx, "GET", "/api/v1/backup", nil))
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-tar" || !strings.Contains(res.Header.Get("Content-Disposition"), ".tar") {
		t.Fatalf("%v %v", res, err)
	}
	defer res.Body.Close()
	if r := s.as(s.token).do("GET", "/api/v1/backup", nil); r.code != 409 || !strings.Contains(r.body, "one is being taken already") {
		t.Errorf("a second one: %v", r)
	}
	if r := s.as(s.token).do("HEAD", "/api/v1/backup", nil); r.code != 400 {
		t.Errorf("HEAD: %v", r)
	}
	half, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	s.until("the journal tells of it", func() error {
		if all := s.events(event.BackupFailed); len(all) != 1 || all[0].Actor != "admin" || all[0].Reason == "" {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
	s.until("nothing is left", func() error {
		if left, _ := filepath.Glob(filepath.Join(data, "tmp", "*")); len(left) > 0 {
			return fmt.Errorf("%v", left)
		}
		return nil
	})
	if _, err := backup.Verify(bytes.NewReader(half), nil); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("half an archive: %v", err)
	}
	if _, sum := s.archive(); sum.Bytes < 32<<20 {
		t.Errorf("the next one: %+v", sum)
	}

	// The server ends: so does the backup, and the client knows that it is none.
	res, err = http.DefaultClient.Do(s.as(s.token).request(t.Context(), "GET", "/api/v1/backup", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	s.stop()
	if _, err := backup.Verify(res.Body, nil); err == nil {
		t.Error("a backup that the server broke off counts as whole")
	}
}

func TestBackupsThatLackSomething(t *testing.T) {
	t.Run("database elsewhere", func(t *testing.T) {
		elsewhere := filepath.Join(t.TempDir(), "other.db")
		s := start(t, t.TempDir(), "database=sqlite:"+elsewhere)
		file, sum := s.archive()
		if len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], elsewhere+": in here it is steer.db") {
			t.Errorf("%v", sum.Notes)
		}
		s.stop()
		start(t, restored(t, file)) // with the default
	})
	t.Run("database by another name", func(t *testing.T) {
		data := t.TempDir()
		s := start(t, data, "database=sqlite:"+filepath.Join(data, "sql", "main.db"))
		file, sum := s.archive()
		s.stop()
		to := restored(t, file)
		if entries, _ := os.ReadDir(filepath.Join(to, "sql")); len(sum.Notes) != 0 || len(entries) != 1 || entries[0].Name() != "main.db" {
			t.Errorf("%v %v", sum.Notes, entries)
		}
	})
	t.Run("metrics in a cluster", func(t *testing.T) {
		s := start(t, t.TempDir(), "store.driver=prometheus", "store.prometheus.url=http://127.0.0.1:1")
		file, sum := s.archive()
		if len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "the metrics are in a cluster") {
			t.Errorf("%v", sum.Notes)
		}
		if r := s.as(s.token).do("GET", "/api/v1/store/stats", nil); r.code != 409 || !strings.Contains(r.body, "cluster") {
			t.Errorf("%v", r)
		}
		s.stop()
		if _, err := os.Stat(filepath.Join(restored(t, file), "spool")); err == nil {
			t.Error("points on their way are in the backup, and would be sent twice")
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		s := start(t, t.TempDir(), "database="+databasetest.PostgresURL(t))
		file, sum := s.archive()
		if len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "pg_dump") {
			t.Errorf("%v", sum.Notes)
		}
		if _, err := os.Stat(filepath.Join(restored(t, file), "steer.db")); err == nil {
			t.Error("there is a SQLite database")
		}
	})
}

func TestHalfARestoreIsNoDataFolder(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, ".restore-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := app.New(t.Context(), options(t, data))
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "a restore into it was interrupted") {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(data); len(entries) != 1 {
		t.Errorf("it made something: %v", entries)
	}
}
