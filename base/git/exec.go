package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
)

// outputLimit bounds what one git command may print, in bytes.
const outputLimit = 64 << 20

// settings are given to every git process; they win over a repository's own.
var settings = []string{
	"safe.directory=*", // the data folder may belong to another user, as in a container
	"core.quotePath=false",
	"core.attributesFile=/dev/null",
	"core.excludesFile=/dev/null",
	// What was acknowledged survives power loss; git leaves loose objects to the
	// kernel by default.
	"core.fsync=all",
	"core.logAllRefUpdates=true",
	"gc.autoDetach=false", // no process outlives the command that started it
	"i18n.logOutputEncoding=UTF-8",
	"http.lowSpeedLimit=1000",
	"http.lowSpeedTime=30",
	"log.showSignature=false",
}

// environ is the whole environment of a git process.
func environ(extra ...string) []string {
	env := []string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=/bin/false",
		"SSH_ASKPASS=/bin/false",
		"GIT_ALLOW_PROTOCOL=http:https:ssh:file",
		"GIT_SSH_COMMAND=" + cmp.Or(os.Getenv("GIT_SSH_COMMAND"), "ssh -o BatchMode=yes -o ConnectTimeout=10"),
	}
	for _, name := range []string{
		"HOME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
		"http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY",
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, extra...)
}

// configure returns settings as environment variables, in the form that git
// hands on to the processes that it starts.
func configure(more ...string) []string {
	all := append(settings[:len(settings):len(settings)], more...)
	env := []string{"GIT_CONFIG_COUNT=" + strconv.Itoa(len(all))}
	for i, s := range all {
		key, value, _ := strings.Cut(s, "=")
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+key, "GIT_CONFIG_VALUE_"+n+"="+value)
	}
	return env
}

const noHooks = "core.hooksPath=/dev/null"

// call is one run of git.
type call struct {
	args  []string
	env   []string // beside environ and configure
	dir   string   // working directory
	stdin io.Reader
	read  func(io.Reader) error // gets the output while it comes; nil: collect it
	hide  map[string]string     // texts to replace in errors
}

// failed is a git process that ended badly.
type failed struct {
	verb   string
	code   int
	stderr string
}

func (f *failed) Error() string {
	return "git " + f.verb + ": " + cmp.Or(f.stderr, "exit code "+strconv.Itoa(f.code))
}

// exec runs git to its end and returns what it printed.
func (c call) exec(ctx context.Context) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", c.args...)
	cmd.Env = append(environ(configure(noHooks)...), c.env...)
	cmd.Dir = c.dir
	cmd.Stdin = c.stdin
	stderr := &tail{limit: 8 << 10}
	cmd.Stderr = stderr
	// git starts others (remote helpers, ssh); they end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second

	out := &bounded{limit: outputLimit}
	var done chan error
	if c.read == nil {
		cmd.Stdout = out
	} else {
		pr, pw := io.Pipe()
		cmd.Stdout = pw
		done = make(chan error, 1)
		go func() {
			err := c.read(pr)
			pr.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
			done <- err
		}()
		defer pw.Close()
	}
	verb := verb(c.args)
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // who ignored SIGTERM
	}
	if done != nil {
		cmd.Stdout.(*io.PipeWriter).Close()
		if e := <-done; e != nil && fault.Of(e) != fault.Internal {
			return nil, e
		}
	}
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return out.Bytes(), nil
	case out.full:
		return nil, fault.New(fault.TooMuch, "git %s: prints more than %d MiB", verb, outputLimit>>20)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", verb, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return nil, fault.New(fault.Unavailable, "run git: not found in PATH: install git")
	case errors.As(err, &exit):
		// One line: it becomes part of an error.
		text := strings.Join(strings.FieldsFunc(stderr.String(), func(c rune) bool { return c == '\n' || c == '\r' }), "; ")
		for secret, shown := range c.hide {
			text = strings.ReplaceAll(text, secret, shown)
		}
		return nil, &failed{verb, exit.ExitCode(), strings.TrimPrefix(text, "fatal: ")}
	}
	return nil, fmt.Errorf("git %s: %w", verb, err)
}

// verb is the git command among args.
func verb(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}

// code is git's exit code in err, or -1.
func code(err error) int {
	var f *failed
	if errors.As(err, &f) {
		return f.code
	}
	return -1
}

// bounded collects up to limit bytes and refuses more, which ends the writer.
type bounded struct {
	bytes.Buffer
	limit int
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		b.full = true
		return 0, io.ErrShortBuffer
	}
	return b.Buffer.Write(p)
}

// tail keeps the last limit bytes, since the reason of a failure comes last.
type tail struct {
	buf   []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.buf), "?") }
