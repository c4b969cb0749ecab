package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"steer/api/client"
	"steer/base/id"
	"steer/deliver/deploy/deploytest"
)

// engine is the Docker engine, as a person sees it, with what one server made there.
type engine struct {
	t     *testing.T
	label string
}

// newEngine needs an engine that runs. What the server with this data folder makes
// there is gone after the test.
func newEngine(t *testing.T, data string) *engine {
	t.Helper()
	need(t, "docker")
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatalf("docker version: %v, and STEER_REQUIRE_ALL is set\n%s", err, out)
		}
		t.Skipf("docker version: %v", err)
	}
	e := &engine{t: t}
	t.Cleanup(func() { // after the server has ended
		b, err := os.ReadFile(filepath.Join(data, "instance"))
		if err != nil {
			t.Error(err)
			return
		}
		instance := strings.TrimSpace(string(b))
		short := strings.ToLower(instance[len(instance)-8:])
		for _, script := range []string{
			"docker rm -f $(docker ps -aq --filter label=steer.instance=" + instance + ")",
			"docker rmi $(docker images --format '{{.Repository}}:{{.Tag}}' --filter 'reference=steer/*' | grep :" + short + ")",
		} {
			if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
				t.Logf("%s: %v %s", script, err, out)
			}
		}
	})
	return e
}

func (e *engine) docker(args ...string) []string {
	e.t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.Fields(string(out))
}

// containers are the IDs of those that run, sorted.
func (e *engine) containers(data string) []string {
	e.t.Helper()
	b, err := os.ReadFile(filepath.Join(data, "instance"))
	if err != nil {
		e.t.Fatal(err)
	}
	all := e.docker("ps", "--quiet", "--filter", "label=steer.instance="+strings.TrimSpace(string(b)))
	slices.Sort(all)
	return all
}

// containerShop is the shop of the examples: an archive, or an image with a
// migration.
func containerShop(t *testing.T, p *process) (push func(kind, run string) client.Run) {
	t.Helper()
	s := &shop{t: t, p: p, dir: t.TempDir()}
	s.git("init", "--quiet", "-b", "main")
	build := exec.Command("go", "build", "-o", filepath.Join(s.dir, "catalog"), ".")
	build.Dir = "../examples/catalog"
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := deploytest.Program()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "node"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	p.define(map[string]string{
		"environments.yaml": "production:\n  driver: docker\n  warm: 1h\n  nodes:\n  - {services: [shop], number: 2}\nlocal:\n  nodes:\n  - {services: [shop]}\n",
		"services.yaml":     "shop: {}\n",
		"teams.yaml":        "{}\n",
	})
	return func(kind, run string) client.Run {
		s.n++
		return s.commit(map[string]string{"steer.yaml": fmt.Sprintf(`service: shop
artifact: {%s, paths: [catalog, node]}
run:
  command: ./catalog
  ports: {http: 8080}
  health: {http: /healthz, within: 60s}
  limits: {memory: 64m, pids: 100}
  grace: 3s
  env: {GREETING: v%d}
%s
pipeline:
  - {stage: commit, run: "true"}
  - {stage: production, deploy: production}
`, kind, s.n, run)})
	}
}

// serves waits until two healthy nodes of a version run, and returns them.
func (p *process) serves(version id.Version) client.Placement {
	p.t.Helper()
	var found client.Placement
	until(p.t, fmt.Sprintf("two nodes serve %s", version), func() error {
		now, err := p.api.Now(p.t.Context())
		if err != nil {
			return err
		}
		for _, s := range now.Services {
			for _, place := range s.Placements {
				healthy := 0
				for _, n := range place.Nodes {
					if n.Version == version && n.State == "healthy" && n.Serving {
						healthy++
					}
				}
				if place.Version == version && healthy == 2 {
					found = place
					return nil
				}
				err = fmt.Errorf("%s with %+v", place.Version, place.Nodes)
			}
		}
		return err
	})
	return found
}

