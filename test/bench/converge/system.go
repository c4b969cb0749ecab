package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// system is a program that converges hosts.
type system struct {
	name, program string
	plan          []string // arguments that only tell what would be done; nil: not measured
	apply         []string
	env           []string
	file          string // relative to the bench's folder, with text in it
	text          func(*workload) string
	// changes is how much a run says it changed.
	changes func(output string, code int) (int, error)
	runs    int
}

func (b *bench) named(name string) (system, error) {
	in := func(p string) string { return filepath.Join(b.work, p) }
	switch name {
	case "steer":
		args := []string{"bench", "--definitions", in("definitions"), "--state", in("state")}
		return system{name: name, program: b.steer, plan: append([]string{"plan"}, args...), apply: append(append([]string{"apply"}, args...), "-y"),
			file: "definitions/roles/bench.yaml", text: steerText, changes: counted(steerRecap), runs: b.runs}, nil
	case "puppet":
		return system{name: name, program: "puppet", apply: []string{"apply", "--detailed-exitcodes", "--color=false", "--confdir", in("puppet"), "--vardir", in("puppet/var"), in("puppet/bench.pp")},
			file: "puppet/bench.pp", text: puppetText, changes: puppetChanges, runs: 3}, nil
	case "ansible":
		return system{name: name, program: "ansible-playbook", apply: []string{"-i", "localhost,", "-c", "local", in("ansible/bench.yaml")},
			env: []string{"ANSIBLE_NOCOLOR=1", "ANSIBLE_HOME=" + in("ansible")}, file: "ansible/bench.yaml", text: ansibleText, changes: counted(ansibleRecap), runs: 1}, nil
	}
	return system{}, fmt.Errorf("unknown system %q (use steer, puppet, ansible)", name)
}

const (
	steerRecap   = `ok=\d+\s+changed=(\d+)\s+failed=0\s+skipped=0\s`
	ansibleRecap = `ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0\s`
)

// counted reads the number of changes of a run without failures.
func counted(recap string) func(string, int) (int, error) {
	r := regexp.MustCompile(recap)
	return func(output string, code int) (int, error) {
		m := r.FindStringSubmatch(output)
		if m == nil || code != 0 {
			return 0, fmt.Errorf("the run ended with code %d and no good recap: %.2000s", code, output)
		}
		return strconv.Atoi(m[1])
	}
}

// puppetChanges knows --detailed-exitcodes: 0 nothing to do, 2 changes, others failures.
func puppetChanges(output string, code int) (int, error) {
	if code != 0 && code != 2 {
		return 0, fmt.Errorf("the run ended with code %d: %.2000s", code, output)
	}
	return code / 2, nil // at least one
}

func steerText(w *workload) string {
	var t strings.Builder
	t.WriteString("description: What the bench declares.\nresources:\n")
	for i := range w.folders {
		fmt.Fprintf(&t, "- directory: %s\n", w.folder(i))
	}
	for i := range w.files {
		fmt.Fprintf(&t, "- file:\n    path: %s\n    mode: \"0644\"\n    content: %q\n", w.file(i), w.content(i))
	}
	for i := range w.users {
		fmt.Fprintf(&t, "- user:\n    name: %s\n    home: /nonexistent\n    create_home: false\n    shell: /usr/sbin/nologin\n", w.user(i))
	}
	for _, p := range w.packages {
		fmt.Fprintf(&t, "- package: %s\n", p)
	}
	return t.String()
}

func puppetText(w *workload) string {
	var t strings.Builder
	fmt.Fprintf(&t, "file { '%s': ensure => directory }\n", w.dir)
	for i := range w.folders {
		fmt.Fprintf(&t, "file { '%s': ensure => directory }\n", w.folder(i))
	}
	for i := range w.files {
		fmt.Fprintf(&t, "file { '%s': ensure => file, mode => '0644', content => %q }\n", w.file(i), w.content(i))
	}
	for i := range w.users {
		fmt.Fprintf(&t, "user { '%s': ensure => present, home => '/nonexistent', managehome => false, shell => '/usr/sbin/nologin' }\n", w.user(i))
	}
	for _, p := range w.packages {
		fmt.Fprintf(&t, "package { '%s': ensure => installed }\n", p)
	}
	return t.String()
}

// ansibleText is a task per kind with a loop, which takes less than a task per resource.
func ansibleText(w *workload) string {
	var t strings.Builder
	t.WriteString("- hosts: all\n  tasks:\n  - file: {path: \"{{ item }}\", state: directory}\n    loop:\n")
	for i := range w.folders {
		fmt.Fprintf(&t, "    - %s\n", w.folder(i))
	}
	t.WriteString("  - copy: {dest: \"{{ item.path }}\", mode: \"0644\", content: \"{{ item.content }}\"}\n    loop:\n")
	for i := range w.files {
		fmt.Fprintf(&t, "    - {path: %s, content: %q}\n", w.file(i), w.content(i))
	}
	if w.users > 0 {
		t.WriteString("  - user: {name: \"{{ item }}\", home: /nonexistent, create_home: false, shell: /usr/sbin/nologin}\n    loop:\n")
		for i := range w.users {
			fmt.Fprintf(&t, "    - %s\n", w.user(i))
		}
	}
	if len(w.packages) > 0 {
		fmt.Fprintf(&t, "  - package: {name: [%s], state: present}\n", strings.Join(w.packages, ", "))
	}
	return t.String()
}

// declare writes the text of a system.
func (b *bench) declare(s system, w *workload) error {
	name := filepath.Join(b.work, s.file)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(s.text(w)), 0o644)
}
