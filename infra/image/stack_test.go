package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra/image/internal/rootfs"
)

// unstackable is a folder in which no stack can be made: one that is in a stack.
func unstackable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	shell(t, dir, "mkdir lower stack")
	x, done, err := rootfs.Stack([]string{filepath.Join(dir, "lower")}, filepath.Join(dir, "stack"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	})
	return x.Dir
}

// awkward are steps that are hard to see in a stack, or in a tree.
func awkward() []string {
	return []string{
		`mkdir -p a/b/c d/e etc; echo one > a/one; ln a/one a/again; echo x > a/b/c/x; echo y > a/b/y; echo z > d/e/z; ln -s one a/link; echo same > same; echo solo > solo; echo acl > acl`,
		// Folders that hide those below, with others in them, and what stood there is something else.
		`rm -r a/b; mkdir -p a/b/c; echo new > a/b/c/new; rm -r d; echo file > d; rm same; mkdir same; echo in > same/in`,
		// Touched only, opened only, renamed and back, or changed and back.
		`touch solo; mv etc/sub away 2>/dev/null || true; chmod 600 solo; chmod 644 solo; cat base > t; cat t > base; rm t; mv a/link l; mv l a/link`,
		// Gone, and there again as it was; a socket; names that go elsewhere.
		`rm -r same; mkdir same; echo in > same/in; rm d; mkdir -p d/e; echo z > d/e/z; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")' 2>/dev/null || true; mv solo moved; ln moved twice`,
		`echo more >> twice; chown 7:8 a/link -h; chmod 2755 d; setfattr -n user.k -v v acl || setcap cap_net_raw+ep acl; mkfifo fifo; mknod null c 1 3`,
		// A file with several names changes by one of them, and moves.
		`chmod 600 a/again`,
		`echo changed > a/one; mv a/again a/elsewhere`,
		`rm -r a d/e; mkdir a; rmdir d; touch -d @1500000000 etc; rm null`,
		`mkdir -p a/b; echo once > a/b/more`,
	}
}

// TestWays: a stack gives the same bytes as one tree, in one go or step by step, from
// trees that were kept or were unpacked again.
func TestWays(t *testing.T) {
	k := newKitchen(t)
	k.scripts = awkward()
	slow := 0
	change := func(rootfs string) func(*Options) {
		return func(o *Options) { o.RootFS, o.Slow = rootfs, func(error) { slow++ } }
	}
	roots := t.TempDir()
	for i, way := range []string{"stack", "tree", "stack, step by step", "stack, step by step, unpacked", "tree, step by step"} {
		cache := t.TempDir()
		if strings.HasPrefix(way, "tree") {
			cache = unstackable(t)
		}
		k.cache, slow = filepath.Join(cache, "cache"), 0
		if strings.Contains(way, "by step") {
			for _, n := range []int{1, 2, 5, 7} {
				k.scripts = awkward()[:n]
				k.mustBake(nil)
				if strings.Contains(way, "unpacked") {
					shell(t, k.cache, "rm -r trees")
				}
			}
			k.scripts = awkward()
		}
		root := filepath.Join(roots, fmt.Sprint(i, ".tar"))
		img := k.mustBake(change(root))
		shell(t, roots, fmt.Sprintf("echo %s > digest%d; cmp digest0 digest%[2]d || { tar -tvf 0.tar; tar -tvf %[2]d.tar; exit 1; }; cmp 0.tar %[2]d.tar", img.Digest, i))
		if (slow > 0) != strings.HasPrefix(way, "tree") && way != "stack" { // where a file with several names changes
			t.Errorf("%s: was told of a slow way %d times", way, slow)
		}
		if left, err := os.ReadDir(filepath.Join(k.cache, "work")); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
	want := "a a/b a/b/more acl base etc fifo moved same same/in twice"
	if got := strings.ReplaceAll(strings.TrimSpace(shell(t, roots, "tar -tf 0.tar | sed 's,/$,,' | sort")), "\n", " "); got != want {
		t.Errorf("the root file system has %s, want %s", got, want)
	}
}

// TestFull: a full disk is told as such, and forgotten when it is not full any more.
func TestFull(t *testing.T) {
	k := newKitchen(t)
	dir := t.TempDir()
	k.cache = dir
	if err := unix.Mount("tmpfs", k.cache, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	k.scripts = []string{"echo one > one", "seq 1500000 > large"}
	shell(t, k.cache, "fallocate -l 60M film")
	for range 2 {
		_, err := k.bake(nil)
		if fault.Of(err) != fault.TooMuch || !strings.Contains(err.Error(), "the file system of the cache, "+k.cache+", has only") || !strings.Contains(err.Error(), "give --cache with another folder") {
			t.Errorf("got %v", err)
		}
	}
	shell(t, k.cache, "rm film")
	img := k.mustBake(nil)
	if len(k.ran) != 2 || img.Parts[1].Cached != true {
		t.Errorf("ran %q", k.ran)
	}
	k.cache = filepath.Join(t.TempDir(), "cache")
	if other := k.mustBake(nil); other.Digest != img.Digest {
		t.Errorf("%s where the disk was full, %s elsewhere", img.Digest, other.Digest)
	}
}

// TestTogether: bakes at once in one cache do not disturb each other.
func TestTogether(t *testing.T) {
	first := newKitchen(t)
	want := map[string]string{}
	var mu sync.Mutex
	for round := range 2 {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				k := *first
				k.ran, k.scripts = nil, append(awkward()[:3:3], fmt.Sprint("echo ", i%2, " > last"))
				o := k.options()
				o.Fresh, o.Room = i >= 2, 1
				img, err := Bake(t.Context(), o)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				} else if d := &k.scripts[3]; want[*d] == "" {
					want[*d] = img.Digest
				} else if want[*d] != img.Digest {
					t.Errorf("round %d: %s gives %s and %s", round, *d, want[*d], img.Digest)
				}
			})
		}
		all.Wait()
	}
}
