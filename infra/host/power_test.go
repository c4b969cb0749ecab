package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
	"steer/infra/infratest"
)

// TestPower: a host is stopped in each way, as others see it, and start undoes all.
func TestPower(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	network := fmt.Sprintf("steer-test-power-%d", os.Getpid())
	made := func(n int) Host {
		h := Host{Name: fmt.Sprintf("%s-%d", network, n), Entry: Entry{Make: &Make{Docker: &Docker{Image: infratest.Image, Run: []string{"sleep", "infinity"}, Network: network}}}}
		t.Cleanup(func() { exec.Command("docker", "rm", "--force", h.Name).Run() })
		return h
	}
	t.Cleanup(func() { exec.Command("docker", "network", "rm", network).Run() })
	h, other := made(1), made(2)
	answers := func() error { return Container(h.Name).Run(t.Context(), Call{Args: []string{"true"}}) }
	looks := func(want string) {
		t.Helper()
		if is, err := Condition(t.Context(), h); err != nil || is != want {
			t.Errorf("it looks %q, want %q: %v", is, want, err)
		}
	}
	if err := SwitchOn(t.Context(), h); fault.Of(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	looks(Missing)
	if err := SwitchOff(t.Context(), h, Off); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "was not made yet (steer host create "+h.Name) {
		t.Errorf("got %v", err)
	}
	if err := answers(); err == nil || !strings.Contains(err.Error(), "there is none (steer host create "+h.Name+" makes it") {
		t.Errorf("got %v", err)
	}
	for _, h := range []Host{h, other} {
		if _, err := Create(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if got := Ways(h); !slices.Equal(got, []string{Off, Kill, Freeze, Cut}) {
		t.Errorf("%v", got)
	}
	sees := func() bool {
		return Container(other.Name).Run(t.Context(), Call{Args: []string{"getent", "hosts", h.Name}}) == nil
	}
	for _, way := range []string{Off, Kill, Freeze, Cut} {
		if err := answers(); err != nil || !sees() {
			t.Fatalf("before %s: %v", way, err)
		}
		if out, err := exec.Command("docker", "exec", "--detach", h.Name, "sh", "-c", "rm -f /root/said; trap 'echo >/root/said; exit' TERM; echo >/root/up-"+way+"; while :; do sleep 0.05; done").CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
		if err := Container(h.Name).Run(t.Context(), Call{Args: []string{"sh", "-c", "until [ -e /root/up-" + way + " ]; do sleep 0.02; done"}}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time it is so
			if err := SwitchOff(t.Context(), h, way); err != nil {
				t.Fatalf("%s: %v", way, err)
			}
		}
		looks(map[string]string{Off: Stopped, Kill: Stopped, Freeze: Frozen, Cut: CutOff}[way])
		err := answers()
		switch {
		case way == Cut && (err != nil || sees()):
			t.Errorf("cut: %v, seen %v", err, sees())
		case way != Cut && (fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), ": it is "+map[string]string{Off: "stopped", Kill: "stopped", Freeze: "frozen"}[way]+" (steer host start "+h.Name+" starts it")):
			t.Errorf("%s: it answers: %v", way, err)
		}
		if way == Kill {
			if err := SwitchOff(t.Context(), h, Freeze); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "it does not run") {
				t.Errorf("got %v", err)
			}
		}
		for range 2 {
			if err := SwitchOn(t.Context(), h); err != nil {
				t.Fatalf("start after %s: %v", way, err)
			}
		}
		looks(Runs)
		if told := Container(h.Name).Run(t.Context(), Call{Args: []string{"test", "-e", "/root/said"}}) == nil; told != (way == Off) {
			t.Errorf("%s: what ran there was asked to end: %v", way, told)
		}
	}
	// All of them at once, from frozen.
	for _, way := range []string{Cut, Freeze, Kill} {
		if err := SwitchOff(t.Context(), h, way); err != nil {
			t.Fatal(way, err)
		}
	}
	// Its network goes with the other one, and comes back with it.
	if err := Destroy(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if made, err := Create(t.Context(), h); made || err != nil || answers() != nil {
		t.Error(made, err, answers())
	}
	// A host that is stopped keeps the network; one that is frozen can be destroyed.
	if _, err := Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := SwitchOff(t.Context(), h, Off); err != nil {
		t.Fatal(err)
	}
	if err := Destroy(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := SwitchOn(t.Context(), h); err != nil {
		t.Error(err)
	}
	if err := SwitchOff(t.Context(), h, Freeze); err != nil {
		t.Fatal(err)
	}
	if err := Destroy(t.Context(), h); err != nil {
		t.Error(err)
	}
	if exec.Command("docker", "network", "inspect", network).Run() == nil {
		t.Error("the network outlives its last host")
	}
	foreign := container(t, "--network=none", infratest.Image, "sleep", "infinity")
	h.Name = foreign
	if err := SwitchOff(t.Context(), h, Kill); fault.Of(err) != fault.Denied {
		t.Errorf("got %v", err)
	}
}

// TestPowerOfOthers: programs do what they are told, and for what Steer cannot do there
// is a way out.
func TestPowerOfOthers(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	say := func(word string) []string {
		return []string{"sh", "-c", "echo " + word + ` "$1" >>` + said, "sh", "{}"}
	}
	h := Host{Name: "a", Entry: Entry{Make: &Make{Command: &Programs{Create: say("create"), Destroy: say("destroy"), Stop: say("stop"), Start: say("start")}}}}
	for _, err := range []error{SwitchOff(t.Context(), h, Off), SwitchOn(t.Context(), h)} {
		if err != nil {
			t.Error(err)
		}
	}
	if b, _ := os.ReadFile(said); string(b) != "stop a\nstart a\n" {
		t.Errorf("%q", b)
	}
	if err := SwitchOff(t.Context(), h, Freeze); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "knows only stop") {
		t.Errorf("got %v", err)
	}
	for text, h := range map[string]Host{
		"poweroff on the host itself":      {Name: "a"},
		"nothing runs between visits":      {Name: "a", Entry: Entry{Make: &Make{Debootstrap: &Debootstrap{}}}},
		"leaves it to OpenTofu":            {Name: "a", Entry: Entry{Make: &Make{Tofu: &Tofu{}}}},
		"add stop: and start: to make.com": {Name: "a", Entry: Entry{Make: &Make{Command: &Programs{Create: []string{"x"}, Destroy: []string{"x"}}}}},
	} {
		if err := SwitchOff(t.Context(), h, Off); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), text) || len(Ways(h)) > 0 {
			t.Errorf("got %v, want %s", err, text)
		}
	}
	if got := Ways(Host{Entry: Entry{Make: &Make{Docker: &Docker{Network: "none"}}}}); slices.Contains(got, Cut) {
		t.Errorf("%v", got)
	}
}

// TestPowerOfSystemd: what systemd runs ends in order.
func TestPowerOfSystemd(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	h := Host{Name: fmt.Sprintf("steer-test-off-%d", os.Getpid()), Entry: Entry{Make: &Make{Docker: &Docker{
		Image: infratest.Image, Run: []string{"/sbin/init"}, Rights: []string{"SYS_ADMIN", "NET_ADMIN"}, Network: "none"}}}}
	defer exec.Command("docker", "rm", "--force", h.Name).Run()
	if _, err := Create(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	unit := "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=true\\nExecStop=touch /root/ended\\n' >/run/systemd/system/told.service; systemctl start told"
	if err := Container(h.Name).Run(t.Context(), Call{Args: []string{"sh", "-c", unit}}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := SwitchOff(t.Context(), h, Off); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	if err := SwitchOn(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if err := Container(h.Name).Run(t.Context(), Call{Args: []string{"test", "-e", "/root/ended"}}); err != nil {
		t.Errorf("its services were not stopped (it took %s): %v", took, err)
	}
}
