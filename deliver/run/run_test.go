package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"steer/base/config"
	"steer/base/fault"
)

func runner(t *testing.T, c Config) *Runner {
	t.Helper()
	dir := t.TempDir()
	if c.Grace == 0 {
		c.Grace = config.Duration(5 * time.Second)
	}
	r, err := New(Options{Config: c, Logs: filepath.Join(dir, "runs"), Cache: filepath.Join(dir, "cache")})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func job(t *testing.T, r *Runner, command string) Job {
	t.Helper()
	return Job{
		Service: "catalog", Version: "b1", Commit: "abc", Stage: "commit", Command: command,
		Dir: t.TempDir(), Temp: filepath.Join(t.TempDir(), "tmp"), Log: filepath.Join(r.Logs, "1", "commit.log"),
	}
}

func execute(t *testing.T, r *Runner, j Job) (Result, string) {
	t.Helper()
	res, err := r.Execute(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(j.Log + recordSuffix); err == nil {
		t.Error("the record is left behind")
	}
	return res, read(t, j.Log)
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits until something that other processes do has happened.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

func alive(pid int) bool {
	s, err := stat(pid)
	return err == nil && s.state != 'Z'
}

func TestExecute(t *testing.T) {
	r := runner(t, Config{Env: map[string]string{"EXTRA": "1"}})
	t.Setenv("FROM_STEER", "no")
	j := job(t, r, `echo out; echo err >&2; env; cd /; pwd`)
	j.Env = []string{"STEER_URL=http://127.0.0.1:1"}
	res, log := execute(t, r, j)
	if res.ExitCode != 0 || res.Reason != "" || res.Tests != nil || res.Took <= 0 {
		t.Errorf("result %+v", res)
	}
	for _, want := range []string{
		"$ echo out", "out\nerr\n", "CI=true\n", "STEER_SERVICE=catalog\n", "STEER_VERSION=b1\n", "STEER_COMMIT=abc\n", "STEER_STAGE=commit\n",
		"EXTRA=1\n", "STEER_URL=http://127.0.0.1:1\n", "HOME=" + filepath.Join(r.Cache, "catalog") + "\n", "TMPDIR=" + j.Temp + "\n", "LANG=C.UTF-8\n", "[done after",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "FROM_STEER") {
		t.Error("Steer's own environment is passed on")
	}
}

func TestFailures(t *testing.T) {
	r := runner(t, Config{})
	for name, c := range map[string]struct {
		command string
		want    Result
	}{
		"exit code":       {"echo 'main.go:3: bad'; exit 7", Result{ExitCode: 7, Reason: "main.go:3: bad"}},
		"first of many":   {"false\necho not reached", Result{ExitCode: 1, Reason: "exit code 1 without output"}},
		"silent":          {"exit 3", Result{ExitCode: 3, Reason: "exit code 3 without output"}},
		"unknown command": {"nosuchthing", Result{ExitCode: 127, Reason: "/bin/sh: 1: nosuchthing: not found"}},
		"signal":          {"kill -KILL $$", Result{ExitCode: 137, Signal: "SIGKILL", Reason: "ended by SIGKILL (nobody asked for it; out of memory?)"}},
	} {
		got, _ := execute(t, r, job(t, r, c.command))
		got.Took = 0
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	j := job(t, r, "true")
	j.Dir = filepath.Join(j.Dir, "missing")
	if _, err := r.Execute(t.Context(), j); err == nil || !strings.Contains(err.Error(), "run stage commit of catalog b1") {
		t.Errorf("no folder: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	r := runner(t, Config{})
	j := job(t, r, `trap 'echo tidy; exit 0' TERM; echo working; while :; do sleep 0.05; done`)
	j.Timeout = 300 * time.Millisecond
	res, log := execute(t, r, j)
	if !res.TimedOut || res.ExitCode == 0 || !strings.HasPrefix(res.Reason, "timed out after 300ms") {
		t.Errorf("%+v", res)
	}
	if !strings.Contains(log, "tidy") {
		t.Errorf("the command could not tidy up:\n%s", log)
	}
	r = runner(t, Config{Grace: config.Duration(100 * time.Millisecond)})
	j = job(t, r, `trap '' TERM; while :; do sleep 0.05; done`)
	j.Timeout = 200 * time.Millisecond
	if res, _ := execute(t, r, j); !res.TimedOut || res.Signal != "SIGKILL" {
		t.Errorf("deaf command: %+v", res)
	}
}

func TestCancel(t *testing.T) {
	r := runner(t, Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("ada canceled run 1")
	j := job(t, r, `echo started; sleep 60`)
	go func() {
		for !strings.Contains(string(must(os.ReadFile(j.Log))), "started\n") {
			time.Sleep(10 * time.Millisecond)
		}
		cancel(why)
	}()
	_, err := r.Execute(ctx, j)
	if !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	if log := read(t, j.Log); !strings.Contains(log, "[stopped: ada canceled run 1]") {
		t.Error(log)
	}
}

func must(b []byte, _ error) []byte { return b }

func TestNothingStays(t *testing.T) {
	r := runner(t, Config{})
	j := job(t, r, `sleep 61 & echo $! >one; setsid sh -c 'echo $$ >two; exec sleep 62' & while [ ! -s two ]; do sleep 0.02; done`)
	start := time.Now()
	if res, log := execute(t, r, j); res.ExitCode != 0 {
		t.Fatalf("%+v\n%s", res, log)
	}
	if time.Since(start) > 10*time.Second {
		t.Error("waited for the leftovers")
	}
	for _, name := range []string{"one", "two"} {
		pid, err := strconv.Atoi(strings.TrimSpace(read(t, filepath.Join(j.Dir, name))))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" ends", func() bool { return !alive(pid) })
	}
}

// A killed Steer leaves commands running; the next one ends them.
func TestEndsLeftovers(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=TestHelperSteer$")
	cmd.Env = append(os.Environ(), "RUN_TEST_HELPER="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "runs", "1", "commit.log")
	pids := filepath.Join(dir, "pids")
	eventually(t, "command runs", func() bool { return strings.Count(string(must(os.ReadFile(pids))), "\n") == 2 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	var left []int
	for _, f := range strings.Fields(read(t, pids)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		if left = append(left, pid); !alive(pid) {
			t.Fatalf("process %d did not survive, so this tests nothing", pid)
		}
	}
	if _, err := New(Options{Logs: filepath.Join(dir, "runs"), Cache: filepath.Join(dir, "cache")}); err != nil {
		t.Fatal(err)
	}
	for _, pid := range left {
		eventually(t, "leftover ends", func() bool { return !alive(pid) })
	}
	if text := read(t, log); !strings.Contains(text, "[Steer was stopped here") {
		t.Error(text)
	}
}

// TestHelperSteer is the process that TestEndsLeftovers kills.
func TestHelperSteer(t *testing.T) {
	dir := os.Getenv("RUN_TEST_HELPER")
	if dir == "" {
		return
	}
	r, err := New(Options{Logs: filepath.Join(dir, "runs"), Cache: filepath.Join(dir, "cache")})
	if err != nil {
		t.Fatal(err)
	}
	r.Execute(context.Background(), Job{
		Service: "catalog", Command: fmt.Sprintf("echo $$ >>%[1]s/pids; setsid sh -c 'echo $$ >>%[1]s/pids; exec sleep 63' & sleep 64; sleep 65", dir),
		Dir: dir, Temp: filepath.Join(dir, "tmp"), Log: filepath.Join(dir, "runs", "1", "commit.log"),
	})
}

// A record whose number belongs to another process by now harms nobody.
func TestOldRecordIsHarmless(t *testing.T) {
	r := runner(t, Config{})
	other := exec.Command("sleep", "66")
	other.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	dir := filepath.Join(r.Logs, "1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf(`{"group":%d,"start":1,"boot":%q,"mark":"m-1"}`, other.Process.Pid, boot()),
		fmt.Sprintf(`{"group":%d,"start":1,"boot":"earlier","mark":"m-1"}`, other.Process.Pid),
		`{"group":1,"start":1,"boot":"` + boot() + `","mark":""}`,
		`{"gro`, ``,
	} {
		file := filepath.Join(dir, "x.log"+recordSuffix)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(r.Options); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("record %s is left", text)
		}
	}
	if !alive(other.Process.Pid) {
		t.Error("ended a process that was not ours")
	}
}

func TestMask(t *testing.T) {
	r := runner(t, Config{})
	j := job(t, r, `echo error: password is hunter2; exit 1`)
	j.Mask = func(w io.Writer) io.Writer {
		return writerFunc(func(p []byte) (int, error) {
			_, err := w.Write(bytes.ReplaceAll(p, []byte("hunter2"), []byte("***")))
			return len(p), err
		})
	}
	res, log := execute(t, r, j)
	if strings.Contains(log+res.Reason, "hunter2") || !strings.Contains(res.Reason, "***") {
		t.Errorf("%s\n%s", res.Reason, log)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestLogLimit(t *testing.T) {
	r := runner(t, Config{MaxLogMB: 1})
	j := job(t, r, `head -c 3000000 /dev/zero | tr '\0' x; echo; echo error: after the limit; exit 1`)
	res, log := execute(t, r, j)
	if len(log) > 1<<20+300 || strings.Count(log, "[truncated: the log is longer than 1 MiB") != 1 {
		t.Errorf("log of %d bytes, ends %q", len(log), log[len(log)-100:])
	}
	if res.Reason != "error: after the limit" {
		t.Errorf("reason %q", res.Reason)
	}
	execute(t, r, j)
	if log := read(t, j.Log); len(log) > 1<<20+400 {
		t.Errorf("the second command made it %d bytes", len(log))
	}
}

func TestLimits(t *testing.T) {
	r := runner(t, Config{Nice: 7, MaxMemoryMB: 512})
	_, log := execute(t, r, job(t, r, "nice; ulimit -v"))
	if !strings.Contains(log, "\n7\n524288\n") {
		t.Error(log)
	}
	if _, err := New(Options{Config: Config{Nice: 20, Parallel: 1, MaxLogMB: 1}, Logs: "x", Cache: "y"}); fault.Of(err) != fault.Invalid {
		t.Errorf("nice 20: %v", err)
	}
}

func TestSlots(t *testing.T) {
	r := runner(t, Config{Parallel: 2})
	one, ok1 := r.Slot()
	_, ok2 := r.Slot()
	_, ok3 := r.Slot()
	if !ok1 || !ok2 || ok3 {
		t.Error("not two slots")
	}
	one()
	if _, ok := r.Slot(); !ok {
		t.Error("a slot that was given back is not free")
	}
}

func TestFollow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.log")
	var over atomic.Bool
	f := Follow(t.Context(), file, func(context.Context) bool { return over.Load() })
	defer f.Close()
	var mu sync.Mutex
	var got bytes.Buffer
	done := make(chan error)
	go func() {
		buf := make([]byte, 7)
		for {
			n, err := f.Read(buf)
			mu.Lock()
			got.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				done <- err
				return
			}
		}
	}()
	w, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for i := range 3 {
		line := fmt.Sprintf("line %d of the log\n", i)
		io.WriteString(w, line)
		want += line
		eventually(t, "line is read", func() bool { mu.Lock(); defer mu.Unlock(); return got.String() == want })
	}
	io.WriteString(w, "end")
	over.Store(true)
	if err := <-done; err != io.EOF || got.String() != want+"end" {
		t.Errorf("%q, %v", got.String(), err)
	}
	g := Follow(t.Context(), filepath.Join(t.TempDir(), "never"), func(context.Context) bool { return false })
	go func() { g.Close(); close(done) }()
	if _, err := g.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("closed: %v", err)
	}
	<-done
}
