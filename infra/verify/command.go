package verify

import (
	"context"
	"errors"
	"strings"
	"time"

	"steer/base/config"
	"steer/infra"
)

var commandKind = Kind{
	Name: "command",
	Doc: `What a shell command ends with and writes. It should only look: it is run again at every
try, and by everybody who runs the tests. One that is not done in time is killed and can't be judged.`,
	Key:     "run",
	Example: "command: {run: sshd -t, code: 0, stderr: \"\", within: 10s}",
	Stable:  []string{"code"},
	New:     func() Subject { return &command{} },
}

type command struct {
	Run    string          `yaml:"run" doc:"For sh -c, with a plain environment, in /."`
	User   string          `yaml:"user" doc:"User that it runs as; default: who runs the tests."`
	Within config.Duration `yaml:"within" doc:"How long it may take." default:"10s"`
	Code   Number          `yaml:"code" doc:"Code that it ends with." default:"0"`
	Stdout Text            `yaml:"stdout" doc:"Contents of its output."`
	Stderr Text            `yaml:"stderr" doc:"Contents of its error output."`
}

func (c *command) ID() string {
	line, more, _ := strings.Cut(strings.TrimSpace(c.Run), "\n")
	if len(line) > most || more != "" {
		line = strings.ToValidUTF8(line[:min(most, len(line))], "") + "…"
	}
	return line
}

func (c *command) Check() error {
	if strings.TrimSpace(c.Run) == "" || strings.Contains(c.Run, "\x00") {
		return errors.New("run: is missing, or no text that a shell can read")
	}
	return between("within", c.Within, 10*time.Minute)
}

func (c *command) Look(ctx context.Context, h *infra.Host) (Found, error) {
	out, err := h.Exec(ctx, infra.Command{Args: []string{"sh", "-c", c.Run}, User: c.User, Within: c.Within.Std()})
	if err != nil {
		return nil, err
	}
	code := any(out.Code)
	if text := cutText(string(out.Stderr)); out.Code != 0 && text != "" {
		code = Noted{out.Code, text}
	}
	return Found{"code": code, "stdout": said(out.Stdout), "stderr": said(out.Stderr)}, nil
}

// said is output to search in. The host keeps only the end of what is longer.
func said(b []byte) any {
	if len(b) >= 1<<20 {
		return errors.New("is longer than a MiB, the most that is searched")
	}
	return Content{Text: string(b)}
}
