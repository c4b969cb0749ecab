package source

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/base/journal"
	"steer/catalog"
)

// user runs git as a person would.
func user(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada Lovelace", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := user(t, dir, args...)
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

// workCopy returns a new repository with commits of these messages.
func workCopy(t *testing.T, messages ...string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, dir, "init", "-q", "-b", "main")
	add(t, dir, messages...)
	return dir
}

func add(t *testing.T, dir string, messages ...string) {
	t.Helper()
	for _, m := range messages {
		must(t, dir, "commit", "-q", "--allow-empty", "-m", m)
	}
}

func numbers(from, to int) (s []string) {
	for i := from; i <= to; i++ {
		s = append(s, fmt.Sprint(i))
	}
	return s
}

// world is a running Source with what surrounds it.
type world struct {
	*Source
	journal *journal.Journal
	url     string

	mu       sync.Mutex
	services []catalog.Service
	got      []Commit
	refuse   error // what the callback says
}

func start(t *testing.T, db *database.DB, dir string, services ...catalog.Service) *world {
	t.Helper()
	w := &world{services: services}
	var err error
	if w.journal, err = journal.New(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w.Source, err = New(t.Context(), Options{
		Config: Config{Poll: config.Duration(100 * time.Millisecond)},
		DB:     db, Journal: w.journal, Dir: dir,
		Services: func() []catalog.Service { w.mu.Lock(); defer w.mu.Unlock(); return w.services },
		Commit: func(_ context.Context, _ *sql.Tx, c Commit) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuse == nil {
				w.got = append(w.got, c)
			}
			return w.refuse
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := http.StripPrefix("/git", git.Handler(git.Options{
		Repo: w.Repository, Pushed: w.Pushed,
		Person: func(r *http.Request) id.Person { n, _, _ := r.BasicAuth(); return id.Person(n) },
	}))
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			out.Header().Set("WWW-Authenticate", "Basic")
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(out, r)
	}))
	w.url = strings.Replace(s.URL, "http://", "http://grace:secret@", 1) + "/git/"
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { s.Close(); cancel(); done.Wait() })
	return w
}

func (w *world) set(f func()) { w.mu.Lock(); defer w.mu.Unlock(); f() }

// messages returns what was handed on, as "REPO/MESSAGE".
func (w *world) messages() (s []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.got {
		s = append(s, c.Repo+"/"+c.Message)
	}
	return s
}

func (w *world) status(repo string) Status {
	for _, s := range w.Status() {
		if s.Repo == repo {
			return s
		}
	}
	return Status{}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
	}
}

// want waits until exactly these commits of one repository were handed on.
func (w *world) want(t *testing.T, repo string, messages ...string) {
	t.Helper()
	want := repo + "/" + strings.Join(messages, " "+repo+"/")
	var got string
	defer func() {
		if got != want {
			t.Errorf("got  %s\nwant %s\nstatus %+v", got, want, w.Status())
		}
	}()
	eventually(t, repo, func() bool {
		var list []string
		for _, m := range w.messages() {
			if strings.HasPrefix(m, repo+"/") {
				list = append(list, m)
			}
		}
		got = strings.Join(list, " ")
		return len(got) >= len(want)
	})
}

// settled waits until a repository was looked at once more.
func (w *world) settled(t *testing.T, repo string) {
	t.Helper()
	now := time.Now()
	eventually(t, "another look at "+repo, func() bool { s := w.status(repo); return s.Checked != nil && s.Checked.After(now) })
}

