package git

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"steer/base/fault"
)

// user runs git as a person would, in a folder, without this machine's
// configuration.
func user(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := tryUser(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func tryUser(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada Lovelace", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func newRepo(t *testing.T) *Repo {
	t.Helper()
	r, err := Init(t.Context(), filepath.Join(t.TempDir(), "it's a", "x.git"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func commit(t *testing.T, r *Repo, base, message string, files map[string][]byte) string {
	t.Helper()
	sha, err := r.Commit(t.Context(), "main", Change{Author: "ada", Message: message, Files: files, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.Of(err) != kind {
		t.Errorf("error %v (%v), want kind %v", err, fault.Of(err), kind)
	}
}

func TestCommitAndRead(t *testing.T) {
	ctx, r := t.Context(), newRepo(t)
	if _, err := r.Head(ctx, "main"); fault.Of(err) != fault.NotFound {
		t.Errorf("head of an empty repository: %v", err)
	}
	a := commit(t, r, "", "first\n\nwith a body", map[string][]byte{"a.yaml": []byte("a"), "d/e/f.yaml": []byte("f"), "empty": {}})
	b := commit(t, r, a, "second", map[string][]byte{"a.yaml": nil, "d/e/g.yaml": []byte("ä")})
	if head, err := r.Head(ctx, "main"); err != nil || head != b {
		t.Errorf("head %s, %v; want %s", head, err, b)
	}
	if same := commit(t, r, b, "nothing", map[string][]byte{"d/e/g.yaml": []byte("ä")}); same != b {
		t.Errorf("a change of nothing made commit %s", same)
	}
	files, err := r.Files(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(files, "d/e/f.yaml", "d/e/g.yaml", "empty"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat(files, "a.yaml"); err == nil {
		t.Error("a removed file is still there")
	}
	if got, err := r.ReadFile(ctx, a, "a.yaml"); err != nil || string(got) != "a" {
		t.Errorf("read %q, %v", got, err)
	}
	for _, path := range []string{"a.yaml", "d", "nope/x"} {
		_, err = r.ReadFile(ctx, b, path)
		wantKind(t, err, fault.NotFound)
	}
	log, err := r.Log(ctx, "", "main", 10)
	if err != nil || len(log) != 2 || log[0].SHA != b || log[1].Message != "first\n\nwith a body" || log[1].Title() != "first" ||
		log[0].Author != "ada" || log[0].Email != "ada@steer" || log[0].Parents[0] != a || time.Since(log[0].Time) > time.Minute {
		t.Errorf("log %+v, %v", log, err)
	}
	if paths, err := r.ChangedPaths(ctx, a, b); err != nil || fmt.Sprint(paths) != "[a.yaml d/e/g.yaml]" {
		t.Errorf("changed %v, %v", paths, err)
	}
	if paths, err := r.ChangedPaths(ctx, "", a); err != nil || len(paths) != 3 {
		t.Errorf("files %v, %v", paths, err)
	}
	if who, err := r.Movers(ctx, "main", 10); err != nil || who[a] != "ada" || who[b] != "ada" {
		t.Errorf("moved by %q, %v", who, err)
	}
	if who, err := r.Movers(ctx, "other", 10); err != nil || len(who) != 0 {
		t.Errorf("a branch that is not there was moved by %q, %v", who, err)
	}
	if ok, err := r.Has(ctx, strings.Repeat("1", 40)); ok || err != nil {
		t.Errorf("has unknown commit: %v, %v", ok, err)
	}
}

func TestCommitRefuses(t *testing.T) {
	ctx, r := t.Context(), newRepo(t)
	a := commit(t, r, "", "first", map[string][]byte{"a": []byte("a"), "d/x": []byte("x")})
	b := commit(t, r, a, "second", map[string][]byte{"a": []byte("b")})
	good := Change{Author: "ada", Message: "m", Base: b, Files: map[string][]byte{"n": []byte("n")}}
	for name, c := range map[string]struct {
		edit   func(*Change)
		branch string
		kind   fault.Kind
	}{
		"old base":          {func(c *Change) { c.Base = a }, "main", fault.Conflict},
		"no base":           {func(c *Change) { c.Base = "" }, "main", fault.Conflict},
		"base is no commit": {func(c *Change) { c.Base = "HEAD" }, "main", fault.Invalid},
		"other branch":      {func(*Change) {}, "other", fault.Conflict},
		"branch is option":  {func(*Change) {}, "--all", fault.Invalid},
		"no author":         {func(c *Change) { c.Author = "" }, "main", fault.Invalid},
		"forged author":     {func(c *Change) { c.Author = "ada <x>" }, "main", fault.Invalid},
		"no message":        {func(c *Change) { c.Message = " \n" }, "main", fault.Invalid},
		"outside":           {func(c *Change) { c.Files = map[string][]byte{"../x": {}} }, "main", fault.Invalid},
		"absolute":          {func(c *Change) { c.Files = map[string][]byte{"/x": {}} }, "main", fault.Invalid},
		"git folder":        {func(c *Change) { c.Files = map[string][]byte{"x/.GIT/config": {}} }, "main", fault.Invalid},
		"file onto folder":  {func(c *Change) { c.Files = map[string][]byte{"d": {}} }, "main", fault.Invalid},
		"folder onto file":  {func(c *Change) { c.Files = map[string][]byte{"a/x": {}} }, "main", fault.Invalid},
		"too big":           {func(c *Change) { c.Files = map[string][]byte{"x": make([]byte, MaxFile+1)} }, "main", fault.TooMuch},
	} {
		t.Run(name, func(t *testing.T) {
			change := good
			c.edit(&change)
			_, err := r.Commit(ctx, c.branch, change)
			wantKind(t, err, c.kind)
			if head, _ := r.Head(ctx, "main"); head != b {
				t.Errorf("the branch moved to %s", head)
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(r.Dir(), "tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	folderForFile := Change{Author: "ada", Message: "m", Base: b, Files: map[string][]byte{"a": nil, "a/x": []byte("x")}}
	if _, err := r.Commit(ctx, "main", folderForFile); err != nil {
		t.Error(err)
	}
}

// Of many changes on the same base exactly one wins, and the others are told.
func TestCommitsAtOnce(t *testing.T) {
	r := newRepo(t)
	base := commit(t, r, "", "first", map[string][]byte{"a": []byte("a")})
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.Commit(context.Background(), "main", Change{Author: "ada", Message: "m", Base: base, Files: map[string][]byte{"a": {byte('0' + i)}}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantKind(t, err, fault.Conflict)
		}
	}
	if won != 1 {
		t.Errorf("%d changes won", won)
	}
}

func TestInitIsIdempotentAndCareful(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Init(ctx, filepath.Join(dir, "x.git")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := Init(ctx, t.TempDir()); err != nil {
		t.Errorf("init in an empty folder: %v", err)
	}
	os.MkdirAll(filepath.Join(dir, "y", "z"), 0o700)
	_, err := Init(ctx, filepath.Join(dir, "y"))
	wantKind(t, err, fault.Conflict)
	_, err = Open(filepath.Join(dir, "y"))
	wantKind(t, err, fault.NotFound)
}

func TestCheckout(t *testing.T) {
	ctx, r := t.Context(), newRepo(t)
	work := t.TempDir()
	user(t, work, "init", "-q", "-b", "main")
	os.WriteFile(filepath.Join(work, "run.sh"), []byte("#!/bin/sh\n"), 0o755)
	os.MkdirAll(filepath.Join(work, "d"), 0o755)
	os.WriteFile(filepath.Join(work, "d", "f"), []byte("f"), 0o644)
	os.Symlink("d/f", filepath.Join(work, "link"))
	user(t, work, "add", ".")
	user(t, work, "commit", "-q", "-m", "first")
	user(t, work, "push", "-q", r.Dir(), "main")

	out := filepath.Join(t.TempDir(), "out")
	if err := r.Checkout(ctx, "main", out); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(out, "run.sh")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("run.sh: %v, %v", info, err)
	}
	if b, err := os.ReadFile(filepath.Join(out, "link")); err != nil || string(b) != "f" {
		t.Errorf("link: %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(out, ".git")); err == nil {
		t.Error("there is a .git")
	}
	wantKind(t, r.Checkout(ctx, "main", out), fault.Conflict)
	wantKind(t, r.Checkout(ctx, "nope", filepath.Join(out, "n")), fault.NotFound)
	files, err := r.Files(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(files, "link"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("reading a link: %v", err)
	}
}

func TestTrunkFollowsTheFirstParent(t *testing.T) {
	ctx, r := t.Context(), newRepo(t)
	work := t.TempDir()
	one := func(message string) {
		user(t, work, "commit", "-q", "--allow-empty", "-m", message)
	}
	user(t, work, "init", "-q", "-b", "main")
	one("1")
	user(t, work, "checkout", "-q", "-b", "side")
	one("side 1")
	one("side 2")
	user(t, work, "checkout", "-q", "main")
	one("2")
	user(t, work, "merge", "-q", "--no-ff", "-m", "3 merge", "side")
	one("4")
	user(t, work, "push", "-q", r.Dir(), "main")
	titles := func(from string, limit int) (s string) {
		commits, err := r.Trunk(ctx, from, "main", limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			s += c.Title() + ","
		}
		return s
	}
	if got := titles("", 100); got != "1,2,3 merge,4," {
		t.Error(got)
	}
	if got := titles("", 2); got != "3 merge,4," {
		t.Error(got)
	}
	if got := titles(user(t, work, "rev-parse", "main~2"), 100); got != "3 merge,4," {
		t.Error(got)
	}
}

func TestFetchMirrors(t *testing.T) {
	ctx, from := t.Context(), newRepo(t)
	dir := filepath.Join(t.TempDir(), "mirror.git")
	if _, err := Fetch(ctx, from.Dir(), dir); err != nil {
		t.Fatalf("fetch an empty repository: %v", err)
	}
	a := commit(t, from, "", "first", map[string][]byte{"a": []byte("a")})
	commit(t, from, a, "second", map[string][]byte{"a": []byte("b")})
	user(t, from.Dir(), "branch", "side", a)
	m, err := Fetch(ctx, "file://"+strings.ReplaceAll(from.Dir(), " ", "%20"), dir)
	if err != nil {
		t.Fatal(err)
	}
	// History is rewritten and a branch goes away.
	user(t, from.Dir(), "update-ref", "refs/heads/main", a)
	user(t, from.Dir(), "branch", "-D", "side")
	if m, err = Fetch(ctx, from.Dir(), dir); err != nil {
		t.Fatal(err)
	}
	if head, err := m.Head(ctx, "main"); err != nil || head != a {
		t.Errorf("head %s, %v", head, err)
	}
	if b, err := m.Branches(ctx); err != nil || fmt.Sprint(b) != "[main]" {
		t.Errorf("branches %v, %v", b, err)
	}
	_, err = Fetch(ctx, "https://ada:hunter2@127.0.0.1:1/x.git", dir)
	wantKind(t, err, fault.Unavailable)
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password stands in the error: %v", err)
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://example.com/x.git", "http://u:p@h:80/x", "ssh://git@host:22/x", "git@github.com:a/b.git", "host:a/b", "file:///srv/x", "/srv/x"} {
		if err := CheckURL(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "x", "-x", "--upload-pack=touch x", "ext::sh -c id", "git://h/x", "ssh://-oProxyCommand=x/y", "ssh://-x@h/y", "-x:y", "host:-x", "file://host/x", "https:///x", "http://h/a b", "fd::1"} {
		if err := CheckURL(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		} else {
			wantKind(t, err, fault.Invalid)
		}
	}
}

func FuzzCheckRef(f *testing.F) {
	for _, s := range []string{"main", "feature/x", "-x", "a..b", "a.lock", "a b", "@{", "a\x00", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkRef(s) != nil {
			return
		}
		if out, err := exec.Command("git", "check-ref-format", "refs/heads/"+s).CombinedOutput(); err != nil {
			t.Errorf("git refuses %q: %v %s", s, err, out)
		}
	})
}

func TestSweep(t *testing.T) {
	r := newRepo(t)
	a := commit(t, r, "", "first", map[string][]byte{"a": []byte("a")})
	lock := filepath.Join(r.Dir(), "refs", "heads", "main.lock")
	os.WriteFile(lock, nil, 0o600)
	_, err := r.Commit(t.Context(), "main", Change{Author: "ada", Message: "m", Base: a, Files: map[string][]byte{"b": {}}})
	wantKind(t, err, fault.Conflict)
	if _, err := os.Stat(lock); err != nil {
		t.Error("a fresh lock was taken away from its owner")
	}
	old := time.Now().Add(-2 * time.Minute)
	os.Chtimes(lock, old, old)
	if err := r.Sweep(time.Minute); err != nil {
		t.Fatal(err)
	}
	commit(t, r, a, "m", map[string][]byte{"b": {}})
}

// The end of the context ends git and what git started.
func TestContextEndsTheProcesses(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	t.Setenv("GIT_SSH_COMMAND", "echo $$ > "+pid+"; sleep 300; :")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := Fetch(ctx, "ssh://localhost/x", filepath.Join(dir, "m.git"))
		done <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if b, _ := os.ReadFile(pid); bytes.HasSuffix(b, []byte("\n")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ssh was not started")
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still running")
	}
	b, _ := os.ReadFile(pid)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what git started still runs")
		}
	}
}

func TestTreeWith(t *testing.T) {
	tree := NewTree(map[string][]byte{"a": []byte("1"), "d/b": []byte("2"), "../x": nil})
	next := tree.With(map[string][]byte{"a": nil, "d/c/e": []byte("3")})
	if err := fstest.TestFS(next, "d/b", "d/c/e"); err != nil {
		t.Error(err)
	}
	if err := fstest.TestFS(tree, "a", "d/b"); err != nil {
		t.Error(err)
	}
}
