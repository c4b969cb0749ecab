package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/fault"
)

// needRoot skips a test that makes devices and gives files away.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("STEER_REQUIRE_ALL") != "" {
		t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
	}
	t.Skip("this is not root")
}

func newTestTree(t *testing.T) *Tree {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &Tree{Dir: dir, Clamp: 1_700_000_000}
}

func (t *Tree) mustScan(tb testing.TB) []Change {
	tb.Helper()
	c, err := t.Scan(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func shell(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func words(all []Change) string { return strings.Trim(fmt.Sprint(all), "[]") }

// TestScan: every difference that an image can show is found, and nothing else.
func TestScan(t *testing.T) {
	needRoot(t)
	x := newTestTree(t)
	shell(t, x.Dir, `mkdir -p a/b c/d; echo one > a/one; echo two > a/b/two; ln -s one a/link; echo d > c/d/x; echo e > c/d/y; printf '\177ELF' > prog; touch same; mknod fifo p`)
	if got := words(x.mustScan(t)); got != "a a/b a/b/two a/link a/one c c/d c/d/x c/d/y fifo prog same" {
		t.Errorf("first: %s", got)
	}
	if got := words(x.mustScan(t)); got != "" {
		t.Errorf("nothing happened, found %s", got)
	}
	for script, want := range map[string]string{
		"touch same; cat a/one > t && cat t > a/one; rm t": "", // times are later than the clamp
		"chmod 700 a/one":  "a/one", //
		"echo two > a/one": "a/one", //
		"printf 'TWO\\n' > a/one; touch -d @1000 a/one":         "a/one",  // as large as before
		"chown 5:6 a/link -h":                                   "a/link", //
		"ln -sfn two a/link":                                    "a/link", //
		"touch -d @1500000000 same":                             "same",   //
		"rm -r c":                                               "-c",     // and not what was in it
		"rm fifo; mkdir fifo; echo x > fifo/in":                 "fifo fifo/in",
		"rm -r a/b; ln -s /etc a/b":                             "a/b",
		"mknod dev c 1 3":                                       "dev",
		"setcap cap_net_raw+ep prog || setfattr -n user.a prog": "prog",
	} {
		y := newTestTree(t)
		shell(t, x.Dir, "cp -a . "+y.Dir)
		y.mustScan(t)
		shell(t, y.Dir, script)
		if got := words(y.mustScan(t)); got != want {
			t.Errorf("%s: found %q, want %q", script, got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(x.Dir, ".wh.x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Scan(t.Context()); fault.Of(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

// TestLayers: a tree that is put together from its layers is the tree.
func TestLayers(t *testing.T) {
	needRoot(t)
	x, y := newTestTree(t), newTestTree(t)
	layers := t.TempDir()
	for i, script := range []string{
		`mkdir -p a/b etc; echo one > a/one; ln a/one a/again; ln -s /nowhere a/link; mknod null c 1 3; mknod fifo p; chown 3:4 a/one; chmod 4755 a/one; echo x > a/b/x; chmod 1777 etc`,
		`rm a/b/x; echo y > a/b/y; ln -s a way; chmod 750 a; chown 7 a`,
		`rm -r a/b; echo file > a/b; rm way; mkdir way; echo in > way/in; ` + strings.Repeat("mkdir -p "+strings.Repeat("long/", 40)+"; ", 1) + `setcap cap_net_raw+ep a/b || setfattr -n user.a -v b a/b`,
		`rm -r way long; rm null`,
	} {
		shell(t, x.Dir, script)
		file := filepath.Join(layers, fmt.Sprint(i))
		l, err := x.WriteLayer(file, x.mustScan(t))
		if err != nil {
			t.Fatal(err)
		}
		if sum, _, _ := strings.Cut(shell(t, layers, "sha256sum "+file), " "); "sha256:"+sum != l.Digest {
			t.Errorf("the digest is %s, said was %s", sum, l.Digest)
		}
		if err := y.Unpack(file); err != nil {
			t.Fatal(err)
		}
		y.nodes = x.nodes
		for p, n := range y.nodes { // its files are in other places
			n.place = inode{}
			y.nodes[p] = n
		}
		if got := words(y.mustScan(t)); got != "" {
			t.Errorf("after %d layers differ: %s", i+1, got)
		}
	}
	a, err1 := os.Stat(filepath.Join(y.Dir, "a/one"))
	b, err2 := os.Stat(filepath.Join(y.Dir, "a/again"))
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(a, b) {
		t.Error("two names of one file are two files now", err)
	}
}

// TestUnpackStaysInside: links in a tree and names in a tar lead nowhere else.
func TestUnpackStaysInside(t *testing.T) {
	needRoot(t)
	outside := t.TempDir()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "abs", Typeflag: tar.TypeSymlink, Linkname: outside},
		{Name: "up", Typeflag: tar.TypeSymlink, Linkname: "../../../../../../.." + outside},
		{Name: "abs/one", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "up/two", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "../../three", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "/four", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "abs/.wh..wh..opq", Typeflag: tar.TypeReg},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x := newTestTree(t)
	if err := os.MkdirAll(filepath.Join(x.Dir, outside), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := x.unpack(&b); err != nil {
		t.Fatal(err)
	}
	if left := shell(t, outside, "ls"); left != "mine\n" {
		t.Errorf("outside there is now %q", left)
	}
	for _, name := range []string{"three", "four"} {
		if _, err := os.Stat(filepath.Join(x.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	needRoot(t)
	x := newTestTree(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "d/.wh...", Typeflag: tar.TypeReg}), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := x.unpack(&b); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "cannot be taken away") {
		t.Errorf("got %v", err)
	}
	if err := x.unpack(strings.NewReader("no tar at all, but longer than a block" + strings.Repeat("x", 1000))); err == nil {
		t.Error("took what is no tar")
	}
}
