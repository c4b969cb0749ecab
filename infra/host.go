package infra

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"steer/base/fault"
)

// Host is the machine that resources work on: the one that the program runs on. It
// is safe for concurrent use.
type Host struct {
	Facts Facts

	mu   sync.Mutex
	memo map[string]*memo
}

// NewHost returns a view of this machine, whose facts are read now.
func NewHost(ctx context.Context) *Host { return &Host{Facts: readFacts(ctx)} }

type memo struct {
	once  sync.Once
	value any
	err   error
}

// Memo returns what load returned the first time, until Forget: what many resources
// ask for (the users, the installed packages) is read once.
func Memo[T any](h *Host, key string, load func() (T, error)) (T, error) {
	h.mu.Lock()
	if h.memo == nil {
		h.memo = map[string]*memo{}
	}
	m := h.memo[key]
	if m == nil {
		m = &memo{}
		h.memo[key] = m
	}
	h.mu.Unlock()
	m.once.Do(func() { m.value, m.err = load() })
	v, _ := m.value.(T)
	return v, m.err
}

// Forget drops what Memo knows by a key: whoever changes it calls this.
func (h *Host) Forget(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.memo, key)
}

// ForgetAll drops everything that Memo knows: for what may have changed anything,
// like a command of an operator.
func (h *Host) ForgetAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.memo)
}

// Fleeting begins the keys of what Memo knows only until something on the host is
// changed: which services run, say.
const Fleeting = "until a change: "

// Changed drops what Fleeting keys know. Whoever applies resources calls it after each.
func (h *Host) Changed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.memo {
		if strings.HasPrefix(key, Fleeting) {
			delete(h.memo, key)
		}
	}
}

// Command is a program to run on the host.
type Command struct {
	Args  []string
	Stdin []byte
	Env   []string // added to a plain environment
	Dir   string
	User  string // runs as this user
	// Within is the longest it may take, default 10 minutes. After that it is killed,
	// with everything that it started.
	Within time.Duration
}

// Output is what a program said.
type Output struct {
	Stdout, Stderr []byte // the last MiB of each
	Code           int
}

// largestOutput bounds what is kept of a program's output.
const largestOutput = 1 << 20

// Exec runs a program to its end. A program that ends with another code than 0 is no
// error here; one that could not be run, or took too long, is.
func (h *Host) Exec(ctx context.Context, c Command) (Output, error) {
	if c.Within <= 0 {
		c.Within = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	// Programs answer in English and ask nothing.
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}, c.Env...)
	cmd := exec.CommandContext(ctx, program(c.Args[0], env), c.Args[1:]...)
	cmd.Args[0] = c.Args[0]
	cmd.Env, cmd.Dir = env, cmp.Or(c.Dir, "/")
	if _, err := os.Stat(cmd.Dir); errors.Is(err, fs.ErrNotExist) { // the kernel would say that of the program
		return Output{}, fault.New(fault.NotFound, "run %s: there is no folder %s to run it in", c.Args[0], cmd.Dir)
	}
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	stdout, stderr := &tail{}, &tail{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.User != "" {
		credential, home, err := lookUp(c.User)
		if err != nil {
			return Output{}, fmt.Errorf("run %s: %w", c.Args[0], err)
		}
		cmd.SysProcAttr.Credential = credential
		cmd.Env = append(cmd.Env, "HOME="+home, "USER="+c.User, "LOGNAME="+c.User)
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // a daemon that it started may hold its output open
	err := cmd.Run()
	out := Output{stdout.bytes(), stderr.bytes(), cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return out, fmt.Errorf("run %s: not done within %s, killed%s", strings.Join(c.Args, " "), c.Within, said(out))
	case errors.Is(err, exec.ErrWaitDelay):
		return out, nil
	case err != nil && !errors.As(err, &exit):
		return out, fmt.Errorf("run %s: %w", c.Args[0], err)
	case out.Code < 0:
		return out, fmt.Errorf("run %s: %w%s", strings.Join(c.Args, " "), err, said(out))
	}
	return out, nil
}

// program finds a program on the path of its own environment, which is not that of this
// process. What is not found stays a name.
func program(name string, env []string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, set := range slices.Backward(env) { // the last one counts
		list, ok := strings.CutPrefix(set, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(found) {
				return found
			}
		}
		break
	}
	return name
}

// Run runs a program that has to end with 0, and returns what it wrote.
func (h *Host) Run(ctx context.Context, args ...string) (string, error) {
	return h.RunCommand(ctx, Command{Args: args})
}

// RunCommand is Run for more than arguments.
func (h *Host) RunCommand(ctx context.Context, c Command) (string, error) {
	out, err := h.Exec(ctx, c)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("run %s: ended with code %d%s", strings.Join(c.Args, " "), out.Code, said(out))
	}
	return string(out.Stdout), err
}

// said is the end of what a program wrote, for an error.
func said(o Output) string {
	b := bytes.TrimSpace(o.Stderr)
	if len(b) == 0 {
		b = bytes.TrimSpace(o.Stdout)
	}
	if len(b) == 0 {
		return ""
	}
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return ": " + strings.ToValidUTF8(string(b), "?")
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*largestOutput {
		t.b = append([]byte(nil), t.b[len(t.b)-largestOutput:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte { return t.b[max(0, len(t.b)-largestOutput):] }

// Has tells whether a program is installed.
func (h *Host) Has(program string) bool {
	_, err := Memo(h, "program "+program, func() (string, error) { return exec.LookPath(program) })
	return err == nil
}
