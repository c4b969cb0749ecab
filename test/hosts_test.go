package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/api/client"
	"steer/infra/infratest"
)

// TestKilledWhileHostsConverge: many hosts converge at the same time while the server,
// the program on a host, or a whole host is killed, again and again. In the end every
// host is as declared, and whoever was cut off has said so. STEER_SOAK is how many
// hosts there are.
func TestKilledWhileHostsConverge(t *testing.T) {
	infratest.NeedDocker(t)
	n, _ := strconv.Atoi(os.Getenv("STEER_SOAK"))
	n = max(n, 4)
	prefix := fmt.Sprintf("steer-many-%d", os.Getpid())
	docker := func(args ...string) string {
		out, _ := exec.Command("docker", args...).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	names := func() []string {
		return strings.Fields(docker("ps", "--all", "--filter", "name=^"+prefix, "--format", "{{.Names}}"))
	}
	t.Cleanup(func() { docker(append([]string{"rm", "-f"}, names()...)...) })
	p := serve(t, t.TempDir())
	hosts := fmt.Sprintf(`%s: {roles: [web], number: %d, group: web, make: {docker: {image: %s, run: [sleep, infinity]}}, converge: {every: 10s, dead: 1s, replace: false}}`, prefix, n, infratest.Image)
	role := func(text string) string {
		r := "description: Many files, and one that takes its time.\nresources:\n"
		for i := range 20 {
			r += fmt.Sprintf("  - file: {path: /etc/many-%d, content: \"%s %d\\n\"}\n", i, text, i)
			if i == 9 {
				r += fmt.Sprintf("  - command: {name: wait, run: \"sleep 0.5; echo %s > /etc/waited\", unless: \"grep -qx %s /etc/waited\"}\n", text, text)
			}
		}
		return r + "tests:\n  - command: {run: \"cat /etc/many-* | wc -l\", stdout: [\"20\"]}\n"
	}
	fleet := func() client.Fleet {
		f, err := p.api.Fleet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	follow := func(commit string) {
		t.Helper()
		start := time.Now()
		for range waits(10 * time.Minute) {
			f := fleet()
			well := 0
			for _, h := range f.Hosts {
				if h.State == "converged" && h.Hash == f.Hosts[0].Hash {
					well++
				}
			}
			if g := f.Groups; well == n && len(g) == 1 && g[0].Phase == "done" && g[0].Good == commit {
				t.Logf("%d hosts follow after %s", n, time.Since(start).Round(time.Millisecond))
				return
			} else if time.Since(start) > 5*time.Minute {
				t.Fatalf("%d of %d hosts follow: %+v", well, n, f)
			}
		}
	}
	start := time.Now()
	p.define(map[string]string{"hosts.yaml": hosts, "roles/web.yaml": role("one")})
	follow(p.revision())
	t.Logf("made and converged in %s", time.Since(start).Round(time.Millisecond))

	rounds := 6
	for round := range rounds {
		p.define(map[string]string{"roles/web.yaml": role(fmt.Sprintf("round%d", round))})
		// The kill comes while somebody is visited, at any moment of it.
		until(t, "somebody is visited", func() error {
			for _, h := range fleet().Hosts {
				if h.Running != 0 {
					return nil
				}
			}
			return fmt.Errorf("nobody is")
		})
		host := fmt.Sprintf("%s-%d", prefix, 1+rand.IntN(n)%2) // one of the first: they are visited first
		select {
		case <-time.After(time.Duration(rand.IntN(1200)) * time.Millisecond):
		case <-t.Context().Done():
		}
		switch round % 3 {
		case 0:
			p.kill()
			p = serve(t, p.data)
		case 1:
			docker("exec", host, "pkill", "-9", "steer-")
		case 2:
			docker("kill", host)
			docker("start", host)
		}
	}
	p.define(map[string]string{"roles/web.yaml": role("two")})
	commit := p.revision()
	follow(commit)
	for _, name := range names() {
		if out := docker("exec", name, "sh", "-c", "cat /etc/many-* | sort | uniq | grep -c two; cat /etc/waited; grep -c applying /var/lib/steer-host/state.json"); out != "20\ntwo\n0" {
			t.Errorf("%s: %q", name, out)
		}
	}
	all, err := p.api.Visits(t.Context(), "", 500)
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, v := range all {
		if v.CutOff != "" || v.State == "failed" || v.Attempts > 1 {
			said++
		}
	}
	t.Logf("%d visits, %d of them tell of a death", len(all), said)
}

// revision is the newest commit of the definitions.
func (p *process) revision() string {
	p.t.Helper()
	var now struct {
		Revision string `json:"revision"`
	}
	if err := p.api.Do(p.t.Context(), "GET", "/api/v1/definitions", nil, &now); err != nil {
		p.t.Fatal(err)
	}
	return now.Revision
}
