package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// crashPhases are what the store does when it asks the disk for something, by the
// function that is furthest in.
var crashPhases = []struct{ function, phase string }{
	{"(*journal).remove", "log removed"},
	{"(*journal).write", "log written"},
	{"(*names).add", "names appended"},
	{"(*names).rewrite", "names written anew"},
	{"(*Store).remember", "rules remembered"},
	{"(*Store).forget", "series forgotten"},
	{"(*Store).expire", "blocks expired"},
	{"(*Store).publish", "blocks published"},
	{"(*Store).merge", "blocks merged"},
	{"(*Store).writeSome", "blocks written"},
	{"store.openJournal", "log read"},
	{"store.openNames", "names read"},
	{"store.openBlocks", "blocks opened"},
}

// crashDisk is the disk of a process that is killed. It tells of what goes on in a file
// that a kill leaves as it is, and kills the process itself in a chosen phase.
type crashDisk struct {
	osDisk
	state *os.File
	phase string // to die in
	left  int    // operations of that phase until then
}

const (
	crashRecord = 64 // bytes of a phase in the file of the state
	crashIdle   = "between"
)

// enter notes an operation and returns when it is done whether to die.
func (d *crashDisk) enter() (die bool) {
	var pcs [40]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	phase, changing := "", ""
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if phase == "" {
			if i := slices.IndexFunc(crashPhases, func(p struct{ function, phase string }) bool { return strings.HasSuffix(f.Function, p.function) }); i >= 0 {
				phase = crashPhases[i].phase
			}
		}
		if strings.HasSuffix(f.Function, "(*Store).merge") && phase == "blocks published" {
			phase = "merged blocks published"
		}
		if strings.HasSuffix(f.Function, "(*Store).apply") {
			changing = "new rules: "
		}
	}
	if phase == "" {
		return false
	}
	phase = changing + phase
	d.note(phase)
	if phase != d.phase {
		return false
	}
	d.left--
	return d.left == 0
}

// note tells of a phase. The log is written by who writes points, all the time; it has
// a place of its own.
func (d *crashDisk) note(phase string) {
	at := int64(0)
	if phase == "log written" {
		at = crashRecord
	}
	d.state.WriteAt(fmt.Appendf(nil, "%-*s", crashRecord, phase), at) //nolint:errcheck // seen in the coverage
}

func crashDie() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// do does an operation and dies before or after it, if at all.
func (d *crashDisk) do(f func()) {
	die := d.enter()
	if die && rand.IntN(2) == 0 {
		crashDie()
	}
	if f(); die {
		crashDie()
	}
}

func (d *crashDisk) Create(name string) (f file, err error) {
	d.do(func() { f, err = d.osDisk.Create(name) })
	if err != nil {
		return nil, err
	}
	return &crashFile{f, d}, nil
}

func (d *crashDisk) Open(name string) (f file, size int64, err error) {
	d.do(func() { f, size, err = d.osDisk.Open(name) })
	if err != nil {
		return nil, 0, err
	}
	return &crashFile{f, d}, size, nil
}

func (d *crashDisk) Append(name string) (f file, size int64, err error) {
	d.do(func() { f, size, err = d.osDisk.Append(name) })
	if err != nil {
		return nil, 0, err
	}
	return &crashFile{f, d}, size, nil
}

func (d *crashDisk) Truncate(name string, size int64) (err error) {
	d.do(func() { err = d.osDisk.Truncate(name, size) })
	return err
}

func (d *crashDisk) Rename(from, to string) (err error) {
	d.do(func() { err = d.osDisk.Rename(from, to) })
	return err
}

func (d *crashDisk) Remove(name string) (err error) {
	d.do(func() { err = d.osDisk.Remove(name) })
	return err
}

func (d *crashDisk) SyncDir(dir string) (err error) {
	d.do(func() { err = d.osDisk.SyncDir(dir) })
	return err
}

type crashFile struct {
	file
	d *crashDisk
}

func (f *crashFile) Write(b []byte) (n int, err error) {
	if f.d.enter() {
		f.file.Write(b[:rand.IntN(len(b)+1)]) //nolint:errcheck // it dies
		crashDie()
	}
	return f.file.Write(b)
}

func (f *crashFile) Sync() (err error) {
	f.d.do(func() { err = f.file.Sync() })
	return err
}

func (f *crashFile) ReadAt(b []byte, at int64) (n int, err error) {
	f.d.do(func() { n, err = f.file.ReadAt(b, at) })
	return n, err
}