func TestServiceInContainers(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	e := newEngine(t, data)
	p := serve(t, data, "store.schemas="+secondly(t), "aggregate.statsd.flush=1s")
	push := containerShop(t, p)
	p.run(push("kind: archive", "").ID, "passed")
	address := p.shopAddress()
	p.serves("b1")
	watch := watchShop(t, address)

	// The next version is an image, and migrates.
	p.run(push("kind: oci-image, base: scratch", "  migrate: ./node 0 migrated").ID, "passed")
	p.serves("b2")
	deploys, err := p.api.Deploys(t.Context(), "shop", "production", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := deploys[0].Steps[0]; got.Name != "migrate to b2" || got.State != "passed" || strings.TrimSpace(strings.Join(got.Log, "\n")) != "task [0 migrated]" {
		t.Errorf("%+v", got)
	}
	if n := len(e.containers(data)); n != 4 {
		t.Errorf("%d containers, want two that serve and two that stay warm", n)
	}
	// Others get it from the registry: its index leads them to the image.
	image, err := remote.Image(p.image("shop:b2"), p.login())
	if err == nil {
		err = validate.Image(image)
	}
	if err != nil {
		t.Errorf("b2 in the registry: %v", err)
	}
	_, err = p.api.Deploy(t.Context(), "shop", "local", "b2", "for a test", false)
	if err == nil || !strings.Contains(err.Error(), "it is a container image, and environment local runs processes (set driver: docker") {
		t.Errorf("an image as a process: %v", err)
	}

	// One that cannot migrate leaves all as it is.
	run := p.run(push("kind: archive", "  migrate: ./node 3 broken").ID, "failed")
	if !strings.Contains(run.Reason, "migrate to b3: exit status 3") {
		t.Errorf("reason %q", run.Reason)
	}
	p.serves("b2")

	if _, err := p.api.Rollback(t.Context(), "shop", "production", "", "for a test"); err != nil {
		t.Fatal(err)
	}
	place := p.serves("b1")
	if failed := watch(); failed != "" {
		t.Errorf("a request failed: %s", failed)
	}
	p.appears("stats.timers.catalog.production.ttfb.count", func(v float64) bool { return v > 0 })

	// Others end a container.
	for _, by := range [][]string{{"kill"}, {"rm", "-f"}} {
		e.docker(append(by, e.containers(data)[0])...)
		until(t, "the death is told", func() error {
			now := p.serves("b1")
			sum := 0
			for _, n := range now.Nodes {
				sum += n.Restarts
			}
			before := 0
			for _, n := range place.Nodes {
				before += n.Restarts
			}
			if sum != before+1 {
				return fmt.Errorf("%d restarts, %d before", sum, before)
			}
			place = now
			return nil
		})
	}
	out := p.logs(place.Nodes[0].ID)
	if !strings.Contains(out, "catalog") {
		t.Errorf("log %q", out)
	}

	// Without Steer they live on, and the next one finds them.
	before := e.containers(data)
	p.kill()
	if now := e.containers(data); !slices.Equal(now, before) {
		t.Errorf("containers %v, before %v", now, before)
	}
	p = serve(t, p.data)
	p.serves("b1")
	p.answersAtAll(address)
	if now := e.containers(data); !slices.Equal(now, before) {
		t.Errorf("containers %v, before %v", now, before)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if now := e.containers(data); len(now) > 0 {
		t.Errorf("containers %v run after an orderly end", now)
	}
}

// logs are the last lines of a node.
func (p *process) logs(node string) string {
	p.t.Helper()
	out, err := exec.Command(program(p.t, "steer"), "logs", node, "--server", p.url, "--token", p.token).CombinedOutput()
	if err != nil {
		p.t.Errorf("steer logs: %v\n%s", err, out)
	}
	return string(out)
}

func (p *process) answersAtAll(address string) {
	p.t.Helper()
	until(p.t, "the shop answers", func() error { _, err := get(address + "/"); return err })
}
