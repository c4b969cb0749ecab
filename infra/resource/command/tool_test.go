package command

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
	"steer/infra/infratest"
)

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatalf("%s is not installed, and STEER_REQUIRE_ALL is set", program)
		}
		t.Skip(program + " is not installed")
	}
}

type sourced interface {
	infra.Resource
	infra.Sourced
}

// fromRole reads the resource's files as from a role, and hands it over as a host
// gets it.
func fromRole[R sourced](t *testing.T, r, to R, files map[string]string) R {
	t.Helper()
	read := func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, errors.New(name + ": the role has no such file")
		}
		return []byte(text), nil
	}
	if err := r.Source(read, nil); err != nil {
		t.Fatal(err)
	}
	b, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Decode("manifest", b, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// twice applies what differs in the fields named, and finds nothing more to do.
func twice(t *testing.T, h *infra.Host, r infra.Resource, fields ...string) {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range d.Fields {
		names = append(names, f.Name)
	}
	if d.Action != infra.Run || strings.Join(names, ", ") != strings.Join(fields, ", ") {
		t.Fatalf("%q: %+v", names, d)
	}
	if err := r.Apply(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	if d, err := r.Diff(t.Context(), h); err != nil || !d.Empty() {
		t.Fatalf("%+v %v", d, err)
	}
}

func left(t *testing.T) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	t.Cleanup(func() {
		if all, _ := filepath.Glob(filepath.Join(os.TempDir(), "steer-*")); len(all) > 0 {
			t.Errorf("left behind: %q", all)
		}
	})
}

func TestPuppet(t *testing.T) {
	need(t, "puppet")
	left(t)
	h := infra.NewHost(t.Context())
	out := filepath.Join(t.TempDir(), "out")
	files := map[string]string{
		"site.pp":                        "include note\nfile { '" + out + "/sub dir': ensure => directory }\n",
		"modules/note/manifests/init.pp": "class note {\n  file { '" + out + "': ensure => directory }\n  file { '" + out + "/note[1]': content => \"hello\\n\", mode => '0640' }\n}\n",
	}
	p := fromRole(t, infratest.Decoded(t, &Puppet{}, "{manifest: site.pp, files: [modules/note/manifests/init.pp]}"), &Puppet{}, files)
	twice(t, h, p, "File["+out+"] ensure", "File["+out+"/note[1]] ensure", "File["+out+"/sub dir] ensure")
	if err := os.WriteFile(out+"/note[1]", []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(out+"/note[1]", 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := p.Diff(t.Context(), h)
	if err != nil || len(d.Fields) != 2 || d.Fields[0].Name != "File["+out+"/note[1]] content" || d.Fields[1] != (infra.Field{Name: "File[" + out + "/note[1]] mode", Old: "0600", New: "0640"}) {
		t.Errorf("%+v %v", d, err)
	}
	if b, err := os.ReadFile(out + "/note[1]"); err != nil || string(b) != "other" {
		t.Errorf("a comparison made it %q %v", b, err)
	}
}

func TestPuppetFails(t *testing.T) {
	need(t, "puppet")
	left(t)
	h := infra.NewHost(t.Context())
	broken := fromRole(t, infratest.Decoded(t, &Puppet{}, "{manifest: site.pp}"), &Puppet{}, map[string]string{"site.pp": "file { 'x' ensure }\n"})
	if _, err := broken.Diff(t.Context(), h); err == nil || !strings.Contains(err.Error(), "code 1: ") || !strings.Contains(err.Error(), "(site.pp:1)") || strings.Contains(err.Error(), os.TempDir()) {
		t.Error(err)
	}
	failing := fromRole(t, infratest.Decoded(t, &Puppet{}, "{manifest: site.pp}"), &Puppet{}, map[string]string{"site.pp": "exec { '/bin/false': }\n"})
	d, err := failing.Diff(t.Context(), h)
	if err != nil || len(d.Fields) != 1 || d.Fields[0].Name != "Exec[/bin/false] returns" {
		t.Errorf("%+v %v", d, err)
	}
	if err := failing.Apply(t.Context(), h, d); err == nil || !strings.Contains(err.Error(), "code 4: ") || !strings.Contains(err.Error(), "Exec[/bin/false]") {
		t.Error(err)
	}
}

func TestAnsible(t *testing.T) {
	need(t, "ansible-playbook")
	left(t)
	h := infra.NewHost(t.Context())
	out := filepath.Join(t.TempDir(), "out")
	a := fromRole(t, infratest.Decoded(t, &Ansible{}, "{playbook: plays/site.yml, files: [plays/templates/note.j2, plays/roles/r/tasks/main.yml], vars: {greeting: 'hello: you'}}"), &Ansible{}, map[string]string{
		"plays/site.yml":               "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: folder\n      file: {path: " + out + ", state: directory}\n    - name: note\n      template: {src: note.j2, dest: " + out + "/note, mode: '0640'}\n    - name: odd\n      command: /bin/false\n      ignore_errors: true\n      changed_when: false\n  roles: [r]\n",
		"plays/templates/note.j2":      "{{ greeting }}\n",
		"plays/roles/r/tasks/main.yml": "- debug: {msg: from the role}\n",
	})
	twice(t, h, a, "folder", "note")
	if b, err := os.ReadFile(out + "/note"); err != nil || string(b) != "hello: you\n" {
		t.Errorf("%q %v", b, err)
	}
	if err := os.Remove(out + "/note"); err != nil {
		t.Fatal(err)
	}
	d, err := a.Diff(t.Context(), h)
	if err != nil || len(d.Fields) != 1 || d.Fields[0].Name != "note" {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := os.Stat(out + "/note"); err == nil {
		t.Error("a comparison made the file")
	}
}

func TestAnsibleFails(t *testing.T) {
	need(t, "ansible-playbook")
	left(t)
	h := infra.NewHost(t.Context())
	for _, c := range []struct{ text, want string }{
		{"- hosts: [\n", "ended with code 4"},
		{"- hosts: elsewhere\n  tasks: []\n", "no play is for this host"},
		{"- hosts: all\n  gather_facts: false\n  tasks:\n    - name: loop\n      command: /bin/sh -c 'exit {{ item }}'\n      loop: [0, 5]\n", `task "loop" failed: non-zero return code`},
	} {
		a := fromRole(t, infratest.Decoded(t, &Ansible{}, "{playbook: site.yml}"), &Ansible{}, map[string]string{"site.yml": c.text})
		if err := a.Apply(t.Context(), h, infra.Diff{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	// In check mode the second task cannot know what the first would make.
	dir := t.TempDir()
	a := fromRole(t, infratest.Decoded(t, &Ansible{}, "{playbook: site.yml}"), &Ansible{}, map[string]string{
		"site.yml": "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - name: make\n      copy: {content: x, dest: " + dir + "/made}\n    - name: use\n      slurp: {src: " + dir + "/made}\n      check_mode: false\n",
	})
	d, err := a.Diff(t.Context(), h)
	if err != nil || len(d.Fields) != 2 || !strings.HasPrefix(d.Fields[1].New, "cannot be told before it runs") {
		t.Errorf("%+v %v", d, err)
	}
	if err := a.Apply(t.Context(), h, d); err != nil {
		t.Error(err)
	}
}

func TestToolMissing(t *testing.T) {
	h := infra.NewHost(t.Context())
	t.Setenv("PATH", t.TempDir())
	for _, r := range []infra.Resource{infratest.Decoded(t, &Puppet{}, "manifest: a.pp"), infratest.Decoded(t, &Ansible{}, "playbook: a.yml")} {
		d, err := r.Diff(t.Context(), h)
		if err != nil || d.Action != infra.Run || !strings.Contains(d.Fields[0].New, "cannot be compared before") {
			t.Errorf("%+v %v", d, err)
		}
		if err := r.Apply(t.Context(), h, d); err == nil || !strings.Contains(err.Error(), "- package: ") {
			t.Error(err)
		}
	}
}

func TestSourceRefused(t *testing.T) {
	p := infratest.Decoded(t, &Puppet{}, "{manifest: a.pp, files: [b]}")
	err := p.Source(func(name string) ([]byte, error) {
		return map[string][]byte{"a.pp": []byte("x"), "b": {0xff}}[name], nil
	}, nil)
	if err == nil || !strings.Contains(err.Error(), "b is no text") {
		t.Error(err)
	}
}

func TestPuppetLog(t *testing.T) {
	for source, want := range map[string]string{
		"/Stage[main]/Main/File[/etc/motd]/ensure":           "File[/etc/motd]",
		"/Stage[main]/Note/File[/srv/A[1]/Exec x]/content":   "File[/srv/A[1]/Exec x]",
		"/Stage[main]/Web::Site/Web::Vhost[a]/File[/b]/mode": "File[/b]",
		"/Stage[main]/Main/Package[nginx]":                   "Package[nginx]",
		"Puppet":                                             "Puppet",
		"/Stage[":                                            "/Stage[",
		"":                                                   "",
	} {
		if got := (puppetEvent{Source: source}).resource(); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
	name := filepath.Join(t.TempDir(), "log.json")
	for _, text := range []string{"[\n{\"level\":\"err\"}\n", "[\n{\"level\":\"err\"}\n]\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if events, err := readPuppetLog(name); err != nil || len(events) != 1 {
			t.Errorf("%q: %v %v", text, events, err)
		}
	}
	if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readPuppetLog(name); err == nil {
		t.Error("nonsense was read")
	}
}
