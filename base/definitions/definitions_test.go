package definitions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
)

// The test binary is also the hook of the repository.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "as hook" {
		if err := CheckPush(context.Background(), os.Stdin, os.Stderr, check); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// check wants no line "bad" in environments.yaml.
func check(files fs.FS) error {
	b, err := fs.ReadFile(files, "environments.yaml")
	if err != nil {
		return err
	}
	var errs []error
	for i, line := range strings.Split(string(b), "\n") {
		if at := strings.Index(line, "bad"); at >= 0 {
			errs = append(errs, fmt.Errorf("environments.yaml:%d:%d: nodes: this is bad", i+1, at+1))
		}
	}
	return errors.Join(errs...)
}

// memory is a journal that may be out of order.
type memory struct {
	mu     sync.Mutex
	events []event.Event
	down   bool
}

func (m *memory) Record(_ context.Context, e event.Event) (event.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return e, errors.New("the disk is full")
	}
	m.events = append(m.events, e)
	return e, nil
}

func (m *memory) summaries() (s []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		s = append(s, e.Summary)
	}
	return s
}

func (m *memory) fail(down bool) { m.mu.Lock(); m.down = down; m.mu.Unlock() }

var template = map[string][]byte{"environments.yaml": []byte("ci:\n"), "README.md": []byte("# Definitions\n")}

type place struct {
	*Definitions
	journal *memory
	changes chan string // commits told to OnChange
	url     string
}

