package tour

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCommandsAreShownAsTyped(t *testing.T) {
	s := &shell{folder: "/tmp/x"}
	for _, c := range []struct {
		dir   string
		words []string
		want  string
	}{
		{"/tmp/x/catalog", []string{"git", "commit", "-m", "It's new"}, `git -C catalog commit -m 'It'\''s new'`},
		{"/tmp/x", []string{"git", "clone", "http://127.0.0.1:1/git/definitions.git"}, "git clone http://127.0.0.1:1/git/definitions.git"},
		{"/tmp/x/catalog", []string{"steer", "why", "incident/1"}, "steer why incident/1"},
		{"/tmp/x", []string{"echo", ""}, "echo ''"},
	} {
		if got := s.shown(c.dir, c.words); got != c.want {
			t.Errorf("%q in %s is shown as %s, want %s", c.words, c.dir, got, c.want)
		}
	}
}

func TestFailedCommandSaysWhy(t *testing.T) {
	var out strings.Builder
	s := &shell{screen: newScreen(&out, false, false), folder: t.TempDir()}
	_, err := s.run(t.Context(), s.folder, "sh", "-c", "echo out; echo why >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "why") {
		t.Errorf("error: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrDeadlineExceeded)
	if _, err := s.quietly(ctx, s.folder, "sleep", "60"); err == nil || !strings.Contains(err.Error(), os.ErrDeadlineExceeded.Error()) {
		t.Errorf("error of an ended tour: %v", err)
	}
}

func TestEnvironmentLeadsNowhereElse(t *testing.T) {
	t.Setenv("STEER_SERVER", "http://elsewhere")
	t.Setenv("GIT_DIR", "/elsewhere")
	env := commandEnv("/data")
	for _, v := range env {
		if strings.Contains(v, "elsewhere") {
			t.Errorf("%s is passed on", v)
		}
	}
	if !slices.Contains(env, "STEER_DATA=/data") {
		t.Error("commands do not find the data folder")
	}
}

func TestReceiverKeepsMessages(t *testing.T) {
	r, err := startReceiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for body, want := range map[string]int{`{"incident": 1, "transition": "opened", "text": "slow"}`: 204, `{`: 400} {
		res, err := http.Post(r.url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", body, res.StatusCode, want)
		}
	}
	if m, ok := r.got(1, "opened"); !ok || m.Text != "slow" {
		t.Errorf("opened: %+v, %v", m, ok)
	}
	if _, ok := r.got(1, "resolved"); ok {
		t.Error("resolved was never sent")
	}
}

func TestSweepEndsWhatRunsInTheFolder(t *testing.T) {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("no /proc")
	}
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(folder, "node")
	if err := os.Mkdir(node, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "600")
	cmd.Dir = node
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	sweep(folder)
	if err := <-ended; err == nil {
		t.Error("it ended by itself")
	}
	if left := inside(folder); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}

func TestServersAddressesAreRead(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("Steer dev serves at http://127.0.0.1:1\n  Graphite TCP   127.0.0.1:2\n  StatsD UDP     127.0.0.1:3\nlast\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &server{log: log}
	if got := s.address("StatsD UDP"); got != "127.0.0.1:3" {
		t.Errorf("StatsD at %q", got)
	}
	if got := s.address("Pickle"); got != "" {
		t.Errorf("something unknown at %q", got)
	}
	if got := s.tail(2); got != "  StatsD UDP     127.0.0.1:3\nlast" {
		t.Errorf("tail: %q", got)
	}
}
