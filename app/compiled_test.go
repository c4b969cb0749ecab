package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"steer/cli"
	"steer/infra"
	"steer/infra/resource/command"
	"steer/infra/role"
)

// Every kind comes back from memory as it was compiled.
func TestEverythingIsRemembered(t *testing.T) {
	l, err := role.Load(os.DirFS("testdata/everything"), resourceKinds())
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Compile([]role.Use{{Role: "everything"}}, role.Input{Facts: infra.NewHost(t.Context()).Facts})
	if err != nil {
		t.Fatal(err)
	}
	playbook := &command.Ansible{Playbook: "site.yml", Vars: map[string]string{"a": "b"}, Timeout: 1}
	playbook.Contents = map[string]string{"site.yml": "- hosts: all\n"}
	manifest := &command.Puppet{Manifest: "site.pp"}
	manifest.Contents = map[string]string{"site.pp": ""}
	all := append(m.Resources, infra.Declared{Kind: "ansible", ID: "site.yml", Resource: playbook}, infra.Declared{Kind: "puppet", ID: "site.pp", Resource: manifest})
	b, err := infra.Pack(all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := infra.Unpack(resourceKinds(), string(b))
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("it comes back as something else: %v", err)
	}
}

// memory is definitions with two roles, and a host that is in a folder.
type memory struct {
	t    *testing.T
	dir  string
	args cli.HostArgs
}

func newMemory(t *testing.T) *memory {
	m := &memory{t: t, dir: t.TempDir()}
	m.args = cli.HostArgs{Definitions: filepath.Join(m.dir, "definitions"), Roles: []string{"web"}, With: map[string]string{"text": "one"}}
	m.write("roles/web/role.yaml", "description: d\nparameters: {text: {}}\nresources:\n- file: "+m.dir+"/host\n  content: \"{{ .text }}\"\n- file: "+m.dir+"/other\n  source: a\n")
	m.write("roles/web/a", "first")
	m.write("roles/db.yaml", "description: d\n")
	return m
}

func (m *memory) write(name, text string) {
	m.t.Helper()
	name = filepath.Join(m.dir, "definitions", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *memory) state() string { return filepath.Join(m.dir, "state") }

func (m *memory) apply(dry bool) error {
	r, err := convergeHosts(context.Background(), m.args, cli.ConvergeArgs{Apply: !dry, StateDir: m.state()}, func(cli.HostEvent) {})
	if err == nil && r[0].Failed {
		return errors.New(r[0].Error)
	}
	return err
}

// known tells whether a run would find something in memory.
func (m *memory) known() bool {
	r := remember(context.Background(), m.args, cli.ConvergeArgs{StateDir: m.state()})
	return r != nil && r.found != nil
}

func (m *memory) host() string {
	b, _ := os.ReadFile(filepath.Join(m.dir, "host"))
	return string(b)
}

func TestMemoryIsForWhatIsTheSame(t *testing.T) {
	m := newMemory(t)
	if err := m.apply(true); err != nil || m.known() {
		t.Fatalf("a plan remembers: %v", err)
	}
	if err := m.apply(false); err != nil || !m.known() || m.host() != "one" {
		t.Fatalf("%v, known %v, %q", err, m.known(), m.host())
	}
	os.WriteFile(filepath.Join(m.dir, "host"), []byte("drift"), 0o644)
	if err := m.apply(false); err != nil || m.host() != "one" {
		t.Errorf("from memory drift is not healed: %v, %q", err, m.host())
	}
	for what, change := range map[string]func(){
		"parameter":    func() { m.args.With = map[string]string{"text": "two"} },
		"role":         func() { m.write("roles/web/role.yaml", "description: d\nparameters: {text: {}}\n") },
		"other role":   func() { m.write("roles/db.yaml", "description: e\n") },
		"new file":     func() { m.write("roles/web/b", "") },
		"file of role": func() { m.write("roles/web/a", "second") },
		"roles":        func() { m.args.Roles = []string{"web", "db"} },
		"link":         func() { os.Symlink("a", filepath.Join(m.dir, "definitions/roles/web/link")) },
		"rights":       func() { os.Chmod(filepath.Join(m.state(), compiledFile), 0o640) },
		"torn": func() {
			b, _ := os.ReadFile(filepath.Join(m.state(), compiledFile))
			os.WriteFile(filepath.Join(m.state(), compiledFile), b[:len(b)-1], 0o600)
		},
		"gone": func() { os.Remove(filepath.Join(m.state(), compiledFile)) },
	} {
		m := m
		t.Run(what, func(t *testing.T) {
			m2 := newMemory(t)
			*m = *m2
			if err := m.apply(false); err != nil || !m.known() {
				t.Fatal(err)
			}
			change()
			if m.known() {
				t.Error("it is still known")
			}
			if err := m.apply(false); err != nil {
				t.Error(err)
			}
			if what == "parameter" && m.host() != "two" {
				t.Errorf("the host has %q", m.host())
			}
		})
	}
}

func TestNoSecretIsRemembered(t *testing.T) {
	m := newMemory(t)
	m.write("roles/web/role.yaml", "description: d\nparameters: {text: {secret: true}}\nresources:\n- file: "+m.dir+"/host\n  content: fixed\n")
	m.args.With = map[string]string{"text": "hunter2222"}
	if err := m.apply(false); err != nil || m.host() != "fixed" {
		t.Fatalf("%v, %q", err, m.host())
	}
	filepath.WalkDir(m.state(), func(name string, d fs.DirEntry, err error) error {
		if strings.Contains(name, compiledFile) {
			t.Errorf("there is %s", name)
		}
		return err
	})
}