func TestHosted(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		dir := t.TempDir()
		w := start(t, db, dir, catalog.Service{Name: "catalog-service"})
		work := workCopy(t, numbers(1, 25)...)
		before := time.Now()
		must(t, work, "push", "-q", w.url+"catalog.git", "main")
		w.want(t, "catalog", numbers(6, 25)...) // the newest 20, oldest first
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("handed on after %v", took)
		}
		add(t, work, "26", "27")
		// An entry's own name leads to the same repository.
		must(t, work, "push", "-q", w.url+"catalog-service.git", "main", "main:side")
		w.want(t, "catalog", numbers(6, 27)...)

		c := w.got[21]
		head := must(t, work, "rev-parse", "HEAD")
		if c.SHA != head || c.Service.Name != "catalog-service" || c.Service.Artifact != "catalog" || c.Branch != "main" ||
			c.Author != "Ada Lovelace" || c.Email != "ada@example.com" || c.Pusher != "grace" || len(c.Parents) != 1 || time.Since(c.Time) > time.Minute {
			t.Errorf("commit %+v", c)
		}
		var events []event.Event
		eventually(t, "the event that tells of the commit", func() bool { // its transaction ends after the call that w.want waits for
			var err error
			if events, err = w.journal.Read(t.Context(), journal.Query{Types: []string{event.ChangeMerged}, Chain: c.Chain}); err != nil {
				t.Fatal(err)
			}
			return len(events) == 1
		})
		e := events[0]
		var data Merged
		if err := json.Unmarshal(e.Data, &data); err != nil || data.SHA != head || data.Pusher != "grace" || data.Committed.IsZero() {
			t.Errorf("data %+v, %v", data, err)
		}
		if e.ID != c.Event || e.Subject != "commit/"+head || e.Service != "catalog" || e.Summary != "Ada Lovelace changed catalog: 27" {
			t.Errorf("event %+v", e)
		}
		if st := w.status("catalog"); st.Head != head || st.Error != "" || st.Address != "" || st.Service != "catalog-service" {
			t.Errorf("status %+v", st)
		}

		again := start(t, db, dir) // without services.yaml
		again.settled(t, "catalog")
		add(t, work, "28")
		must(t, work, "push", "-q", again.url+"catalog.git", "main")
		// Both follow it; it comes to one of them.
		eventually(t, "28", func() bool { return len(w.messages())+len(again.messages()) == 23 })
		again.settled(t, "catalog")
		w.settled(t, "catalog")
		if n := len(w.messages()) + len(again.messages()); n != 23 {
			t.Errorf("%d commits were handed on", n)
		}
	})
}

func TestExternal(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		work := workCopy(t, "1", "2", "3")
		w := start(t, db, t.TempDir(), catalog.Service{Name: "shop", Artifact: "shop", Repository: work})
		w.want(t, "shop", "3") // what was before Steer needs no build
		add(t, work, "4", "5")
		w.want(t, "shop", "3", "4", "5")

		must(t, work, "branch", "old")
		must(t, work, "reset", "-q", "--hard", "HEAD~2")
		add(t, work, "4b")
		w.want(t, "shop", "3", "4", "5", "4b")
		must(t, work, "reset", "-q", "--hard", "old") // all known
		w.settled(t, "shop")
		w.settled(t, "shop")
		add(t, work, "6")
		w.want(t, "shop", "3", "4", "5", "4b", "6")
		if _, err := w.Repository("shop", true); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), work) {
			t.Errorf("push to a mirror: %v", err)
		}
		if out, err := user(t, work, "push", w.url+"shop.git", "main"); err == nil || !strings.Contains(out, "push there") {
			t.Errorf("push to a mirror: %v\n%s", err, out)
		}
		if out := must(t, "", "ls-remote", w.url+"shop.git", "refs/heads/main"); !strings.HasPrefix(out, must(t, work, "rev-parse", "HEAD")) {
			t.Errorf("the mirror serves %q", out)
		}
	})
}

func TestExternalThatWasEmpty(t *testing.T) {
	work := t.TempDir()
	must(t, work, "init", "-q", "-b", "main")
	w := start(t, databasetest.SQLite(t), t.TempDir(), catalog.Service{Name: "shop", Repository: work})
	w.settled(t, "shop")
	if s := w.status("shop"); s.Error != "" {
		t.Errorf("an empty repository: %s", s.Error)
	}
	add(t, work, "1")
	w.settled(t, "shop") // whatever it saw of it
	add(t, work, "2")
	w.want(t, "shop", "1", "2")
}

func TestOneBrokenRepositoryHoldsUpNoOther(t *testing.T) {
	work, absent := workCopy(t, "1"), filepath.Join(t.TempDir(), "absent")
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hang.Close)
	w := start(t, databasetest.SQLite(t), t.TempDir(),
		catalog.Service{Name: "bad", Repository: absent},
		catalog.Service{Name: "odd", Repository: "ext::sh -c id"},
		catalog.Service{Name: "slow", Repository: hang.URL + "/x.git"},
		catalog.Service{Name: "shop", Repository: work})
	w.want(t, "shop", "1")
	add(t, work, "2")
	w.want(t, "shop", "1", "2")
	eventually(t, "errors", func() bool { return w.status("bad").Failures > 1 && w.status("odd").Error != "" })
	if s := w.status("bad"); !strings.Contains(s.Error, absent) || s.Next == nil {
		t.Errorf("status %+v", s)
	}
	if s := w.status("odd"); !strings.Contains(s.Error, "not a way to fetch") {
		t.Errorf("status %+v", s)
	}
	// It is repaired.
	if err := os.Rename(work, absent); err != nil {
		t.Fatal(err)
	}
	w.want(t, "bad", "2")
	eventually(t, "the error goes away", func() bool { return w.status("bad").Error == "" })
	w.set(func() { w.services = nil })
	eventually(t, "services go away", func() bool { return w.status("bad").Repo == "" })
}

