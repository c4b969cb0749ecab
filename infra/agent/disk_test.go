package agent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"steer/infra"
	"steer/infra/infratest"
)

// TestFullDisk: an agent whose disk is full stays reachable, reports what it sees, and
// keeps with room again what it reports then.
func TestFullDisk(t *testing.T) {
	infratest.Inside(t, func() {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
			t.Fatal(err)
		}
		defer syscall.Unmount(dir, syscall.MNT_DETACH)
		if err := put(filepath.Join(dir, IdentityFile), []byte("url: http://127.0.0.1:1\nhost: web-1\ncredential: host_x\n")); err != nil {
			t.Fatal(err)
		}
		filler := filepath.Join(dir, "filler")
		if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		a, err := NewAgent(AgentOptions{Dir: dir, Version: "1", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("it does not start: %v", err)
		}
		if err := a.note(func(s *Status) { s.Paused = true }); err != nil || !a.status.Paused {
			t.Errorf("note: %v", err)
		}
		report := func(ref string) error {
			return a.queue.add(Report{At: time.Unix(1, 0), Drift: &infra.Drift{Ref: ref}})
		}
		if err := report("file:/a"); !infra.DiskTrouble(err) || !strings.Contains(err.Error(), "where 0 of 64 KiB are free") {
			t.Errorf("add: %v", err)
		}
		if all := a.queue.first(); len(all) != 1 {
			t.Errorf("%d wait to be sent", len(all))
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		// As a write that came halfway leaves it.
		if err := os.WriteFile(a.queue.path, []byte("\n{\"at\":\"2026-"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := report("file:/b"); err != nil {
			t.Fatal(err)
		}
		if q, err := openQueue(a.queue.path); err != nil || len(q.all) != 1 || q.all[0].Drift.Ref != "file:/b" {
			t.Errorf("%+v %v", q, err)
		}
		if err := a.note(func(*Status) {}); err != nil {
			t.Error(err)
		}
		if s, err := ReadStatus(dir); err != nil || !s.Paused {
			t.Errorf("%+v %v", s, err)
		}
	})
}
