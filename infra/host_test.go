package infra_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"steer/infra"
	"steer/infra/infratest"
)

func TestFacts(t *testing.T) {
	infratest.Inside(t, func() { facts(t) })
}

func facts(t *testing.T) {
	h := infra.NewHost(t.Context())
	f := h.Facts
	if f.OS.ID != "debian" || f.OS.Family != "debian" || f.OS.Codename != "bookworm" || f.Packages != "apt" || !f.Container || f.Memory < 1<<28 || f.CPUs < 1 {
		t.Errorf("%+v", f)
	}
	if name, _ := os.Hostname(); f.Name != name {
		t.Errorf("host name %q, want %q", f.Name, name)
	}
	if root, ok, err := h.User("root"); !ok || err != nil || root.UID != 0 || root.Home != "/root" {
		t.Errorf("%+v %v %v", root, ok, err)
	}
}

func TestExec(t *testing.T) {
	infratest.Inside(t, func() { execute(t) })
}

func execute(t *testing.T) {
	h := infra.NewHost(t.Context())
	out, err := h.RunCommand(t.Context(), infra.Command{Args: []string{"sh", "-c", "id -un; pwd; cat; echo $HOME"}, Stdin: []byte("given\n"), Dir: "/tmp", User: "nobody"})
	if err != nil || out != "nobody\n/tmp\ngiven\n/nonexistent\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := h.Run(t.Context(), "sh", "-c", "echo no such thing >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "code 3: no such thing") {
		t.Error(err)
	}
	start := time.Now()
	if _, err := h.RunCommand(t.Context(), infra.Command{Args: []string{"sh", "-c", "sleep 60 & wait"}, Within: 100 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "not done within 100ms") {
		t.Error(err)
	}
	if time.Since(start) > 20*time.Second {
		t.Error("the child was waited for")
	}
	if _, err := h.Run(t.Context(), "no-such-program"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
}

func TestSystemd(t *testing.T) {
	infratest.InsideSystemd(t, func() { systemd(t) })
}

func systemd(t *testing.T) {
	if f := infra.NewHost(t.Context()).Facts; f.Init != "systemd" {
		t.Errorf("%+v", f)
	}
}
