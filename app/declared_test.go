package app

import (
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/definitions"
	"steer/base/git"
	"steer/infra/fleet"
)

// Hosts follow the newest deploy of each of their roles, or the newest commit.
func TestFollows(t *testing.T) {
	both := fleet.Declared{Name: "a", Environment: "ci", Piped: []string{"base", "web"}}
	target := func(deploy int64, role, commit string) fleet.Target {
		return fleet.Target{Deploy: deploy, Role: role, Environment: "ci", Commit: commit}
	}
	for _, c := range []struct {
		name           string
		hosts          []fleet.Declared
		targets        []fleet.Target
		commits, waits string
	}{
		{"no pipeline", []fleet.Declared{{Name: "a"}}, []fleet.Target{target(1, "web", "one")}, "", ""},
		{"nothing deployed", []fleet.Declared{both}, nil, "", "waits for the first deploy of base (steer deploy artifact=base environment=ci version=latest)"},
		{"one of two", []fleet.Declared{both}, []fleet.Target{target(1, "web", "one")}, "one", ""},
		{"both", []fleet.Declared{both}, []fleet.Target{target(5, "base", "five"), target(4, "web", "four")}, "four five", ""},
		{"another environment", []fleet.Declared{{Name: "a", Environment: "qa", Piped: []string{"web"}}}, []fleet.Target{target(1, "web", "one")}, "",
			"waits for the first deploy of web (steer deploy artifact=web environment=qa version=latest)"},
		{"a host beside without", []fleet.Declared{{Name: "b"}, both}, []fleet.Target{target(1, "web", "one")}, "one", ""},
	} {
		deploys, waits := follows(c.hosts, c.targets)
		var commits []string
		for _, d := range deploys {
			commits = append(commits, d.Commit)
		}
		if got := strings.Join(commits, " "); got != c.commits || waits != c.waits {
			t.Errorf("%s: %q %q", c.name, got, waits)
		}
	}
}

const pipedRole = "description: d\npipeline: [{stage: ci, deploy: ci}]\nresources: []\n"

// A host that a commit does not know yet has its entry from the newest definitions, but
// the roles of the commit if they go through a pipeline. A change of what hosts are is
// a change of their role, others are not.
func TestHostsOfACommit(t *testing.T) {
	d, err := definitions.New(t.Context(), definitions.Options{Dir: t.TempDir(), Check: CheckDefinitions, Template: map[string][]byte{
		"roles/web.yaml": []byte(pipedRole), "roles/free.yaml": []byte("description: d\n"),
		"hosts.yaml": []byte("a: {roles: [web], environment: ci}\n"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{App: &App{definitions: d}, commits: map[string]*declared{}}
	first, _ := d.Current()
	change := func(file, text string) string {
		sha, err := d.Change(t.Context(), git.Change{Author: "ada", Message: "m", Files: map[string][]byte{file: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	digest := func(commit string) string {
		at, err := k.at(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := at.digest("web")
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	other := change("roles/free.yaml", "description: another\n")
	role := change("roles/web.yaml", pipedRole+"# a remark\n")
	hosts := change("hosts.yaml", "a: {roles: [web], environment: ci}\nb: {roles: [web], environment: ci}\nc: {roles: [free]}\n")
	if digest(first) != digest(other) || digest(other) == digest(role) || digest(role) == digest(hosts) {
		t.Error("runs begin for the wrong changes")
	}
	for name, from := range map[string]string{"a": first, "b": first, "c": hosts} {
		want, err := k.at(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		at, h, err := k.find(t.Context(), first, name)
		if err != nil || h.Name != name || at != want {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
	if _, _, err := k.find(t.Context(), first, "d"); err == nil || !strings.Contains(err.Error(), "hosts.yaml has no d any more") {
		t.Error(err)
	}
}

func TestWrongPipelines(t *testing.T) {
	for _, c := range []struct{ hosts, want string }{
		{"a: {roles: [web], environment: ci, group: g}\nb: {roles: [web], environment: qa, group: g}\n", "the group g has hosts in ci and in qa"},
		{"a: {roles: [other]}\n", "the role web goes through a pipeline: say environment:"},
		{"a: {roles: [free]}\nb: {roles: [other], environment: ci}\n", ""},
	} {
		err := CheckDefinitions(fstest.MapFS{
			"roles/web.yaml": {Data: []byte(pipedRole)}, "roles/free.yaml": {Data: []byte("description: d\n")},
			"roles/other.yaml": {Data: []byte("description: d\ninclude: [{role: web}]\n")}, "hosts.yaml": {Data: []byte(c.hosts)},
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.hosts, err)
		}
	}
}
