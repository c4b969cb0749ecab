package app

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"steer/infra/converge"
	"steer/infra/infratest"
)

// TestVisitFillsTheDisk: a visit on which the disk fills up that holds what the host
// remembers tells what was done all the same; with room again the next one finishes it.
func TestVisitFillsTheDisk(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("docker", "run", "--rm", "--detach", "--network=none", "--tmpfs=/small:size=512k", infratest.Image, "sleep", "infinity").Output()
	if err != nil {
		t.Fatalf("start a host: %v", err)
	}
	name := strings.TrimSpace(string(out))
	t.Cleanup(func() { exec.Command("docker", "rm", "--force", name).Run() })
	m := manifest(t, map[string]string{"roles/web.yaml": `description: d
resources:
  - file: {path: /etc/first, content: "one\n"}
  - command: {name: fill, run: "head -c 1000000 /dev/zero >/small/full || true; touch /etc/filled", creates: /etc/filled}
  - file: {path: /small/last, content: "` + strings.Repeat("x", 10_000) + `"}
  - command: {name: after, run: touch /etc/after, creates: /etc/after}
`})
	var events []string
	visit := func() (converge.Report, error) {
		events = nil
		v, err := visitHost(t.Context(), "docker://"+name, way{program: self})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		return v.converge(m, toConverge{By: "test", Dir: "/small/state"}, func(e converge.Event) { events = append(events, fmt.Sprintf("%s %s %s", e.Ref, e.Status, e.Why)) })
	}
	r, err := visit()
	if err == nil || !strings.Contains(err.Error(), "no space left on device (where 0 of 512 KiB are free") || r.Counts[converge.Changed] != 2 || r.Counts[converge.Failed] != 1 || r.Counts[converge.Skipped] != 1 {
		t.Errorf("%+v %v\n%s", r, err, strings.Join(events, "\n"))
	}
	if out, err := exec.Command("docker", "exec", name, "sh", "-c", "ls /etc/after /small/last; rm /small/full").CombinedOutput(); err != nil || strings.Count(string(out), "No such file") != 2 {
		t.Errorf("%s %v", out, err)
	}
	r, err = visit()
	if err != nil || r.Failed() || r.CutOff == nil || r.Counts[converge.Changed] != 2 {
		t.Errorf("%+v %v\n%s", r, err, strings.Join(events, "\n"))
	}
	hash := r.Hash
	if r, err = visit(); err != nil || r.Counts[converge.OK] != 4 || r.Hash != hash {
		t.Errorf("%+v %v", r, err)
	}
}
