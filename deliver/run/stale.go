package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	recordSuffix = ".job" // after the name of the log
	markName     = "STEER_JOB"
)

// record tells which process group runs for a log. Process numbers are used
// again, so a group is only ours if its leader started when the record says, in
// the same life of the machine.
type record struct {
	Group int    `json:"group"`
	Start uint64 `json:"start"` // of the leader, in clock ticks since boot
	Boot  string `json:"boot"`
	Mark  string `json:"mark"`
}

func writeRecord(file string, group int, mark string) error {
	s, err := stat(group)
	if err != nil {
		return err
	}
	data, err := json.Marshal(record{group, s.start, boot(), mark})
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// endStale ends what runs under a record that a killed Steer left.
func (r *Runner) endStale(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read leftover command: %w", err)
	}
	var rec record
	// A torn record was written by a Steer that died before it let the group go.
	if json.Unmarshal(data, &rec) == nil && rec.Boot == boot() && rec.Group > 1 {
		ended := 0
		if s, err := stat(rec.Group); err == nil && s.start == rec.Start {
			unix.Kill(-rec.Group, unix.SIGKILL)
			ended++
		}
		ended += endMarked(rec.Mark)
		for i := 0; i < 100 && groupAlive(rec.Group); i++ {
			if s, err := stat(rec.Group); err != nil || s.start != rec.Start {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if ended > 0 {
			r.Log.Warn("ended a command that Steer left running when it was killed", "record", file)
		}
		if log, err := os.OpenFile(strings.TrimSuffix(file, recordSuffix), os.O_WRONLY|os.O_APPEND, 0); err == nil {
			fmt.Fprintln(log, "\n[Steer was stopped here; what was left of the command has been ended]")
			log.Close()
		}
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("remove record of leftover command: %w", err)
	}
	return nil
}

// endMarked kills every process that carries the mark in its environment, and
// returns how many there were. A process that forks meanwhile is met in the next
// round.
func endMarked(mark string) (ended int) {
	if mark == "" {
		return 0
	}
	want := []byte(markName + "=" + mark)
	for range 50 {
		found := 0
		for _, pid := range processes() {
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil || !bytes.Contains(env, want) || pid == os.Getpid() {
				continue
			}
			if s, err := stat(pid); err == nil && s.state != 'Z' && unix.Kill(pid, unix.SIGKILL) == nil {
				found++
			}
		}
		if found == 0 {
			break
		}
		ended += found
		time.Sleep(5 * time.Millisecond)
	}
	return ended
}

// groupAlive tells whether a process of the group is more than a zombie.
func groupAlive(group int) bool {
	for _, pid := range processes() {
		if s, err := stat(pid); err == nil && s.group == group && s.state != 'Z' {
			return true
		}
	}
	return false
}

func processes() []int {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	pids := make([]int, 0, len(names))
	for _, n := range names {
		if pid, err := strconv.Atoi(filepath.Base(n)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

type status struct {
	state byte
	group int
	start uint64
}

// stat reads /proc/PID/stat (proc(5)). The second field is the program's name in
// brackets and may hold anything, so fields are counted after the last bracket.
func stat(pid int) (s status, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(f) < 20 {
		return s, fmt.Errorf("process %d: /proc/%[1]d/stat has %d fields", pid, len(f))
	}
	s.state = f[0][0]
	if s.group, err = strconv.Atoi(f[2]); err != nil {
		return s, err
	}
	s.start, err = strconv.ParseUint(f[19], 10, 64)
	return s, err
}

// boot names this life of the machine.
func boot() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
