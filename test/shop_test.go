package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"steer/api/client"
	"steer/base/id"
)

// shop is a service in a repository of its own: the testserver, without anything
// to compile.
type shop struct {
	t   *testing.T
	p   *process
	dir string
	n   int // commits
}

func newShop(t *testing.T, p *process) *shop {
	t.Helper()
	s := &shop{t: t, p: p, dir: t.TempDir()}
	s.git("init", "--quiet", "-b", "main")
	content, err := os.ReadFile(program(t, "testserver"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "server"), content, 0o755); err != nil {
		t.Fatal(err)
	}
	p.define(map[string]string{
		"environments.yaml": "production:\n  nodes:\n  - services: [shop]\n    number: 2\n",
		"services.yaml":     "shop: {}\n",
		"teams.yaml":        "{}\n",
	})
	return s
}

// define changes the definitions.
func (p *process) define(files map[string]string) {
	p.t.Helper()
	var now struct {
		Revision string            `json:"revision"`
		Files    map[string]string `json:"files"`
	}
	if err := p.api.Do(p.t.Context(), "GET", "/api/v1/definitions", nil, &now); err != nil {
		p.t.Fatal(err)
	}
	if err := p.api.Do(p.t.Context(), "POST", "/api/v1/definitions", map[string]any{"base": now.Revision, "message": "for a test", "files": files}, nil); err != nil {
		p.t.Fatal(err)
	}
}

func (s *shop) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = s.dir
	cmd.Env = append(cleanEnv(), gitEnv(s.p.url, s.p.token)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// gitEnv is a person for Git, and a login at the server.
func gitEnv(url, token string) []string {
	return []string{
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + url + "/.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Bearer " + token,
	}
}

// manifest is what a test may choose of the shop's steer.yaml.
type manifest struct {
	test   string // command of the first stage
	env    string // YAML map of the nodes' environment
	within string // time to become healthy
}

// push commits a version and returns its run once it exists.
func (s *shop) push(m manifest) client.Run {
	s.t.Helper()
	s.n++
	if m.test == "" {
		m.test = "true"
	}
	if m.env == "" {
		m.env = "{}"
	}
	if m.within == "" {
		m.within = "30s"
	}
	files := map[string]string{"version": fmt.Sprintf("v%d", s.n), "steer.yaml": fmt.Sprintf(`service: shop
artifact:
  paths: [server, version]
run:
  command: exec ./server
  ports: {http: 8080}
  health: {http: /healthz, within: %s}
  env: %s
  grace: 3s
pipeline:
  - {stage: commit, run: %q, timeout: 1m}
  - {stage: production, deploy: production}
`, m.within, m.env, m.test)}
	return s.commit(files)
}

// commit pushes files and returns their run once it exists.
func (s *shop) commit(files map[string]string) client.Run {
	s.t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	s.git("add", "--all")
	s.git("commit", "--quiet", "-m", fmt.Sprintf("v%d", s.n))
	s.git("push", "--quiet", s.p.url+"/git/shop.git", "main")
	sha := s.git("rev-parse", "HEAD")
	var run client.Run
	until(s.t, "the push has a run", func() error {
		runs, err := s.p.api.Runs(s.t.Context(), "shop", 10)
		if err != nil {
			return err
		}
		for _, r := range runs {
			if r.Commit == sha {
				run = r
				return nil
			}
		}
		return fmt.Errorf("none of %d runs is of %s", len(runs), sha)
	})
	return run
}

// run waits until a run is in one of the states.
func (p *process) run(number int64, states ...string) client.Run {
	p.t.Helper()
	var run client.Run
	until(p.t, fmt.Sprintf("run %d is %s", number, strings.Join(states, " or ")), func() (err error) {
		if run, err = p.api.Run(p.t.Context(), fmt.Sprint(number)); err != nil {
			return err
		}
		for _, s := range states {
			if run.State == s {
				return nil
			}
		}
		if run.Over() {
			p.t.Fatalf("run %d is %s: %s", number, run.State, run.Reason)
		}
		return fmt.Errorf("it is %s: %+v", run.State, run.Stages)
	})
	return run
}

// deploying waits until the newest deploy of the shop is of a version and under way.
func (p *process) deploying(version id.Version) client.Deploy {
	p.t.Helper()
	var found client.Deploy
	until(p.t, fmt.Sprintf("%s is being deployed", version), func() error {
		deploys, err := p.api.Deploys(p.t.Context(), "shop", "production", 1)
		if err != nil {
			return err
		}
		if len(deploys) == 0 || deploys[0].Version != version || deploys[0].State != "running" {
			return fmt.Errorf("deploys: %+v", deploys)
		}
		found = deploys[0]
		return nil
	})
	return found
}

// address is where customers reach the shop.
func (p *process) shopAddress() string {
	p.t.Helper()
	var address string
	until(p.t, "the shop has an address", func() error {
		now, err := p.api.Now(p.t.Context())
		if err != nil {
			return err
		}
		for _, s := range now.Services {
			for _, place := range s.Placements {
				if s.Service == "shop" && place.Address["http"] != "" {
					address = "http://" + place.Address["http"]
					return nil
				}
			}
		}
		return fmt.Errorf("services: %+v", now.Services)
	})
	return address
}

// answers waits until the shop answers with a version.
func (p *process) answers(address, version string) {
	p.t.Helper()
	until(p.t, "the shop answers "+version, func() error {
		got, err := get(address + "/")
		if err == nil && got != version {
			err = fmt.Errorf("it answers %q", got)
		}
		return err
	})
}