func TestCallbackThatFailsGetsTheSameCommitAgain(t *testing.T) {
	w := start(t, databasetest.SQLite(t), t.TempDir())
	w.set(func() { w.refuse = errors.New("no room for a run") })
	work := workCopy(t, "1", "2")
	must(t, work, "push", "-q", w.url+"catalog.git", "main")
	eventually(t, "error", func() bool { return strings.Contains(w.status("catalog").Error, "no room for a run") })
	if events, err := w.journal.Read(t.Context(), journal.Query{}); err != nil || len(events) != 0 {
		t.Errorf("%d events of a commit that was not taken, %v", len(events), err)
	}
	add(t, work, "3")
	must(t, work, "push", "-q", strings.Replace(w.url, "grace:", "linus:", 1)+"catalog.git", "main")
	w.set(func() { w.refuse = nil })
	w.want(t, "catalog", "1", "2", "3")
	if a, b, c := w.got[0].Pusher, w.got[1].Pusher, w.got[2].Pusher; a != "grace" || b != "grace" || c != "linus" {
		t.Errorf("pushed by %s, %s, %s", a, b, c)
	}
}

func TestNames(t *testing.T) {
	w := start(t, databasetest.SQLite(t), t.TempDir(), catalog.Service{Name: "web", Artifact: "shop", Branch: "trunk"})
	for name, kind := range map[string]fault.Kind{"../x": fault.NotFound, "": fault.NotFound, "definitions": fault.Conflict} {
		if _, err := w.Repository(name, true); fault.Of(err) != kind {
			t.Errorf("push to %q: %v, want %v", name, err, kind)
		}
	}
	if _, err := w.Repository("shop", false); fault.Of(err) != fault.NotFound {
		t.Errorf("clone before the first push: %v", err)
	}
	if _, err := w.ReadFile(t.Context(), "shop", "trunk", "steer.yaml"); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "/git/shop.git") {
		t.Errorf("read before the first push: %v", err)
	}
	work := workCopy(t, "1")
	must(t, work, "push", "-q", w.url+"web.git", "main")
	eventually(t, "the wrong branch is told", func() bool { return strings.Contains(w.status("shop").Error, "main:trunk") })
	os.WriteFile(filepath.Join(work, "steer.yaml"), []byte("service: shop\n"), 0o644)
	must(t, work, "add", ".")
	add(t, work, "2")
	must(t, work, "push", "-q", w.url+"web.git", "main:trunk")
	w.want(t, "shop", "1", "2")
	eventually(t, "the status tells the head", func() bool { return w.status("shop").Head != "" })
	for _, name := range []string{"shop", "web"} {
		if b, err := w.ReadFile(t.Context(), name, "trunk", "steer.yaml"); err != nil || string(b) != "service: shop\n" {
			t.Errorf("%q, %v", b, err)
		}
		out := filepath.Join(t.TempDir(), "out")
		if err := w.Checkout(t.Context(), name, w.status("shop").Head, out); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(out, "steer.yaml")); err != nil {
			t.Error(err)
		}
	}
	if h, err := w.History(t.Context(), "web", 10); err != nil || len(h) != 2 || h[0].Message != "2" {
		t.Errorf("history %+v, %v", h, err)
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		poll time.Duration
		n    int
		want time.Duration
	}{
		{10 * time.Second, 0, 10 * time.Second},
		{10 * time.Second, 1, 20 * time.Second},
		{10 * time.Second, 5, 5 * time.Minute},
		{10 * time.Second, 1000, 5 * time.Minute},
		{time.Hour, 0, time.Hour},
		{time.Hour, 50, time.Hour},
	} {
		if got := backoff(c.poll, c.n); got != c.want {
			t.Errorf("backoff(%v, %d) = %v, want %v", c.poll, c.n, got, c.want)
		}
	}
}
