package server

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a running server and what it costs.
type Process struct {
	Log     string // file of what it prints
	Started time.Time

	cmd  *exec.Cmd
	gone chan struct{}
	how  error
	peak atomic.Int64 // VmHWM, bytes
}

// Launch starts a server whose output goes to a file.
func Launch(cmd *exec.Cmd, log string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	p := &Process{cmd: cmd, Log: log, gone: make(chan struct{}), Started: time.Now()}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		p.how = cmd.Wait()
		close(p.gone)
	}()
	go p.watch()
	return p, nil
}

// watch keeps the peak: it can't be read when the process is gone.
func (p *Process) watch() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		p.Memory("VmHWM")
		select {
		case <-p.gone:
			return
		case <-tick.C:
		}
	}
}

// Memory reads a line of /proc/PID/status (proc_pid_status(5)), in bytes.
func (p *Process) Memory(key string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	n := statusLine(b, key)
	if key == "VmHWM" && n > p.peak.Load() {
		p.peak.Store(n)
	}
	return n
}

// Peak is the most memory that it has had resident since its start or the last
// ResetPeak, in bytes.
func (p *Process) Peak() int64 {
	p.Memory("VmHWM")
	return p.peak.Load()
}

// ResetPeak lets Peak count from what is resident now (proc_pid_clear_refs(5)).
func (p *Process) ResetPeak() error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("reset the peak of memory: %w", err)
	}
	p.peak.Store(0)
	return nil
}

func statusLine(status []byte, key string) int64 {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(key+":")); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(string(bytes.TrimSpace(rest)), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// CPU is user and system time so far in seconds, from /proc/PID/stat
// (proc_pid_stat(5)), with that of children that have ended. After the end it
// is the kernel's account of the whole life.
func (p *Process) CPU() float64 {
	select {
	case <-p.gone:
		s := p.cmd.ProcessState
		return (s.UserTime() + s.SystemTime()).Seconds()
	default:
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	return statCPU(b)
}

// statCPU adds utime, stime, cutime and cstime, in ticks of 1/100 s on Linux.
func statCPU(stat []byte) float64 {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0
	}
	sum := 0
	for _, f := range fields[11:15] { // the fourteenth field on, counted from the pid as the first
		n, _ := strconv.Atoi(f)
		sum += n
	}
	return float64(sum) / 100
}

// Stop asks the server to end and waits until it has.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.cmd.Path, err)
	}
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Minute):
		return fmt.Errorf("%s has not ended ten minutes after SIGTERM; see %s", p.cmd.Path, p.Log)
	}
}

// Kill is kill -9.
func (p *Process) Kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it is gone already
	<-p.gone
}

// Until asks again and again, with a pause each time, until ok is true.
func (p *Process) Until(ctx context.Context, pause time.Duration, what string, ok func() (bool, error)) error {
	deadline := time.Now().Add(15 * time.Minute)
	for {
		good, err := ok()
		if good {
			return nil
		}
		select {
		case <-p.gone:
			return fmt.Errorf("%s: %s ended by itself (%v); see %s", what, p.cmd.Path, p.how, p.Log)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: still not so after 15 minutes: %w; see %s", what, err, p.Log)
		}
	}
}
