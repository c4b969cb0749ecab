package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// Command is a program that is run when it has to be.
type Command struct {
	Run      string            `yaml:"run,omitempty" doc:"What to run, as text for /bin/sh."`
	Args     []string          `yaml:"args,omitempty" doc:"Instead of run: program and arguments, which no shell touches."`
	Name     string            `yaml:"name,omitempty" doc:"How others refer to it; else what it runs."`
	Creates  string            `yaml:"creates,omitempty" doc:"Path that it makes: it runs only if that is missing."`
	Removes  string            `yaml:"removes,omitempty" doc:"Path that it removes: it runs only if that is there."`
	OnlyIf   string            `yaml:"only_if,omitempty" doc:"Shell text that changes nothing: it runs only if this ends with 0."`
	Unless   string            `yaml:"unless,omitempty" doc:"Shell text that changes nothing: it runs only if this does not end with 0."`
	OnNotify bool              `yaml:"on_notify,omitempty" doc:"Run only when a changed resource notifies it."`
	User     string            `yaml:"user,omitempty" doc:"Who runs it, and what only_if and unless say; else root."`
	Dir      string            `yaml:"dir,omitempty" doc:"Folder to run it in." default:"/"`
	Env      map[string]string `yaml:"env,omitempty" doc:"Environment variables."`
	Timeout  config.Duration   `yaml:"timeout,omitempty" doc:"After this it is killed with everything that it started." default:"10m"`
	Codes    []int             `yaml:"codes,omitempty" doc:"Exit codes that mean done." default:"[0]"`

	ran bool // in this run, so that a notification does not repeat it
}

func commandKind() infra.Kind {
	return infra.Kind{
		Name: "command", Key: "run",
		Doc: "Runs a command. Say when it is needed, with creates, removes, only_if, unless or on_notify: without any of them it runs each time, and the host is never as declared.",
		Example: `command: tar -xzf /srv/app.tar.gz -C /srv/app
creates: /srv/app/bin
user: web
timeout: 2m
`,
		New: func() infra.Resource { return &Command{} },
	}
}

// ID is the name, or the command on one line.
func (c *Command) ID() string {
	if c.Name != "" {
		return c.Name
	}
	return strings.Join(strings.Fields(c.line()), " ")
}

// Check refuses what cannot run.
func (c *Command) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	if (strings.TrimSpace(c.Run) == "") == (len(c.Args) == 0) {
		wrong("run: say what to run, either with run as a text for the shell or with args as a list")
	}
	if len(c.Args) > 0 && c.Args[0] == "" {
		wrong("args[0]: the program is missing")
	}
	for key, p := range map[string]string{"creates": c.Creates, "removes": c.Removes, "dir": c.Dir} {
		if p != "" && !path.IsAbs(p) {
			wrong("%s: %q is no absolute path", key, p)
		}
	}
	for name := range c.Env {
		if name == "" || strings.ContainsAny(name, "= \x00") {
			wrong("env: %q is no name of a variable", name)
		}
	}
	if c.Timeout <= 0 {
		wrong("timeout: must be more than 0")
	}
	for i, code := range c.Codes {
		if code < 0 || code > 255 {
			wrong("codes[%d]: %d is not from 0 to 255", i, code)
		}
	}
	return errors.Join(errs...)
}

// Gives names what it makes.
func (c *Command) Gives() []string {
	if c.Creates == "" {
		return nil
	}
	return []string{"path:" + path.Clean(c.Creates)}
}

// Needs names the user, the folder and the program.
func (c *Command) Needs() []string {
	var all []string
	if c.User != "" {
		all = append(all, "user:"+c.User)
	}
	if c.Dir != "" && c.Dir != "/" {
		all = append(all, "path:"+path.Clean(c.Dir))
	}
	if len(c.Args) > 0 && path.IsAbs(c.Args[0]) {
		all = append(all, "path:"+path.Clean(c.Args[0]))
	}
	return all
}

// Diff tells whether it would run.
func (c *Command) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	if c.OnNotify {
		return infra.Diff{}, nil
	}
	why, err := c.needed(ctx, h)
	if err != nil || why == "" {
		return infra.Diff{}, err
	}
	d := infra.Diff{Action: infra.Run}
	d.Set("run", "", c.line())
	d.Set("because", "", why)
	return d, nil
}

func (c *Command) line() string {
	if c.Run != "" {
		return strings.TrimSpace(c.Run)
	}
	return strings.Join(c.Args, " ")
}

