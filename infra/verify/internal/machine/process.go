package machine

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// task is a thread of a process, as /proc/PID/stat tells; see proc_pid_stat(5).
type task struct {
	dir          string // in /proc
	pid, parent  int
	name         string
	state        byte
	flags        uint64
	threads, cpu int
}

// mostTasks bounds the threads that are looked at.
const mostTasks = 100_000

// Stuck looks for processes of a name (empty: any) that wait in the kernel (state D) for
// longer than a time and so cannot even be killed, and for parents that leave so many
// ended processes (zombies) uncollected for that time.
//
// How long is known without remembering anything: the scheduler writes down when a task
// ran last (se.exec_start in /proc/PID/sched), on the clock of the processor it ran on, and
// a thread of ours that runs there now tells what that clock says now.
func (m Machine) Stuck(name string, longer time.Duration, zombies int) (s Seen, err error) {
	all, err := m.tasks()
	if err != nil {
		return s, err
	}
	if m.text("/proc/self/sched") == "" && len(m.names("/proc/[0-9]*/sched")) == 0 {
		s.not("how long processes wait (this kernel does not tell: it lacks /proc/PID/sched)")
		return s, nil
	}
	names, processes := map[int]string{}, 0
	for _, t := range all {
		if path.Base(path.Dir(t.dir)) != "task" {
			names[t.pid] = t.name
			processes++
		}
	}
	clocks := m.clocks(all)
	waiting := map[int]bool{}
	type unreaped struct {
		n    int
		one  task
		long time.Duration
	}
	left := map[int]*unreaped{}
	for _, t := range all {
		const kernel = 0x00200000 // PF_KTHREAD
		if t.state != 'D' && t.state != 'Z' || t.flags&kernel != 0 {
			continue
		}
		if name != "" && t.name != name && names[t.pid] != name && (t.state != 'Z' || names[t.parent] != name) {
			continue
		}
		long, ok := m.since(t, clocks)
		if !ok || long < longer {
			continue
		}
		if t.state == 'Z' {
			if t.parent == 0 || t.threads > 1 || path.Base(path.Dir(t.dir)) == "task" { // others of its threads live
				continue
			}
			u := left[t.parent]
			if u == nil {
				u = &unreaped{}
				left[t.parent] = u
			}
			if u.n++; long > u.long {
				u.one, u.long = t, long
			}
			continue
		}
		at := m.text(t.dir + "/wchan")
		if strings.Contains(at, "refrigerator") || waiting[t.pid] { // frozen by somebody
			continue
		}
		waiting[t.pid] = true
		if at == "" || at == "0" {
			at = "it does not say what for"
		}
		who := fmt.Sprintf("%s[%d]", t.name, t.pid)
		s.add(who, "waiting", "%s: waits in the kernel for %s (%s) and can't be killed; its parent is %s[%d] (look at the disk, mount or device that it waits for)", who, long.Round(time.Second), at, names[t.parent], t.parent)
	}
	for parent, u := range left {
		if u.n >= zombies {
			who := fmt.Sprintf("%s[%d]", names[parent], parent)
			s.add(who, "zombies", "%s: leaves %s uncollected, %s[%d] for %s (restart it, or tell its makers: it has to wait for its children)", who, count(u.n, "ended process", "ended processes"), u.one.name, u.one.pid, u.long.Round(time.Second))
		}
	}
	slices.SortFunc(s.Findings, func(a, b Finding) int { return strings.Compare(a.Of, b.Of) })
	s.looked(count(processes, "process", "processes"))
	return s, nil
}

// tasks reads /proc. What ends meanwhile is left out.
func (m Machine) tasks() (all []task, err error) {
	entries, err := os.ReadDir(m.path("/proc"))
	for _, e := range entries {
		pid, wrong := strconv.Atoi(e.Name())
		if wrong != nil {
			continue
		}
		dir := "/proc/" + e.Name()
		t, ok := m.task(dir)
		if !ok {
			continue
		}
		t.pid = pid
		all = append(all, t)
		if t.threads > 1 && len(all) < mostTasks {
			for _, thread := range m.names(dir + "/task/*") {
				if path.Base(thread) == path.Base(dir) {
					continue
				}
				if one, ok := m.task(thread); ok {
					one.pid = t.pid
					all = append(all, one)
				}
			}
		}
	}
	return all, err
}

func (m Machine) task(dir string) (t task, ok bool) {
	b, err := m.read(dir + "/stat")
	begin, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if err != nil || begin < 0 || end < begin {
		return t, false
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 37 {
		return t, false
	}
	t = task{dir: dir, name: string(b[begin+1 : end]), state: f[0][0]}
	t.parent, _ = strconv.Atoi(f[1])
	t.flags, _ = strconv.ParseUint(f[6], 10, 64)
	t.threads, _ = strconv.Atoi(f[17])
	t.cpu, _ = strconv.Atoi(f[36])
	return t, true
}

// lastRun is when a task ran last, on the clock of its processor.
func (m Machine) lastRun(dir string) (time.Duration, bool) {
	b, _ := m.read(dir + "/sched")
	f := regexp.MustCompile(`(?m)^se\.exec_start\s*:\s*(\d+)\.(\d{6})$`).FindSubmatch(b)
	if f == nil {
		return 0, false
	}
	millis, err := strconv.ParseInt(string(f[1]), 10, 64)
	nanos, err2 := strconv.ParseInt(string(f[2]), 10, 64)
	return time.Duration(millis)*time.Millisecond + time.Duration(nanos), err == nil && err2 == nil
}

// clocks are what the clocks of the processors say now on which something waits.
func (m Machine) clocks(all []task) map[int]time.Duration {
	now := map[int]time.Duration{}
	for _, t := range all {
		if _, known := now[t.cpu]; known || t.state != 'D' && t.state != 'Z' {
			continue
		}
		if at, ok := m.ownClock(t.cpu); ok {
			now[t.cpu] = at
			continue
		}
		// Where we may not run: what ran there last of all was not later than now, so that
		// waits seem shorter, never longer.
		for _, o := range all {
			if at, ok := m.lastRun(o.dir); ok && o.cpu == t.cpu {
				now[t.cpu] = max(now[t.cpu], at)
			}
		}
	}
	return now
}

// ownClock goes to a processor to read its clock.
func (m Machine) ownClock(cpu int) (at time.Duration, ok bool) {
	if m.Root != "" {
		return 0, false
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends with the goroutine: nobody else is bound to the processor
		var set unix.CPUSet
		set.Set(cpu)
		if unix.SchedSetaffinity(0, &set) == nil {
			at, ok = m.lastRun("/proc/thread-self")
		}
	}()
	<-done
	return at, ok
}

// since is how long ago a task ran last.
func (m Machine) since(t task, clocks map[int]time.Duration) (time.Duration, bool) {
	at, ok := m.lastRun(t.dir)
	return max(clocks[t.cpu]-at, 0), ok
}
