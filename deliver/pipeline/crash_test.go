package pipeline

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"steer/base/database"
)

// kill -9 of Steer in the middle of a stage, once and twice.
func TestKilledInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		kills  int
		state  string
		reason string
	}{{1, Passed, ""}, {2, Failed, "commit: Steer was stopped twice during this stage"}} {
		dir := t.TempDir()
		for i := range c.kills {
			kill(t, dir, i == 0)
		}
		db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(dir, "steer.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		work := filepath.Join(dir, "runs", "1", workFolder)
		if _, err := os.Stat(work); err != nil {
			t.Errorf("no checkout was left behind, so this tests less: %v", err)
		}
		w := newWorld(t, db, manifest(commit))
		w.stop()
		w.opts.Dir = filepath.Join(dir, "runs")
		w.start()
		r := w.state(1, c.state)
		if r.Reason != c.reason {
			t.Errorf("after %d kills: %q", c.kills, r.Reason)
		}
		if want := []string{"b1 commit make", "b1 commit test"}; c.kills == 1 && !slices.Equal(w.ran, want) {
			t.Errorf("ran %q", w.ran)
		}
		if _, err := os.Stat(work); err == nil {
			t.Error("the checkout is left")
		}
		next := w.push("catalog") // the line goes on
		w.state(next.ID, Passed)
	}
}

// kill starts a Steer on dir that hangs in a command, and kills it there.
func kill(t *testing.T, dir string, first bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	hangs := filepath.Join(dir, "hangs")
	os.Remove(hangs)
	cmd := exec.Command(self, "-test.run=TestHelperSteer$")
	cmd.Env = append(os.Environ(), "PIPELINE_TEST_DIR="+dir, "TMPDIR="+dir)
	if first {
		cmd.Env = append(cmd.Env, "PIPELINE_TEST_PUSH=1")
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(hangs); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the command did not begin")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
}

// TestHelperSteer is the process that kill starts.
func TestHelperSteer(t *testing.T) {
	dir := os.Getenv("PIPELINE_TEST_DIR")
	if dir == "" {
		return
	}
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(dir, "steer.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, db, manifest(commit))
	w.stop()
	w.opts.Dir = filepath.Join(dir, "runs")
	w.command = func(_ context.Context, j Job) (Result, error) {
		if j.Command == "test" {
			os.WriteFile(filepath.Join(dir, "hangs"), nil, 0o600)
			select {}
		}
		return Result{}, nil
	}
	w.start()
	if os.Getenv("PIPELINE_TEST_PUSH") != "" {
		w.push("catalog")
	}
	select {}
}
