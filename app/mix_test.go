package app

import (
	"strings"
	"testing"

	"steer/base/definitions"
	"steer/base/git"
	"steer/infra"
	"steer/infra/fleet"
	"steer/infra/resource/file"
	"steer/infra/role"
)

// TestMix: a host with two roles of pipelines gets each as its own deploy named it, with
// its files, what it includes and its parameters; the rest is of the newest of these
// commits. A deploy of one role, back or forth, leaves the other alone.
func TestMix(t *testing.T) {
	piped := func(include, text string) []byte {
		return []byte("description: d\npipeline: [{stage: ci, deploy: ci}]\nparameters:\n  color: {type: string, default: none}\ninclude: [" + include + "]\nresources:\n  - file: {path: \"" + text + "\", content: \"{{ .color }}\"}\n")
	}
	free := func(text string) []byte {
		return []byte("description: d\nresources:\n  - file: {path: \"" + text + "\", source: a}\n")
	}
	hosts := func(a, b string) []byte {
		return []byte("x:\n  environment: ci\n  roles: [{role: a, with: {color: " + a + "}}, {role: b, with: {color: " + b + "}}, rest]\n")
	}
	d, err := definitions.New(t.Context(), definitions.Options{Dir: t.TempDir(), Check: CheckDefinitions, Template: map[string][]byte{
		"roles/a.yaml": piped("{role: deep}", "/a1"), "roles/b.yaml": piped("", "/b1"), "roles/deep/role.yaml": free("/deep1"), "roles/deep/a": []byte("1"),
		"roles/rest/role.yaml": free("/rest1"), "roles/rest/a": []byte("1"), "hosts.yaml": hosts("red1", "blue1"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{App: &App{definitions: d}, commits: map[string]*declared{}}
	first, _ := d.Current()
	change := func(files map[string][]byte) string {
		t.Helper()
		sha, err := d.Change(t.Context(), git.Change{Author: "ada", Message: "m", Files: files})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	second := change(map[string][]byte{"roles/a.yaml": piped("{role: deep}", "/a2"), "roles/b.yaml": piped("", "/b2"), "roles/deep/role.yaml": free("/deep2"), "roles/deep/a": []byte("2"),
		"roles/rest/role.yaml": free("/rest2"), "hosts.yaml": hosts("red2", "blue2")})
	third := change(map[string][]byte{"roles/rest/role.yaml": free("/rest3")})
	target := func(deploy int64, role, commit string) fleet.Target {
		return fleet.Target{Deploy: deploy, Role: role, Environment: "ci", Commit: commit}
	}
	for _, c := range []struct {
		name    string
		deploys []fleet.Target
		commit  string
		want    string
	}{
		{"together", []fleet.Target{target(1, "a", first), target(2, "b", first)}, first, "/deep1=1 /a1=red1 /b1=blue1 /rest1=1"},
		{"b goes on", []fleet.Target{target(1, "a", first), target(3, "b", second)}, second + "+a@" + first, "/deep1=1 /a1=red1 /b2=blue2 /rest2=1"},
		{"b goes back", []fleet.Target{target(4, "a", second), target(5, "b", first)}, second + "+b@" + first, "/deep2=2 /a2=red2 /b1=blue1 /rest2=1"},
		{"the same in a later commit", []fleet.Target{target(4, "a", second), target(6, "b", third)}, third, "/deep2=2 /a2=red2 /b2=blue2 /rest3=1"},
	} {
		commit, err := k.mixOf(t.Context(), c.deploys)
		if err != nil || commit != c.commit || readMix(commit).String() != commit {
			t.Errorf("%s: %s, want %s, %v", c.name, commit, c.commit, err)
			continue
		}
		at, h, err := k.find(t.Context(), commit, "x")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		uses, err := inventoryUses(h)
		if err != nil {
			t.Fatal(err)
		}
		m, err := at.library.Compile(uses, role.Input{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, r := range m.Resources {
			got = append(got, strings.TrimPrefix(r.Ref(), "file:")+"="+content(r.Resource))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
		// Each role has its version there.
		for _, y := range c.deploys {
			if same, err := k.same(t.Context(), y.Role, readMix(commit).of(y.Role), y.Commit); err != nil || !same {
				t.Errorf("%s: %s is not of %s: %v", c.name, y.Role, y.Commit, err)
			}
		}
	}

	// Roles that do not fit together are refused with the reason.
	fourth := change(map[string][]byte{"roles/b.yaml": []byte("description: d\npipeline: [{stage: ci, deploy: ci}]\ninclude: [{role: a, with: {size: 1}}]\nresources: []\n"),
		"roles/a.yaml": []byte("description: d\npipeline: [{stage: ci, deploy: ci}]\nparameters: {size: {type: number, default: 1}}\nresources: []\n"), "hosts.yaml": []byte("x: {environment: ci, roles: [b]}\n")})
	commit, err := k.mixOf(t.Context(), []fleet.Target{target(1, "a", first), target(7, "b", fourth)})
	if err != nil {
		t.Fatal(err)
	}
	at, h, err := k.find(t.Context(), commit, "x")
	if err != nil {
		t.Fatal(err)
	}
	uses, err := inventoryUses(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := at.library.Compile(uses, role.Input{}); err == nil || !strings.Contains(err.Error(), `no parameter "size"`) {
		t.Error(err)
	}
	// Nor may roles include each other by way of two commits.
	fifth := change(map[string][]byte{"roles/a.yaml": []byte("description: d\npipeline: [{stage: ci, deploy: ci}]\ninclude: [{role: b}]\nresources: []\n"), "roles/b.yaml": piped("", "/b5"),
		"hosts.yaml": []byte("x: {environment: ci, roles: [a]}\n")})
	if commit, err = k.mixOf(t.Context(), []fleet.Target{target(8, "b", fourth), target(9, "a", fifth)}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.at(t.Context(), commit); err == nil || !strings.Contains(err.Error(), "do not fit together: roles of several commits include each other") {
		t.Error(err)
	}
}

func content(r infra.Resource) string {
	f, ok := r.(*file.File)
	if !ok || f.Content == nil {
		return "?"
	}
	return *f.Content
}
