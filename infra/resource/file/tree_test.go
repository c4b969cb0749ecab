package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/resource/file/internal/filetest"
)

func TestDirectory(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "a/b/c")
	old := syscall.Umask(0o077) // that of a careful root
	defer syscall.Umask(old)
	d := resource(t, "directory", dir, "{path: DIR/a/b/c/, mode: '2750'}")
	filetest.WantDiff(t, filetest.Settle(t, h, d), "create mode")
	for p, want := range map[string]os.FileMode{path: os.ModeSetgid | 0o750, filepath.Dir(path): 0o755} {
		if st, err := os.Lstat(p); err != nil || st.Mode() != os.ModeDir|want {
			t.Errorf("%s: %v %v, want %v", p, st.Mode(), err, want)
		}
	}
	os.Chmod(path, 0o700)
	filetest.WantDiff(t, filetest.Settle(t, h, d), "update mode")
	filetest.WantDiff(t, filetest.Settle(t, h, d), "")
	filetest.WantOnly(t, filepath.Dir(path), "c")

	absent, forced := resource(t, "directory", dir, "{path: DIR/a, state: absent}"), resource(t, "directory", dir, "{path: DIR/a, state: absent, force: true}")
	filetest.WantError(t, h, absent, "something is in it (force: true removes it with everything in it)")
	// What is no longer declared stays while something is in it.
	owned := resource(t, "directory", dir, "{path: DIR/a/b/c}").(infra.Removable).Absent()
	filetest.Write(t, path+"/data", "precious")
	filetest.WantDiff(t, filetest.Settle(t, h, owned), "")
	filetest.WantFile(t, path+"/data", "precious", 0o600)
	os.Remove(path + "/data")
	filetest.WantDiff(t, filetest.Settle(t, h, owned), "delete state")

	outside := filepath.Join(dir, "outside")
	filetest.Write(t, outside, "x")
	os.Symlink(outside, filepath.Join(dir, "a/link"))
	os.Symlink(dir, filepath.Join(dir, "a/up"))
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "delete state")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "")
	filetest.WantOnly(t, dir, "outside")
}

func TestDirectoryAmongOthers(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "d")
	d, forced := resource(t, "directory", dir, "path: DIR/d"), resource(t, "directory", dir, "{path: DIR/d, force: true}")
	filetest.Write(t, path, "x")
	filetest.WantError(t, h, d, "d is a file, not a directory (remove it, or write force: true)")
	filetest.WantError(t, h, resource(t, "directory", dir, "path: DIR/d/e"), "something else than a folder above it")
	filetest.WantError(t, h, resource(t, "directory", dir, "{path: DIR/d, state: absent}"), "is a file, not a directory")
	filetest.WantDiff(t, filetest.Settle(t, h, d.(infra.Removable).Absent()), "")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "replace type")

	// A link is not taken for the folder to which it leads, nor followed.
	os.Remove(path)
	os.Mkdir(filepath.Join(dir, "real"), 0o755)
	os.Symlink("real", path)
	filetest.WantError(t, h, d, "d is a symlink, not a directory")
	filetest.Settle(t, h, resource(t, "directory", dir, "path: DIR/d/in")) // that of root on the way is
	filetest.WantOnly(t, filepath.Join(dir, "real"), "in")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "replace type")
	os.Remove(path)
	os.Symlink("nowhere", path)
	filetest.WantError(t, h, resource(t, "directory", dir, "path: DIR/d/in"), "d is a symlink that leads nowhere")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "replace type")
}

func TestDirectoryRecurses(t *testing.T) {
	infratest.Inside(t, func() { recurse(t) })
}

func recurse(t *testing.T) {
	h := infra.NewHost(t.Context())
	os.MkdirAll("/srv/d/sub/deep", 0o700)
	for _, f := range []string{"/srv/d/a", "/srv/d/sub/b", "/srv/d/sub/deep/c", "/srv/other"} {
		filetest.Write(t, f, "x")
		os.Chmod(f, 0o755)
	}
	os.Symlink("/srv/other", "/srv/d/link")
	d := resource(t, "directory", "", "{path: /srv/d, owner: daemon, group: daemon, mode: '0750', file_mode: '0640', recurse: true}")
	diff := filetest.Settle(t, h, d)
	filetest.WantDiff(t, diff, "update owner, group, mode, recurse owner, recurse group, recurse mode")
	for _, f := range diff.Fields {
		if f.Name == "recurse owner" && (!strings.HasPrefix(f.Old, "/srv/d/") || !strings.HasSuffix(f.Old, " root and 5 more") || f.New != "daemon") {
			t.Errorf("%+v", f)
		}
	}
	for p, want := range map[string]os.FileMode{"/srv/d/a": 0o640, "/srv/d/sub/deep/c": 0o640, "/srv/d/sub/deep": os.ModeDir | 0o750, "/srv/other": 0o755} {
		st, err := os.Lstat(p)
		if err != nil || st.Mode() != want {
			t.Errorf("%s: %v %v", p, st.Mode(), err)
		}
		if uid := st.Sys().(*syscall.Stat_t).Uid; (uid == 1) != (p != "/srv/other") {
			t.Errorf("%s belongs to %d", p, uid)
		}
	}
	os.Lchown("/srv/d/link", 0, 0)
	diff = filetest.Settle(t, h, d)
	filetest.WantDiff(t, diff, "update recurse owner, recurse group")
	if want := (infra.Field{Name: "recurse owner", Old: "/srv/d/link root", New: "daemon"}); diff.Fields[0] != want {
		t.Errorf("%+v", diff.Fields[0])
	}
}

func TestSymlink(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "l")
	to := func(want string) {
		t.Helper()
		if got, err := os.Readlink(path); err != nil || got != want {
			t.Errorf("leads to %q %v, want %q", got, err, want)
		}
	}
	filetest.WantDiff(t, filetest.Settle(t, h, resource(t, "symlink", dir, "{path: DIR/l, target: nowhere}")), "create target")
	to("nowhere")
	l := resource(t, "symlink", dir, "{path: DIR/l, target: ../x/}")
	d := filetest.Settle(t, h, l)
	if want := (infra.Field{Name: "target", Old: "nowhere", New: "../x/"}); d.Action != infra.Update || d.Fields[0] != want {
		t.Errorf("%+v", d)
	}
	to("../x/")
	filetest.WantDiff(t, filetest.Settle(t, h, l), "")
	filetest.WantOnly(t, dir, "l")
	filetest.WantDiff(t, filetest.Settle(t, h, l.(infra.Removable).Absent()), "delete state")
	filetest.WantDiff(t, filetest.Settle(t, h, l.(infra.Removable).Absent()), "")

	forced := resource(t, "symlink", dir, "{path: DIR/l, target: x, force: true}")
	filetest.Write(t, path, "x")
	filetest.WantError(t, h, l, "l is a file, not a symlink")
	filetest.WantError(t, h, l.(infra.Removable).Absent(), "l is a file, not a symlink")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "replace type, target")
	os.Remove(path)
	os.MkdirAll(path+"/full", 0o755)
	filetest.WantError(t, h, forced, "with something in it")
	os.Remove(path + "/full")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "replace type, target")
	to("x")
	filetest.WantOnly(t, dir, "l")
	filetest.WantError(t, h, resource(t, "symlink", dir, "{path: DIR/no/l, target: x}"), "there is no folder "+dir+"/no")

	needs := resource(t, "symlink", "", "{path: /etc/a/l, target: ../b/c}").(infra.Related).Needs()
	if strings.Join(needs, " ") != "path:/etc/a/l path:/etc/b/c" {
		t.Error(needs)
	}
}
