package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/deliver/deploy"
)

// gate holds the new process back until it is on record: it waits for a line on
// descriptor 3. Should Steer die before that, the line never comes and the process
// ends, so there is never one that nobody knows of.
const gate = `read -r go <&3 || exit 125; exec 3<&-; exec /bin/sh -c "$1"`

// inherited are the variables of Steer's own environment that nodes get. The rest
// may hold secrets.
var inherited = [...]string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"}

// spawn starts the node's process and records it.
func (n *node) spawn() (*process, error) {
	// Somebody may have tidied too much; unpacking takes a while, so without the lock.
	if err := n.d.version(context.Background(), n.digest); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.rec
	if r.Started != (time.Time{}) && !n.d.ports.free(r.Numbers) {
		numbers, err := n.d.ports.choose(r.Ports)
		if err != nil {
			return nil, err
		}
		n.d.log.Warn("another program uses a port of a node; it gets others", "node", r.ID, "before", r.Numbers, "now", numbers)
		n.d.ports.give(r.Numbers)
		r.Numbers = numbers
	}
	out, err := os.OpenFile(filepath.Join(n.d.o.Dir, r.ID, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer out.Close()
	p, err := n.d.launch(r, out, func(p *process) error {
		if !r.Started.IsZero() && r.LastExit != deploy.StoppedWithSteer {
			r.Restarts++
		}
		r.PID, r.Start, r.Boot, r.Started = p.pid, p.start, boot(), time.Now()
		return r.save(n.d.o.Dir)
	})
	if err != nil {
		return nil, err
	}
	n.rec, n.process = r, p
	return p, nil
}

// launch starts a process in the unpacked artifact. It runs only once put has
// recorded it.
func (d *Driver) launch(r record, out *os.File, put func(*process) error) (*process, error) {
	who, err := d.login(r.User)
	if err != nil {
		return nil, err
	}
	env, err := deploy.Environ(r.Spec, r.Numbers, d.o.Secret)
	if err != nil {
		return nil, err
	}
	for _, k := range inherited {
		v, ok := os.LookupEnv(k)
		if who != nil && (k == "HOME" || k == "USER") {
			v, ok = who.env[k], true
		}
		if ok && r.Env[k] == "" {
			env = append(env, k+"="+v)
		}
	}
	wait, open, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer open.Close()
	cmd := exec.Command("/bin/sh", "-c", gate, "steer-node", direct(r.Command))
	cmd.Dir = d.folder(r.Digest)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if who != nil {
		cmd.SysProcAttr.Credential = &who.credential
	}
	err = cmd.Start()
	wait.Close()
	if err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, ended: make(chan struct{})}
	st, err := readStat(p.pid)
	if err == nil {
		p.start = st.start
		err = put(p)
	}
	if err == nil {
		_, err = io.WriteString(open, "go\n")
	}
	if err != nil {
		open.Close()
		cmd.Process.Kill()
		cmd.Wait()
		return nil, fmt.Errorf("record process: %w", err)
	}
	go func() {
		err := cmd.Wait()
		p.exit = "exit status 0"
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			p.exit = exit.String() // "exit status 2", "signal: killed"
		} else if err != nil {
			p.exit = err.Error()
		}
		close(p.ended)
	}()
	return p, nil
}

// direct makes the shell become a command that is a single program, so that the
// node's pid is the program's. Not every shell does that by itself.
func direct(command string) string {
	words := strings.Fields(command)
	if len(words) == 0 || strings.ContainsAny(command, ";&|(){}`\n#") || strings.ContainsAny(words[0], "=$'\"<>!*?[") {
		return command
	}
	if !strings.Contains(words[0], "/") {
		if _, err := exec.LookPath(words[0]); err != nil {
			return command // a word of the shell
		}
	}
	return "exec " + command
}
