package machine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKillsWithoutTimes goes through the looks at a container, whose counter tells no times.
func TestKillsWithoutTimes(t *testing.T) {
	root := tree(t, "container")
	counted := func(n int) { put(t, root, "sys/fs/cgroup/memory.events", fmt.Sprintf("low 0\noom_kill %d\n", n)) }
	look := func(hours int) []string {
		t.Helper()
		at := now().Add(time.Duration(hours) * time.Hour)
		return words(t, func() (Seen, error) {
			return Machine{Root: root, Now: at, Container: true}.OOM(t.Context(), "", at.Add(-24*time.Hour))
		})
	}
	const note = "looked at the counter of this container; not at the kernel's log (that of a container is the machine's beneath it)"
	killed := func(n, from, to string) string {
		return "this container: the kernel killed " + n + " for want of memory between " + from + " UTC and " + to + " UTC (give it more memory, or find what needs it; the kernel's log, on the machine, says which)"
	}
	began := killed("2 processes", "2026-11-26 09:00:00", "2026-11-26 10:00:00")
	third := killed("1 process", "2026-11-26 10:00:00", "2026-11-26 12:00:00")
	for _, step := range []struct {
		hours, count int
		want         []string
	}{
		{0, 2, []string{began, note}},
		{1, 2, []string{began, note}},
		{2, 3, []string{began, third, note}},
		{24, 3, []string{began, third, note}},
		{25, 3, []string{third, note}},
		{27, 3, []string{note}},
	} {
		counted(step.count)
		if d := cmp.Diff(step.want, look(step.hours)); d != "" {
			t.Errorf("after %d hours: %s", step.hours, d)
		}
	}
	// It starts again: the counter begins at 0, and what was before is over.
	put(t, root, "proc/1/stat", "1 (sleep) S 0 1 1 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 18000000 1 1 1\n")
	counted(1)
	if d := cmp.Diff([]string{killed("1 process", "2026-11-27 12:00:00", "2026-11-27 14:00:00"), note}, look(28)); d != "" {
		t.Error("after a new start:", d)
	}
	// A container that was there long before the first look: nobody knows when those were.
	if err := os.Remove(root + memoryFile); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{note}, look(100)); d != "" {
		t.Error("before the first look:", d)
	}
	counted(5)
	if d := cmp.Diff([]string{killed("4 processes", "2026-11-30 14:00:00", "2026-11-30 15:00:00"), note}, look(101)); d != "" {
		t.Error("after the first look:", d)
	}
	if err := os.WriteFile(root+memoryFile, []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{note}, look(102)); d != "" {
		t.Error("a torn memory is none:", d)
	}
	left, err := os.ReadDir(root + "/run")
	if err != nil || len(left) != 2 {
		t.Errorf("%v %v: files are left over", left, err)
	}
}

func TestKillsOfOne(t *testing.T) {
	m := Machine{Root: tree(t, "journal"), Now: now()}
	for name, want := range map[string]string{"mysqld": "mysqld[312]: the kernel killed it", "shop (old)": "shop (old)[71]: ", "shop": "looked at the kernel's log"} {
		if got := words(t, func() (Seen, error) { return m.OOM(t.Context(), name, now().Add(-24*time.Hour)) }); !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	m.Container = true
	got := words(t, func() (Seen, error) { return m.OOM(t.Context(), "mysqld", now().Add(-24*time.Hour)) })
	if d := cmp.Diff([]string{"not at the kernel's log (that of a container is the machine's beneath it), mysqld alone (only the log tells names)"}, got); d != "" {
		t.Error(d)
	}
	// A machine whose log may not be read has a counter, too; cgroup v1 has one in each group.
	for _, gone := range []string{"/dev/kmsg", "/usr/bin/journalctl"} {
		if err := os.Remove(m.Root + gone); err != nil {
			t.Fatal(err)
		}
	}
	put(t, m.Root, "proc/vmstat", "nr_free_pages 1\noom_kill 4\n")
	put(t, m.Root, "proc/stat", "btime 1795683600\n")
	put(t, m.Root, "run/x", "")
	m.Container = false
	got = words(t, func() (Seen, error) { return m.OOM(t.Context(), "", now().Add(-24*time.Hour)) })
	if !strings.HasPrefix(got[0], "this machine: the kernel killed 4 processes") || !strings.Contains(got[1], "not at the kernel's log (stat ") {
		t.Errorf("%q", got)
	}
	put(t, m.Root, "sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
	put(t, m.Root, "sys/fs/cgroup/memory/a/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
	m.Container = true
	if n, _, ok, err := m.counted(); n != 3 || !ok || err != nil {
		t.Errorf("%d %v %v", n, ok, err)
	}
}

// TestSlow ends a program that hangs, with what it started.
func TestSlow(t *testing.T) {
	_, err := run(t.Context(), 50*time.Millisecond, "/bin/sh", "-c", "sleep 600 & wait")
	if err == nil || err.Error() != "sh is not done within 50ms" {
		t.Error(err)
	}
	if _, err := run(t.Context(), time.Minute, "/no/such/program"); err == nil {
		t.Error("a program that is not there ran")
	}
}