// needed says why it has to run, and nothing if it has not.
func (c *Command) needed(ctx context.Context, h *infra.Host) (string, error) {
	var why []string
	if c.Creates != "" {
		if _, err := os.Lstat(c.Creates); err == nil {
			return "", nil
		}
		why = append(why, c.Creates+" is missing")
	}
	if c.Removes != "" {
		if _, err := os.Lstat(c.Removes); err != nil {
			return "", nil
		}
		why = append(why, c.Removes+" is there")
	}
	for _, guard := range []struct {
		key, text string
		runs      bool
	}{{"only_if", c.OnlyIf, true}, {"unless", c.Unless, false}} {
		if guard.text == "" {
			continue
		}
		// What an earlier resource has yet to make cannot be asked.
		if _, ok, err := h.User(c.User); c.User != "" && (!ok || err != nil) {
			why = append(why, "there is no user "+c.User+" yet to ask "+guard.key)
			continue
		}
		if _, err := os.Stat(c.dir()); err != nil {
			why = append(why, "there is no folder "+c.dir()+" yet to ask "+guard.key+" in")
			continue
		}
		out, err := h.Exec(ctx, c.command("/bin/sh", "-c", guard.text))
		if err != nil {
			return "", fmt.Errorf("ask %s: %w", guard.key, err)
		}
		if (out.Code == 0) != guard.runs {
			return "", nil
		}
		why = append(why, fmt.Sprintf("%s ended with code %d", guard.key, out.Code))
	}
	if len(why) == 0 {
		return "nothing says when it is needed: it runs each time", nil
	}
	return strings.Join(why, ", "), nil
}

func (c *Command) dir() string {
	if c.Dir == "" {
		return "/"
	}
	return c.Dir
}

func (c *Command) command(args ...string) infra.Command {
	cmd := infra.Command{Args: args, Dir: c.dir(), User: c.User, Within: c.Timeout.Std()}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		cmd.Env = append(cmd.Env, name+"="+c.Env[name])
	}
	return cmd
}

// Apply runs it.
func (c *Command) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	args := c.Args
	if c.Run != "" {
		args = []string{"/bin/sh", "-c", c.Run}
	}
	defer h.ForgetAll()
	out, err := h.Exec(ctx, c.command(args...))
	if err != nil {
		return err
	}
	if !slices.Contains(c.Codes, out.Code) {
		return fmt.Errorf("ended with code %d%s%s", out.Code, c.wanted(), ending(out))
	}
	if c.Creates != "" {
		if _, err := os.Lstat(c.Creates); err != nil {
			return fmt.Errorf("ended with code %d, but %s is still missing (correct creates, or the command)%s", out.Code, c.Creates, ending(out))
		}
	}
	if c.Removes != "" {
		if _, err := os.Lstat(c.Removes); err == nil {
			return fmt.Errorf("ended with code %d, but %s is still there (correct removes, or the command)%s", out.Code, c.Removes, ending(out))
		}
	}
	c.ran = true
	return nil
}

// wanted lists the codes that mean done, when they are not the common one.
func (c *Command) wanted() string {
	if len(c.Codes) == 1 && c.Codes[0] == 0 {
		return ""
	}
	var all []string
	for _, code := range c.Codes {
		all = append(all, strconv.Itoa(code))
	}
	return " (done is " + strings.Join(all, ", ") + ")"
}

// ending is the end of what a program wrote, for an error: at most 20 lines.
func ending(out infra.Output) string {
	var parts []string
	for _, b := range [][]byte{out.Stdout, out.Stderr} {
		text := strings.ToValidUTF8(strings.TrimSpace(string(b[max(0, len(b)-4000):])), "?")
		if lines := strings.Split(text, "\n"); len(lines) > 10 {
			text = "…\n" + strings.Join(lines[len(lines)-10:], "\n")
		}
		if text != "" {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return ", and wrote nothing"
	}
	return ":\n" + strings.Join(parts, "\n")
}

// Notify runs it because something changed, unless it ran just now or what guards it
// says that there is no need.
func (c *Command) Notify(ctx context.Context, h *infra.Host) error {
	if c.ran {
		return nil
	}
	why, err := c.needed(ctx, h)
	if err != nil || why == "" {
		return err
	}
	return c.Apply(ctx, h, infra.Diff{Action: infra.Run})
}
