package converge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

// disk is a small file system with what a host remembers.
type disk struct {
	t  *testing.T
	at string
}

func newDisk(t *testing.T, w *world, size string) disk {
	t.Helper()
	d := disk{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", 0, size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(d.at, syscall.MNT_DETACH) })
	w.state = filepath.Join(d.at, "state")
	return d
}

func (d disk) filler() string { return filepath.Join(d.at, "filler") }

// fill takes all bytes.
func (d disk) fill() {
	f, err := os.Create(d.filler())
	for b := make([]byte, 4096); err == nil; {
		_, err = f.Write(b)
	}
	f.Close()
	if !infra.DiskTrouble(err) {
		d.t.Fatal(err)
	}
}

// crowd takes all inodes.
func (d disk) crowd() {
	err := os.Mkdir(d.filler(), 0o700)
	for n := 0; err == nil; n++ {
		err = os.WriteFile(filepath.Join(d.filler(), fmt.Sprint(n)), nil, 0o600)
	}
	if !infra.DiskTrouble(err) {
		d.t.Fatal(err)
	}
}

func (d disk) free() {
	if err := os.RemoveAll(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

func (d disk) remount(flags uintptr) {
	if err := syscall.Mount("", d.at, "", syscall.MS_REMOUNT|flags, ""); err != nil {
		d.t.Fatal(err)
	}
}

// left are files that a write that was cut off left there.
func (d disk) left() (all []string) {
	filepath.WalkDir(d.at, func(path string, _ os.DirEntry, _ error) error { //nolint:errcheck // it returns none
		if strings.HasSuffix(path, ".new") {
			all = append(all, path)
		}
		return nil
	})
	return all
}

// TestDiskTakesNothing: where a host cannot remember, nothing is changed, it says which
// file system that is about and what to do, and nothing of its memory is lost; with room
// again the next run does the rest, and all of it can be undone.
func TestDiskTakesNothing(t *testing.T) {
	infratest.Inside(t, func() {
		for _, c := range []struct {
			name, size, want string
			take, give       func(disk)
		}{
			{"bytes", "size=256k", "where 0 of 256 KiB are free", disk.fill, disk.free},
			{"inodes", "size=256k,nr_inodes=64", "where 0 of 64 inodes are free: make room", disk.crowd, disk.free},
			{"read-only", "size=256k", "is mounted read-only", func(d disk) { d.remount(syscall.MS_RDONLY) }, func(d disk) { d.remount(0) }},
		} {
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t)
				d := newDisk(t, w, c.size)
				a, b := w.note("a", "x"), w.note("b", "y")
				w.run(converge.Options{Keep: []byte("[1]")}, a)
				before, err := os.ReadFile(filepath.Join(w.state, "state.json"))
				if err != nil {
					t.Fatal(err)
				}
				c.take(d)
				got, r, err := w.try(t.Context(), converge.Options{Parallel: 1}, a, b)
				if err == nil || !strings.Contains(err.Error(), c.want) || !infra.DiskTrouble(err) {
					t.Errorf("%s %v", got, err)
				}
				if c.name != "read-only" && (!strings.HasPrefix(got, "note:a ok; note:b failed create (") || r.Counts[converge.Failed] != 1 || r.Generation != 1) {
					t.Errorf("%s %+v", got, r)
				}
				if _, _, err := w.back(0, converge.Options{}); !infra.DiskTrouble(err) {
					t.Errorf("back: %v", err)
				}
				if w.file("a") != "x" || w.file("b") != "(none)" {
					t.Errorf("a is %s, b is %s", w.file("a"), w.file("b"))
				}
				if after, err := os.ReadFile(filepath.Join(w.state, "state.json")); err != nil || string(after) != string(before) || len(d.left()) > 0 {
					t.Errorf("%s %v, left %q", after, err, d.left())
				}
				if kept, err := os.ReadFile(filepath.Join(w.state, converge.ManifestFile)); err != nil || string(kept) != "[1]" {
					t.Errorf("manifest: %s %v", kept, err)
				}
				c.give(d)
				if got, r = w.run(converge.Options{}, a, b); got != "note:a ok; note:b changed create" || r.Generation != 2 {
					t.Errorf("%s %+v", got, r)
				}
				if s, err := converge.ReadState(w.state); err != nil || s.Hash != r.Hash || s.Applying != nil || len(s.Owned) != 2 {
					t.Errorf("%+v %v", s, err)
				}
				if _, _, err := w.back(0, converge.Options{}); err != nil || w.file("a")+w.file("b") != "(none)(none)" {
					t.Errorf("back: %v, %s", err, w.whole())
				}
			})
		}
	})
}

