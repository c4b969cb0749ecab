package tour

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// shell runs the commands of the tour, and prints each before it does.
type shell struct {
	screen  *screen
	program string // this very program, called "steer" on the screen
	env     []string
	folder  string // that paths on the screen are shortened against
}

// run runs a command in a folder and returns what it printed to standard output.
func (s *shell) run(ctx context.Context, dir string, words ...string) (string, error) {
	s.screen.command(s.shown(dir, words))
	return s.quietly(ctx, dir, words...)
}

// quietly runs a command that is no news.
func (s *shell) quietly(ctx context.Context, dir string, words ...string) (string, error) {
	name := words[0]
	if name == "steer" {
		name = s.program
	}
	var out, errors bytes.Buffer
	cmd := exec.CommandContext(ctx, name, words[1:]...)
	cmd.Dir, cmd.Env = dir, s.env
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tour, which then ends it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(words[:min(2, len(words))], " "), context.Cause(ctx))
		}
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, strings.TrimSpace(errors.String()+out.String()))
	}
	return out.String(), nil
}

// shown is the command as a person would type it.
func (s *shell) shown(dir string, words []string) string {
	shown := make([]string, len(words))
	for i, w := range words {
		shown[i] = quoted(w)
	}
	text := strings.Join(shown, " ")
	if rel, err := filepath.Rel(s.folder, dir); err == nil && rel != "." && words[0] == "git" {
		return "git -C " + rel + strings.TrimPrefix(text, "git")
	}
	return text
}

func quoted(word string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./:=@,+~", c)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// commandEnv is the tour's for its commands: the user's, without what would
// lead Git or Steer elsewhere.
func commandEnv(data string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STEER_") && !strings.HasPrefix(v, "GIT_") {
			env = append(env, v)
		}
	}
	return append(env, "STEER_DATA="+data, "NO_COLOR=1",
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada Lovelace", "GIT_COMMITTER_EMAIL=ada@example.com")
}

// login lets Git send a token to a server, without the token on any command line.
func login(url, token string) []string {
	return []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + url + "/.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Bearer " + token}
}

// tools says what is missing on this machine.
func tools(names ...string) error {
	var missing []error
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, fmt.Errorf("the tour needs %q, which is not in PATH", name))
		}
	}
	return errors.Join(missing...)
}
