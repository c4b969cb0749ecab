package app

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v4"

	"steer/infra"
	"steer/infra/resource/file"
	"steer/infra/resource/service"
	"steer/infra/resource/system"
	"steer/infra/role"
)

// TestAcceptWords: what a host drifted to is written into the item of the role, also where
// the field that differs is not called like a key of it, or the content is a file of the
// role. What comes out is a role again, and declares what the host has.
func TestAcceptWords(t *testing.T) {
	text := func(s string) *string { return &s }
	open := &file.File{Path: "/x", Content: text("/wA="), Encoding: "base64", State: "present"}
	open.Mode = "0644"
	for _, c := range []struct {
		item   string
		is     infra.Resource
		fields string
		want   string // the item, or FILE and what is in the role's file
	}{
		{"file: {path: /x, source: f}", &file.File{Path: "/x", Content: text("new\n"), State: "present"}, "content", "FILE new\n"},
		{"file: {path: /x, source: f, mode: '0600'}", open, "content mode", "FILE \xff\x00"},
		{"file: {path: /x, content: a}", &file.File{Path: "/x", Content: text("/wA="), Encoding: "base64", State: "present"}, "content", "- file: {path: /x, content: /wA=, encoding: base64}"},
		{"file: {path: /x, content: YQ==, encoding: base64}", &file.File{Path: "/x", Content: text("b"), State: "present"}, "content", "- file: {path: /x, content: b}"},
		{"unit: {name: a.service, file: f}", &service.Unit{Name: "a.service", Content: "[Service]\n", State: "present"}, "content", "FILE [Service]\n"},
		{"cron: {name: a, schedule: '@daily', command: date, environment: {A: b}}", &service.Cron{Name: "a", Schedule: "@hourly", Command: "date", User: "root", State: "present"}, "content", "- cron: {name: a, schedule: '@hourly', command: date}"},
		{"cron: a\n    schedule: '@daily'\n    command: date\n    tags: [x]", &service.Cron{Name: "a", Schedule: "@daily", Command: "date", User: "bin", State: "present"}, "content", "- cron: a\n    schedule: '@daily'\n    command: date\n    tags: [x]\n    user: bin"},
		{"sysctl: {name: vm.swappiness, value: 10}", &system.Sysctl{Name: "vm.swappiness", Value: "20", State: "present"}, "file value", `- sysctl: {name: vm.swappiness, value: "20"}`},
		{"firewall: {policy: drop, allow: [{port: 22}]}", &system.Firewall{Policy: "drop", Content: "\tchain input {\n\t}", State: "present"}, "rules /etc/nftables.conf", ""},
		{"hostname: a", &system.Hostname{Name: "b"}, "name /etc/hosts", "- hostname: b"},
		{"timezone: UTC", &system.Timezone{Name: "Europe/Vienna"}, "name /etc/timezone", "- timezone: Europe/Vienna"},
		{"mount: {path: /m, source: tmpfs, type: tmpfs, options: [nodev]}", &system.Mount{Path: "/m", Source: "tmpfs", Type: "tmpfs", Options: []string{"nodev"}, State: "present"}, "mounted", "- mount: {path: /m, source: tmpfs, type: tmpfs, options: [nodev], state: present}"},
	} {
		files := fstest.MapFS{"roles/r/role.yaml": {Data: []byte("description: d\nresources:\n  - " + c.item + "\n")}, "roles/r/f": {Data: []byte("old")}}
		l, err := role.Load(files, resourceKinds())
		if err != nil {
			t.Fatal(err)
		}
		found, err := yaml.Marshal(c.is)
		if err != nil {
			t.Fatal(err)
		}
		kind, _ := resourceKinds().Of(c.is)
		changed, err := l.Accept("roles/r/role.yaml:3", kind.Name, strings.Fields(c.fields), found)
		if err != nil {
			t.Errorf("%s: %v", c.item, err)
			continue
		}
		for name, data := range changed {
			files[name] = &fstest.MapFile{Data: data}
		}
		got, isFile := strings.CutPrefix(c.want, "FILE ")
		if isFile && string(files["roles/r/f"].Data) != got || !isFile && !strings.Contains(string(files["roles/r/role.yaml"].Data), c.want) {
			t.Errorf("%s: got\n%s%s\nwant\n%s", c.item, files["roles/r/role.yaml"].Data, files["roles/r/f"].Data, c.want)
		}
		if l, err = role.Load(files, resourceKinds()); err != nil {
			t.Errorf("%s: %v\n%s", c.item, err, files["roles/r/role.yaml"].Data)
			continue
		}
		m, err := l.Compile([]role.Use{{Role: "r"}}, role.Input{})
		if err != nil || !slices.ContainsFunc(m.Resources, func(d infra.Declared) bool { return d.Kind == kind.Name }) {
			t.Errorf("%s: %v\n%s", c.item, err, files["roles/r/role.yaml"].Data)
		}
	}
}
