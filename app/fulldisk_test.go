package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"steer/base/config"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

const (
	memoryDisk = "/small/memory" // where the host remembers
	worldDisk  = "/small/world"  // what roles write to
)

// TestFullDisk: whatever room is left where a host remembers, or where its files are, a
// run either does its work or says what is full and how full; no file is half written,
// nothing is forgotten that was made, and with room again the next run does the rest.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	infratest.Inside(t, func() {
		want := ""
		for _, d := range []string{memoryDisk, worldDisk} {
			t.Run(filepath.Base(d), func(t *testing.T) {
				for _, kind := range []string{"bytes", "names"} {
					t.Run(kind, func(t *testing.T) {
						failed := 0
						for left := 0; ; left++ {
							f := fullDisk{t: t, disk: d, kind: kind, left: left}
							ok := f.run(&want)
							if t.Failed() {
								t.Fatalf("with room for %d", left)
							}
							if ok {
								break
							}
							failed++
						}
						if failed < 3 {
							t.Errorf("it failed for want of room only %d times", failed)
						}
						t.Logf("%d ways to fail", failed)
					})
				}
			})
		}
	})
}

type fullDisk struct {
	t    *testing.T
	disk string
	kind string
	left int // pages or names
}

const (
	oldLong = 24 << 10
	newLong = 12 << 10
)

func (f fullDisk) resources() []infra.Declared {
	var all []infra.Declared
	for _, text := range []string{
		"directory {path: " + worldDisk + "/d, mode: '0750'}",
		"file {path: " + worldDisk + "/d/new, content: '" + strings.Repeat("n", newLong) + "'}",
		"file {path: " + worldDisk + "/old, content: '" + strings.Repeat("o", oldLong) + "'}",
		"line {path: " + worldDisk + "/lines, match: ^port, text: port 2}",
		"block {path: " + worldDisk + "/lines, name: b, content: in a block}",
		"symlink {path: " + worldDisk + "/link, target: d/new}",
		"command {name: told, run: echo told >>/tmp/told, on_notify: true}",
	} {
		kind, body, _ := strings.Cut(text, " ")
		k, ok := resourceKinds().Find(kind)
		if !ok {
			f.t.Fatalf("no kind %s", kind)
		}
		one := k.New()
		if err := config.Decode("test.yaml", []byte(body), one); err != nil {
			f.t.Fatal(err)
		}
		all = append(all, infra.Declared{Kind: kind, ID: one.ID(), Resource: one, Role: "r", Class: k.Class})
	}
	all[2].Notify = []string{all[6].Ref()}
	return all
}

func (f fullDisk) converge(all []infra.Declared) (converge.Report, []converge.Event, error) {
	var events []converge.Event
	keep, err := infra.Encode(all)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := converge.Run(context.Background(), infra.Manifest{Resources: all}, converge.Options{
		Host: infra.NewHost(context.Background()), Kinds: resourceKinds(), Dir: memoryDisk + "/host", Parallel: 1, Keep: keep,
		Event: func(e converge.Event) { events = append(events, e) },
	})
	return r, events, err
}

// run tells whether all went well with the room that is left.
func (f fullDisk) run(hash *string) bool {
	f.t.Helper()
	infratest.Shell(f.t, `umount /small/memory /small/world 2>/dev/null || true; rm -f /tmp/told; mkdir -p /small/memory /small/world
mount -t tmpfs -o size=256k,nr_inodes=48 memory /small/memory && mount -t tmpfs -o size=256k,nr_inodes=48 world /small/world
head -c 20000 /dev/zero | tr '\0' w >/small/world/old; { seq 3000; echo port 1; } >/small/world/lines`)
	was := f.world()
	f.fill()
	r, events, err := f.converge(f.resources())
	all := fmt.Sprint(err)
	for _, e := range events {
		all += "\n" + e.Why
	}
	ok := err == nil && !r.Failed()
	if !ok && (!strings.Contains(all, "no space left") || !strings.Contains(all, " are free: make room")) {
		f.t.Errorf("it does not say what is full: %s", all)
	}
	is := f.world()
	now := 0
	for _, e := range events {
		if e.Status == converge.Changed {
			now++
		}
	}
	if now == 0 && is != was && err == nil {
		f.t.Errorf("it changed what it did not tell:\n%s\n%s", was, is)
	}
	for path, longest := range map[string][]int{"/old": {20000, oldLong}, "/d/new": {newLong}} {
		if s, err := os.Stat(worldDisk + path); err == nil && !slices.Contains(longest, int(s.Size())) {
			f.t.Errorf("%s is half written: %d bytes", path, s.Size())
		}
	}
	if b, _ := os.ReadFile(worldDisk + "/lines"); strings.Count(string(b), "\n") < 3001 || !strings.Contains(string(b), "\nport ") {
		f.t.Errorf("lines are missing: %d", strings.Count(string(b), "\n"))
	}
	for _, left := range hidden(worldDisk, "*.new*", "d/.*", ".*") {
		f.t.Errorf("%s is left", left)
	}
	infratest.Shell(f.t, "rm -rf "+f.disk+"/filler")

	r, events, err = f.converge(f.resources())
	if err != nil || r.Failed() {
		f.t.Errorf("with room again: %+v %v %+v", r, err, events)
		return ok
	}
	if *hash == "" {
		*hash = r.Hash
	}
	if r.Hash != *hash {
		f.t.Errorf("the host has the state %s, not %s: %s", r.Hash, *hash, f.world())
	}
	if told, _ := os.ReadFile("/tmp/told"); len(told) == 0 {
		f.t.Error("the command was not told")
	}
	if r, _, err = f.converge(f.resources()); err != nil || r.Changes() > 0 || r.Failed() {
		f.t.Errorf("again: %+v %v", r, err)
	}
	// Nothing was forgotten that was made.
	if r, events, err = f.converge(nil); err != nil || r.Failed() {
		f.t.Errorf("nothing declared: %+v %v %+v", r, err, events)
	}
	if got := infratest.Shell(f.t, "cd /small/world && find . -mindepth 1 | sort | xargs"); got != "./lines ./old" {
		f.t.Errorf("left: %s", got)
	}
	if b, _ := os.ReadFile(worldDisk + "/lines"); strings.Contains(string(b), "in a block") {
		f.t.Error("the block is left")
	}
	return ok
}

// hidden lists what nobody declared.
func hidden(dir string, patterns ...string) (all []string) {
	for _, p := range patterns {
		found, _ := filepath.Glob(filepath.Join(dir, p))
		for _, n := range found {
			if b := filepath.Base(n); b != "." && b != ".." {
				all = append(all, n)
			}
		}
	}
	return all
}

// world is what there is, but for the filler.
func (f fullDisk) world() string {
	return infratest.Shell(f.t, "cd /small/world && find . -mindepth 1 -not -path './filler*' -printf '%p %y %s %m %l\n' | sort; sha1sum /small/world/old /small/world/lines")
}

// fill leaves room for so many pages or names on the disk.
func (f fullDisk) fill() {
	f.t.Helper()
	var s syscall.Statfs_t
	dir := f.disk + "/filler"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Statfs(f.disk, &s); err != nil {
		f.t.Fatal(err)
	}
	if f.kind == "names" {
		for i := range int(s.Ffree) - f.left {
			if err := os.WriteFile(fmt.Sprint(dir, "/", i), nil, 0o600); err != nil {
				f.t.Fatal(err)
			}
		}
		return
	}
	if err := os.WriteFile(dir+"/bytes", make([]byte, (int64(s.Bfree)-int64(f.left))*s.Bsize), 0o600); err != nil {
		f.t.Fatal(err)
	}
}