// TestDiskFillsUp: what was changed before the disk was full is told although the host
// cannot write down the end, and the next run with room finds it cut off and finishes it.
func TestDiskFillsUp(t *testing.T) {
	infratest.Inside(t, func() {
		w := newWorld(t)
		d := newDisk(t, w, "size=256k")
		a := w.note("a", "x", func(n *infra.Declared) { n.Resource.(*infratest.Note).Applied = d.fill })
		b := w.note("b", "new", func(n *infra.Declared) { n.Role = "s" })
		w.write("b", strings.Repeat("old ", 4<<10))
		got, r, err := w.try(t.Context(), converge.Options{Parallel: 1}, a, b)
		if !strings.Contains(got, "nothing is changed that could not be undone") || !infra.DiskTrouble(err) || r.Counts[converge.Changed] != 1 || r.Counts[converge.Failed] != 1 || r.Generation != 1 {
			t.Errorf("%s %+v %v", got, r, err)
		}
		if w.file("b") == "new" || len(d.left()) > 0 {
			t.Errorf("b is %s, left %q", w.file("b"), d.left())
		}
		d.free()
		a.Resource.(*infratest.Note).Applied = nil
		got, r = w.run(converge.Options{}, a, b)
		if s, err := converge.ReadState(w.state); got != "note:a ok; note:b changed update" || r.CutOff == nil || err != nil || s.Hash != r.Hash || s.Applying != nil || len(s.Owned) != 1 {
			t.Errorf("%s %+v %+v %v", got, r, s, err)
		}
		if _, _, err := w.back(0, converge.Options{}); err != nil || w.file("a") != "(none)" || !strings.HasPrefix(w.file("b"), "old ") {
			t.Errorf("back: %v, %s", err, w.whole())
		}
	})
}

// TestGuardOnAFullDisk: a guard that finds no room to undo its generation does so as soon
// as there is some; who confirms needs no room.
func TestGuardOnAFullDisk(t *testing.T) {
	infratest.Inside(t, func() {
		w := newWorld(t)
		d := newDisk(t, w, "size=256k")
		g, ended := w.guard(t.Context(), time.Second/10)
		_, r := w.run(converge.Options{Guard: g}, w.note("a", "x"))
		d.fill()
		locked := func() time.Time {
			s, err := os.Stat(filepath.Join(w.state, "lock"))
			if err != nil {
				t.Fatal(err)
			}
			return s.ModTime()
		}
		for range 2 { // it tries, and tries again
			was := locked()
			for end := time.Now().Add(time.Minute); locked().Equal(was); time.Sleep(time.Millisecond) {
				if len(ended) > 0 || time.Now().After(end) {
					t.Fatal("it gave up")
				}
			}
		}
		if w.file("a") != "x" {
			t.Error("it was undone, and nothing could be written down")
		}
		d.free()
		if err := <-ended; err != nil || w.file("a") != "(none)" {
			t.Errorf("%v, a is %s", err, w.file("a"))
		}
		if s, err := converge.ReadState(w.state); err != nil || s.Undone == nil || s.Undone.Generation != r.Generation {
			t.Errorf("%+v %v", s, err)
		}

		g, ended = w.guard(t.Context(), time.Hour)
		_, r = w.run(converge.Options{Guard: g}, w.note("a", "x"))
		d.fill()
		if err := converge.Confirm(w.state, r.Generation); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil || w.file("a") != "x" {
			t.Errorf("%v, a is %s", err, w.file("a"))
		}
		d.free()
		if got, r := w.run(converge.Options{}, w.note("a", "x")); got != "note:a ok" || len(r.Notes) > 0 {
			t.Errorf("%s %+v", got, r)
		}
	})
}