func start(t *testing.T, dir string, journal *memory) *place {
	t.Helper()
	d, err := New(t.Context(), Options{Dir: dir, Check: check, Template: template, Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{Definitions: d, journal: journal, changes: make(chan string, 100)}
	d.OnChange(func(sha string, _ fs.FS) { p.changes <- sha })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := git.Handler(git.Options{
		Repo:   func(string, bool) (string, error) { return dir, nil },
		Hook:   []string{exe, "as hook"},
		Pushed: func(string) { d.Notify() },
		Person: func(r *http.Request) id.Person { n, _, _ := r.BasicAuth(); return id.Person(n) },
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	p.url = strings.Replace(s.URL, "http://", "http://grace:secret@", 1) + "/definitions.git"
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { s.Close(); cancel(); done.Wait() })
	return p
}

func (p *place) want(t *testing.T, text string) {
	t.Helper()
	sha, files := p.Current()
	got, err := fs.ReadFile(files, "environments.yaml")
	if err != nil || string(got) != text {
		t.Errorf("at %s: %q, %v; want %q", sha, got, err, text)
	}
}

// next waits for a change.
func (p *place) next(t *testing.T) string {
	t.Helper()
	select {
	case sha := <-p.changes:
		return sha
	case <-time.After(5 * time.Second):
		t.Fatal("no change was told")
		return ""
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func user(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada Lovelace", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := user(t, dir, args...); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func write(t *testing.T, dir, text, message string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "environments.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "commit", "-q", "-a", "-m", message)
}

func TestFirstStartUsesTheTemplate(t *testing.T) {
	dir, journal := filepath.Join(t.TempDir(), "definitions.git"), &memory{}
	p := start(t, dir, journal)
	p.want(t, "ci:\n")
	first, _ := p.Current()
	again := start(t, dir, journal)
	if sha, _ := again.Current(); sha != first {
		t.Errorf("the second start made another commit %s", sha)
	}
	if got := journal.summaries(); len(got) != 1 || got[0] != "steer changed README.md, environments.yaml: Definitions as they come with Steer" {
		t.Errorf("journal %q", got)
	}
	_, err := New(t.Context(), Options{Dir: t.TempDir(), Check: check, Template: map[string][]byte{"environments.yaml": []byte("bad")}})
	if err == nil || !strings.Contains(err.Error(), "environments.yaml:1:1:") {
		t.Errorf("bad template: %v", err)
	}
}

func TestPush(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "definitions.git"), &memory{})
	work := filepath.Join(t.TempDir(), "work")
	must(t, "", "clone", "-q", p.url, work)
	write(t, work, "ci:\nuat:\n", "Add uat\n\nBecause Linus asked.")
	write(t, work, "ci:\nuat:\nproduction:\n", "Add production")
	must(t, work, "push", "-q", "origin", "main")
	before := time.Now()
	head := p.next(t)
	if took := time.Since(before); took > time.Second {
		t.Errorf("the change counted after %v", took)
	}
	p.want(t, "ci:\nuat:\nproduction:\n")
	eventually(t, "three events", func() bool { return len(p.journal.summaries()) == 3 })
	if got := p.journal.summaries()[1:]; got[0] != "grace changed environments.yaml: Add uat" || got[1] != "grace changed environments.yaml: Add production" {
		t.Errorf("journal %q", got)
	}
	e := p.journal.events[1]
	if e.Actor != "grace" || !strings.Contains(e.Reason, "Linus") || !bytes.Contains(e.Data, []byte(`"author":"Ada Lovelace"`)) || !strings.HasPrefix(e.Subject, "definitions/") || e.Type != event.DefinitionsChanged {
		t.Errorf("event %+v", e)
	}

	write(t, work, "ci:\nuat:\n  - bad\n", "Break it")
	out, err := user(t, work, "push", "-q", "origin", "main")
	if err == nil || !strings.Contains(out, "remote: environments.yaml:3:5: nodes: this is bad") || !strings.Contains(out, "remote: Nothing was changed.") {
		t.Errorf("push of a mistake: %v\n%s", err, out)
	}
	if sha, _ := p.Repo().Head(t.Context(), "main"); sha != head {
		t.Errorf("head %s, want %s", sha, head)
	}
	// What is not mainline does not count, so it may be wrong.
	must(t, work, "push", "-q", "origin", "main:attempt")
	if out, err := user(t, work, "push", "-q", "origin", ":main"); err == nil || !strings.Contains(out, "cannot be deleted") {
		t.Errorf("delete: %v\n%s", err, out)
	}
	p.want(t, "ci:\nuat:\nproduction:\n")
}

func TestChange(t *testing.T) {
	p, ctx := start(t, filepath.Join(t.TempDir(), "definitions.git"), &memory{}), t.Context()
	base, _ := p.Current()
	change := func(base, text string) (string, error) {
		return p.Change(ctx, git.Change{Author: "linus", Message: "Edit", Base: base, Files: map[string][]byte{"environments.yaml": []byte(text)}})
	}
	sha, err := change(base, "uat:\n")
	if err != nil {
		t.Fatal(err)
	}
	p.want(t, "uat:\n") // at once
	if got := p.next(t); got != sha {
		t.Errorf("told %s, want %s", got, sha)
	}
	if got := p.journal.summaries(); len(got) != 2 || got[1] != "linus changed environments.yaml: Edit" {
		t.Errorf("journal %q", got)
	}
	if _, err := change(base, "ci:\n"); fault.Of(err) != fault.Conflict {
		t.Errorf("change of an old state: %v", err)
	}
	if _, err := change("", "\n bad\n"); fault.Of(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "environments.yaml:2:2: ") {
		t.Errorf("a mistake: %v", err)
	}
	if _, err := p.Change(ctx, git.Change{Author: "linus", Message: "Remove", Files: map[string][]byte{"environments.yaml": nil}}); err == nil {
		t.Error("removed a file that the check wants")
	}
	if _, err := change("", "ci:\n"); err != nil {
		t.Error(err)
	}
	p.want(t, "ci:\n")
}

// Somebody with access to the disk can get past the hook.
func TestBrokenHeadKeepsTheOldContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "definitions.git")
	p := start(t, dir, &memory{})
	valid, _ := p.Current()
	broken, err := p.Repo().Commit(t.Context(), "main", git.Change{Author: "eve", Message: "m", Base: valid, Files: map[string][]byte{"environments.yaml": []byte("bad")}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the problem is reported", func() bool { return p.Problem() != nil })
	if err := p.Problem(); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "environments.yaml:1:1:") || !strings.Contains(err.Error(), broken[:12]) {
		t.Error(err)
	}
	p.want(t, "ci:\n")
	again := start(t, dir, &memory{})
	again.want(t, "ci:\n")
	if again.Problem() == nil {
		t.Error("the problem is not known after a restart")
	}
	if _, err := p.Change(t.Context(), git.Change{Author: "linus", Message: "Repair", Files: map[string][]byte{"environments.yaml": []byte("uat:\n")}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Problem(); err != nil {
		t.Error(err)
	}
	p.want(t, "uat:\n")

	nothing := func(fs.FS) error { return errors.New("environments.yaml:1:1: no longer allowed") }
	if _, err := New(t.Context(), Options{Dir: dir, Check: nothing}); err == nil || !strings.Contains(err.Error(), "no longer allowed") {
		t.Errorf("start with nothing valid: %v", err)
	}
}

func TestJournalThatIsDownIsToldLater(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "definitions.git"), &memory{})
	p.journal.fail(true)
	if _, err := p.Change(t.Context(), git.Change{Author: "linus", Message: "Edit", Files: map[string][]byte{"environments.yaml": []byte("uat:\n")}}); err != nil {
		t.Fatal(err)
	}
	p.want(t, "uat:\n")
	p.journal.fail(false)
	eventually(t, "the event", func() bool { return len(p.journal.summaries()) == 2 })
}
