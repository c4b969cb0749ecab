package watch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"steer/infra"
	"steer/infra/watch"
)

// TestDeep: what changes at any depth of a folder with recurse is seen, also in folders
// that are made, renamed or moved in meanwhile.
func TestDeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	deep := filepath.Join(dir, "a/b/c/d")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(deep, "file"), "x")
	ref := "directory:" + dir
	w := begin(t, declare(t, [2]string{"directory", "path: " + dir + "\nmode: \"0755\"\nrecurse: true\nfile_mode: \"0644\"\n"}))
	mode := func(name string, m os.FileMode) {
		t.Helper()
		if err := os.Chmod(name, m); err != nil {
			t.Fatal(err)
		}
	}
	back := func(name string, m os.FileMode) {
		t.Helper()
		mode(name, m)
		w.next(ref, infra.None)
	}
	mode(filepath.Join(deep, "file"), 0o600)
	if d := w.next(ref, infra.Update); len(d.Fields) != 1 || !strings.Contains(d.Fields[0].Old, "a/b/c/d/file 0600") {
		t.Errorf("%+v", d)
	}
	back(filepath.Join(deep, "file"), 0o644)
	// A folder that is made is watched, with those that were made in it at once.
	if err := os.MkdirAll(filepath.Join(dir, "new/x/y"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "new/x/y/file"), "x")
	mode(filepath.Join(dir, "new/x/y/file"), 0o666)
	w.next(ref, infra.Update)
	back(filepath.Join(dir, "new/x/y/file"), 0o644)
	// One that is renamed is watched under its new name, one that left is not.
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "z")); err != nil {
		t.Fatal(err)
	}
	mode(filepath.Join(dir, "z/b/c"), 0o700)
	if d := w.next(ref, infra.Update); !strings.Contains(d.Fields[0].Old, "z/b/c 0700") {
		t.Errorf("%+v", d)
	}
	back(filepath.Join(dir, "z/b/c"), 0o755)
	// The whole tree goes and comes again.
	away := dir + "-away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	w.next(ref, infra.Create)
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	w.next(ref, infra.None)
	mode(filepath.Join(dir, "z/b/c/d/file"), 0o600)
	w.next(ref, infra.Update)
}

const few = "STEER_TEST_FEW_WATCHES"

// TestTooManyFolders: where the kernel watches no more, that is said, and what is
// watched is still seen. The bound is that of a user namespace of the test.
func TestTooManyFolders(t *testing.T) {
	if os.Getenv(few) == "" {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^TestTooManyFolders$")
		cmd.Env = append(os.Environ(), few+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}}
		out, err := cmd.CombinedOutput()
		if err != nil && len(out) == 0 {
			t.Skipf("no user namespaces here: %v", err)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := os.WriteFile("/proc/sys/user/max_inotify_watches", []byte("40"), 0); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range 100 {
		if err := os.MkdirAll(filepath.Join(dir, "tree", strconv.Itoa(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a := filepath.Join(dir, "a")
	write(t, a, "a\n")
	var mu sync.Mutex
	var notes []string
	w := &watching{t: t}
	w.w = watch.New(watch.Options{Busy: w.busy.Load, Note: func(text string) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, text)
	}, Drift: func(d infra.Drift) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, d)
	}})
	w.run(declare(t, [2]string{"directory", "path: " + dir + "/tree\nmode: \"0755\"\nrecurse: true\n"}, [2]string{"file", "path: " + a + "\ncontent: \"a\\n\"\n"}))
	defer w.stop()
	write(t, a, "b\n")
	w.next("file:"+a, infra.Update)
	os.Chmod(filepath.Join(dir, "tree"), 0o700)
	w.next("directory:"+dir+"/tree", infra.Update)
	mu.Lock()
	defer mu.Unlock()
	want := "changes deep in " + dir + "/tree are seen by visits only: the kernel watches no more folders for this user (raise fs.inotify.max_user_watches)"
	if len(notes) != 1 || notes[0] != want {
		t.Errorf("%q", notes)
	}
}
