package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"steer/base/fault"
)

// folder is a Target on disk.
type folder struct {
	dir    string
	before func(name string) // called for each file; may be nil
}

func (f folder) Dir(name string) error { return os.MkdirAll(filepath.Join(f.dir, name), 0o700) }

func (f folder) Bytes(name string, data []byte) error {
	path := filepath.Join(f.dir, name)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s comes twice", name)
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600))
}

func (f folder) Copy(name, path string) error {
	if f.before != nil {
		f.before(name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return f.Bytes(name, data)
}

// sound checks a copy as Git does.
func sound(t *testing.T, r *Repo) {
	t.Helper()
	if out, err := tryUser(t, r.Dir(), "fsck", "--full", "--strict", "--no-dangling"); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}

// Copies of a repository that is pushed to and repacked all the time are whole:
// they have every branch as it was at the call or later.
func TestCopyOfABusyRepository(t *testing.T) {
	ctx, r := t.Context(), newRepo(t)
	head := commit(t, r, "", "first", map[string][]byte{"a": []byte("a")})
	user(t, r.Dir(), "branch", "side", head)
	user(t, r.Dir(), "-c", "tag.gpgSign=false", "tag", "-a", "-m", "a tag", "v1", head)
	if err := r.Mark(ctx, "good", head); err != nil {
		t.Fatal(err)
	}
	user(t, r.Dir(), "pack-refs", "--all")
	var mu sync.Mutex
	var wg sync.WaitGroup
	ended := make(chan struct{})
	repacked := make(chan struct{}, 1)
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			default:
			}
			mu.Lock()
			base := head
			mu.Unlock()
			sha, err := r.Commit(context.WithoutCancel(ctx), "main", Change{Author: "ada", Message: fmt.Sprint("change ", n), Files: map[string][]byte{fmt.Sprint("f", n%50): []byte(fmt.Sprint(n))}, Base: base})
			if err != nil && strings.Contains(err.Error(), "No such file or directory") {
				continue // gc took away the empty folder in which git was making a file
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			head = sha
			mu.Unlock()
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			cmd := exec.Command("git", "-C", r.Dir(), "-c", "gc.autoDetach=false", "gc", "--quiet")
			cmd.Env = environ()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("gc: %v %s", err, out)
			}
			select {
			case repacked <- struct{}{}:
			default:
			}
		}
	})
	defer wg.Wait()
	defer close(ended)
	for range 6 {
		mu.Lock()
		sure := head
		mu.Unlock()
		marked, err := r.Marks(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Mark(ctx, "good", sure); err != nil { // too late for the copy
			t.Fatal(err)
		}
		objects := 0
		to := folder{dir: t.TempDir(), before: func(name string) {
			if !strings.Contains(name, "/objects/") {
				return
			}
			if objects++; objects == 1 || objects == 4 {
				<-repacked // what was listed is somewhere else
				<-repacked
			}
		}}
		if err := r.Copy(ctx, to, "git/x.git", marked); err != nil {
			t.Fatal(err)
		}
		copied, err := Open(filepath.Join(to.dir, "git/x.git"))
		if err != nil {
			t.Fatal(err)
		}
		sound(t, copied)
		got, err := copied.Head(ctx, "main")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := tryUser(t, copied.Dir(), "merge-base", "--is-ancestor", sure, got); err != nil {
			t.Errorf("%s, which was there before, is not in the copy's main %s: %v %s", sure, got, err, out)
		}
		movers, err := copied.Movers(ctx, "main", 1000)
		if err != nil || movers[got] != "ada" {
			t.Errorf("who moved main to %s is %q, %v", got, movers[got], err)
		}
		again, err := copied.Marks(ctx)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(marked) || len(marked) != 1 {
			t.Errorf("marks %v, want those read before: %v, %v", again, marked, err)
		}
		if out := user(t, copied.Dir(), "for-each-ref", "--format=%(refname)"); out != "refs/heads/main\nrefs/heads/side\nrefs/steer/good\nrefs/tags/v1" {
			t.Errorf("refs are %s", out)
		}
		if text := user(t, copied.Dir(), "config", "receive.denyNonFastForwards"); text != "true" {
			t.Errorf("the configuration is missing")
		}
		// The copy lives.
		commit(t, copied, got, "after the copy", map[string][]byte{"new": []byte("new")})
		sound(t, copied)
	}
}

func TestCopyOfAnEmptyRepository(t *testing.T) {
	r := newRepo(t)
	if err := r.SetHook([]string{"/usr/local/bin/steer", "hook"}); err != nil {
		t.Fatal(err)
	}
	if err := r.SetMainline(t.Context(), "trunk"); err != nil {
		t.Fatal(err)
	}
	to := folder{dir: t.TempDir()}
	if err := r.Copy(t.Context(), to, "x.git", nil); err != nil {
		t.Fatal(err)
	}
	copied, err := Open(filepath.Join(to.dir, "x.git"))
	if err != nil {
		t.Fatal(err)
	}
	sound(t, copied)
	if _, err := os.Stat(filepath.Join(copied.Dir(), "hooks")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("hooks are copied: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(copied.Dir(), "HEAD")); err != nil || string(b) != "ref: refs/heads/trunk\n" {
		t.Errorf("%s %v", b, err)
	}
}

func TestCopyRefuses(t *testing.T) {
	r := newRepo(t)
	commit(t, r, "", "first", map[string][]byte{"a": []byte("a")})
	full := errors.New("full")
	err := r.Copy(t.Context(), refusing{full}, "x.git", nil)
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Copy(ctx, folder{dir: t.TempDir()}, "x.git", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(r.Dir(), "objects/info/alternates"), []byte("/somewhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.Copy(t.Context(), folder{dir: t.TempDir()}, "x.git", nil), fault.Conflict)
}

// refusing takes no object.
type refusing struct{ err error }

func (refusing) Dir(string) error           { return nil }
func (refusing) Bytes(string, []byte) error { return nil }
func (r refusing) Copy(name, _ string) error {
	if strings.Contains(name, "/objects/") {
		return r.err
	}
	return nil
}
