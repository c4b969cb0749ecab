package machine

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const hanging = "STEER_TEST_HANGING"

func TestMain(m *testing.M) {
	if os.Getenv(hanging) != "" {
		hang()
	}
	os.Exit(m.Run())
}

// hang is a program that leaves three ended processes uncollected, and then waits in the
// kernel for a child that never lets it go, as in vfork(2).
func hang() {
	runtime.LockOSThread()
	for range 3 {
		if _, err := syscall.ForkExec("/bin/true", []string{"true"}, nil); err != nil {
			panic(err)
		}
	}
	fmt.Println("it hangs")
	if child, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, unix.CLONE_VFORK|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); child == 0 {
		syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
		for {
			syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
}

// TestStuckReally looks at processes of this machine.
func TestStuckReally(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("hangs%d", os.Getpid())
	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), hanging+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()         //nolint:errcheck // it was killed
	defer cmd.Process.Kill() //nolint:errcheck // also when the test fails
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	look := func(name string, longer time.Duration, zombies int) string {
		t.Helper()
		s, err := Machine{Now: time.Now()}.Stuck(name, longer, zombies)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range s.Findings {
			all = append(all, f.Text)
		}
		return strings.Join(all, "\n")
	}
	who, parent := fmt.Sprintf("%s[%d]", name, cmd.Process.Pid), fmt.Sprintf("[%d]", os.Getpid())
	leaves, waits := who+": leaves 3 ended processes uncollected, true[", who+": waits in the kernel for "
	var got string
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if got = look(name, time.Second, 3); strings.Contains(got, leaves) && strings.Contains(got, waits) {
			break
		}
	}
	if !strings.Contains(got, leaves) || !strings.Contains(got, waits) || !strings.Contains(got, "its parent is") || !strings.Contains(got, parent) {
		t.Fatalf("it was not found out: %s", got)
	}
	if got := look("", time.Second, 3); !strings.Contains(got, leaves) || !strings.Contains(got, waits) {
		t.Error("among all processes:", got)
	}
	if got := look(name, time.Second, 4); strings.Contains(got, leaves) || !strings.Contains(got, waits) {
		t.Error("three ended processes are borne:", got)
	}
	if got := look(name, time.Hour, 1); got != "" {
		t.Error("it has not been so for an hour:", got)
	}
	if got := look("no-such-program", 0, 1); got != "" {
		t.Error("another program:", got)
	}
}

// process writes down a process, or a thread, that ran last at some second of the clock of
// a processor.
func process(t *testing.T, root, dir string, pid int, name string, state byte, parent, flags, threads, cpu int, ran string, wchan string) {
	t.Helper()
	put(t, root, dir+"/stat", fmt.Sprintf("%d (%s) %c %d 1 1 0 -1 %d 0 0 0 0 0 0 0 0 20 0 %d 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 %d 0 0 0 0 0\n", pid, name, state, parent, flags, threads, cpu))
	put(t, root, dir+"/sched", fmt.Sprintf("%s (%d, #threads: %d)\n-----\nse.exec_start                                :  %s\nse.vruntime                                  :           497.716049\n", name, pid, threads, ran))
	put(t, root, dir+"/wchan", wchan)
}

func TestStuckRecorded(t *testing.T) {
	root := t.TempDir()
	// The clock of processor 0 is at 1000 s, that of 1 at 400 s.
	process(t, root, "proc/1", 1, "init", 'S', 0, 0, 1, 0, "1000000.000000", "ep_poll")
	process(t, root, "proc/2", 2, "worker", 'R', 1, 0, 1, 1, "400000.000000", "0")
	process(t, root, "proc/10", 10, "cp (a b)", 'D', 2, 0, 1, 0, "100000.000000", "nfs_wait_bit_killable")
	process(t, root, "proc/11", 11, "busy", 'D', 2, 0, 1, 0, "999999.000000", "io_schedule")  // waits for a disk, a moment
	process(t, root, "proc/12", 12, "other", 'D', 2, 0, 1, 1, "300000.000000", "io_schedule") // 100 s, on its processor
	process(t, root, "proc/13", 13, "frozen", 'D', 2, 0, 1, 0, "100000.000000", "__refrigerator")
	process(t, root, "proc/14", 14, "kdriver", 'D', 2, 0x00200000, 1, 0, "100000.000000", "msleep")
	process(t, root, "proc/15", 15, "java", 'S', 1, 0, 3, 0, "999000.000000", "futex_wait")
	process(t, root, "proc/15/task/15", 15, "java", 'S', 1, 0, 3, 0, "999000.000000", "futex_wait")
	process(t, root, "proc/15/task/16", 16, "writer", 'D', 1, 0, 3, 0, "1.000000", "")
	process(t, root, "proc/15/task/17", 17, "writer", 'D', 1, 0, 3, 0, "1.000000", "")
	for pid := 20; pid < 24; pid++ {
		process(t, root, fmt.Sprintf("proc/%d", pid), pid, "sh", 'Z', 2, 0, 1, 0, fmt.Sprintf("%d000.000000", pid), "0")
	}
	process(t, root, "proc/30", 30, "sh", 'Z', 1, 0, 1, 0, "1000.000000", "0")      // one alone
	process(t, root, "proc/31", 31, "threads", 'Z', 2, 0, 4, 0, "1000.000000", "0") // lives on without its first thread
	process(t, root, "proc/32", 32, "sh", 'Z', 2, 0, 1, 0, "999999.000000", "0")    // may yet be collected
	put(t, root, "proc/40/stat", "40 (half")                                        // ends meanwhile
	got := words(t, func() (Seen, error) { return Machine{Root: root, Now: now()}.Stuck("", 5*time.Minute, 4) })
	want := []string{
		"cp (a b)[10]: waits in the kernel for 15m0s (nfs_wait_bit_killable) and can't be killed; its parent is worker[2] (look at the disk, mount or device that it waits for)",
		"worker[2]: leaves 4 ended processes uncollected, sh[20] for 16m20s (restart it, or tell its makers: it has to wait for its children)",
		"writer[15]: waits in the kernel for 16m40s (it does not say what for) and can't be killed; its parent is init[1] (look at the disk, mount or device that it waits for)",
		"looked at 15 processes",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	bare := t.TempDir()
	put(t, bare, "proc/1/stat", "1 (init) D 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n")
	got = words(t, func() (Seen, error) { return Machine{Root: bare, Now: now()}.Stuck("", 5*time.Minute, 4) })
	if d := cmp.Diff([]string{"not at how long processes wait (this kernel does not tell: it lacks /proc/PID/sched)"}, got); d != "" {
		t.Error(d)
	}
}
