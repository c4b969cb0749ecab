package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one command on its way.
type process struct {
	command, dir string
	env          []string
	mark         string
	record       string // file that tells of the group while it runs
	config       Config
}

type ending struct {
	code     int
	signal   string
	timedOut bool
}

// gate waits for a line from Steer before the command starts. If Steer dies
// before it has written the record, the line never comes and nothing runs.
const gate = `read -r go <&3 || exit 125; exec 3<&-; exec /bin/sh -e -c "$1"`

// run starts the command, copies its output to out, and waits for it. When ctx
// or the time ends, the group is stopped.
func (p process) run(ctx context.Context, out io.Writer, timeout time.Duration) (ending, error) {
	if err := ctx.Err(); err != nil {
		return ending{}, err
	}
	output, input, err := os.Pipe()
	if err != nil {
		return ending{}, err
	}
	defer output.Close()
	wait, open, err := os.Pipe()
	if err != nil {
		input.Close()
		return ending{}, err
	}
	defer open.Close()
	cmd := exec.Command("/bin/sh", "-c", gate, "sh", p.command)
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = input, input, []*os.File{wait}
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	input.Close()
	wait.Close()
	if err != nil {
		return ending{}, err
	}
	group := cmd.Process.Pid
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, output)
		copied <- err
	}()
	err = p.prepare(group)
	if err == nil {
		_, err = io.WriteString(open, "go\n")
	}
	open.Close()
	end := ending{}
	if err != nil {
		unix.Kill(-group, unix.SIGKILL)
	}
	stopped := p.await(ctx, group, timeout)
	end.timedOut = stopped == errTimeout
	// The leader is dead but not yet waited for, so its number still means this
	// group and no other.
	unix.Kill(-group, unix.SIGKILL)
	endMarked(p.mark)
	waited := cmd.Wait()
	output.SetReadDeadline(time.Now().Add(2 * time.Second)) // should anything still hold the pipe
	if e := <-copied; err == nil && e != nil && !errors.Is(e, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("write log: %w", e)
	}
	os.Remove(p.record)
	if err != nil {
		return end, err
	}
	if stopped != nil && !end.timedOut {
		return end, stopped
	}
	var exit *exec.ExitError
	if waited != nil && !errors.As(waited, &exit) {
		return end, waited
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	end.code = status.ExitStatus()
	if status.Signaled() {
		end.code, end.signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
	}
	if end.timedOut && end.code == 0 {
		end.code = 128 + int(unix.SIGTERM)
	}
	return end, nil
}

// prepare limits the waiting group and writes down who it is.
func (p process) prepare(group int) error {
	if p.config.Nice > 0 {
		if err := unix.Setpriority(unix.PRIO_PGRP, group, p.config.Nice); err != nil {
			return fmt.Errorf("set priority: %w", err)
		}
	}
	if p.config.MaxMemoryMB > 0 {
		bytes := uint64(p.config.MaxMemoryMB) << 20
		if err := unix.Prlimit(group, unix.RLIMIT_AS, &unix.Rlimit{Cur: bytes, Max: bytes}, nil); err != nil {
			return fmt.Errorf("limit memory: %w", err)
		}
	}
	return writeRecord(p.record, group, p.mark)
}

var errTimeout = errors.New("timed out")

// await returns when the group's leader is dead: nil if by itself, else why it
// was stopped.
func (p process) await(ctx context.Context, group int, timeout time.Duration) error {
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		for unix.Waitid(unix.P_PID, group, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}()
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	var why error
	select {
	case <-dead:
		return nil
	case <-late:
		why = errTimeout
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	unix.Kill(-group, unix.SIGTERM)
	// The shell may die at once while what it started still tidies up.
	grace := time.NewTimer(p.config.Grace.Std())
	defer grace.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for alive := true; alive; {
		select {
		case <-grace.C:
			alive = false
		case <-tick.C:
			alive = groupAlive(group)
		}
	}
	unix.Kill(-group, unix.SIGKILL)
	<-dead
	return why
}
