package app

import (
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/config"
	"steer/infra/role"
	"steer/infra/verify"
)

// TestExamples: what the reference shows can be written so.
func TestExamples(t *testing.T) {
	for _, k := range resourceKinds() {
		text := "description: an example\nresources:\n" + itemOf(k.Example)
		if _, err := role.Load(fstest.MapFS{"roles/example.yaml": {Data: []byte(text)}}, resourceKinds()); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		var items []config.Raw
		if err := config.Decode("example.yaml", []byte(itemOf(k.Example)), &items); err != nil || len(items) == 0 || k.Doc == "" {
			t.Errorf("%s: %v", k.Name, err)
		}
		for _, item := range items {
			r, body := k.New(), item.Field(k.Name)
			if _, short := body.Text(); short {
				body = item.Without("notify").Rename(k.Name, k.Key)
			}
			if err := body.Decode(r); err != nil || r.ID() == "" {
				t.Errorf("%s: %q %v", k.Name, r.ID(), err)
			}
		}
		// A role may write every key beside the name of the kind.
		if keys := string(config.Default(k.New())); k.Key != k.Name && strings.Contains("\n"+keys, "\n"+k.Name+":") {
			t.Errorf("%s: has a key of its own name, besides %s", k.Name, k.Key)
		}
		for _, taken := range []string{"when", "each", "after", "before", "notify", "subscribe", "tags", "heal", "sensitive"} {
			if strings.Contains("\n"+string(config.Default(k.New())), "\n"+taken+":") {
				t.Errorf("%s: the key %s belongs to all kinds", k.Name, taken)
			}
		}
	}
	for _, k := range verify.Kinds() {
		if _, err := verify.Load("example.yaml", []byte("tests:\n"+itemOf(k.Example))); err != nil {
			t.Errorf("test %s: %v", k.Name, err)
		}
	}
}

// TestDefinitionsWithNodesOnHosts: environments name hosts that there are.
func TestDefinitionsWithNodesOnHosts(t *testing.T) {
	for pattern, want := range map[string]string{
		"web-1": "", "group": "", "we*": "",
		"wbe-1": `production.nodes[0].hosts: no host or group is called "wbe-1" (did you mean "web-1"?) in hosts.yaml`,
	} {
		err := CheckDefinitions(fstest.MapFS{
			"environments.yaml": {Data: []byte("production: {driver: hosts, nodes: [{services: [shop], hosts: [" + pattern + "]}]}\n")},
			"hosts.yaml":        {Data: []byte("web: {roles: [web], number: 2, group: group}\n")},
			"roles/web.yaml":    {Data: []byte("description: d\n")},
		})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", pattern, err, want)
		}
	}
}

// TestDefinitionsWithHosts: a push with a wrong role, or a host whose roles do not fit,
// is refused.
func TestDefinitionsWithHosts(t *testing.T) {
	for hosts, want := range map[string]string{
		"web: {roles: [{role: web, with: {port: 1}}]}": "",
		"web: {roles: [{role: web, with: {prot: 1}}]}": `hosts.yaml:1:40: web.roles[0].with.prot: role web has no parameter "prot" (did you mean "port"?)`,
		"web: {roles: [wbe]}":                          `there is no role "wbe" (did you mean "web"?)`,
		"web: {roles: [web], numbr: 3}":                `did you mean "number"?`,
	} {
		err := CheckDefinitions(fstest.MapFS{
			"hosts.yaml":     {Data: []byte(hosts)},
			"roles/web.yaml": {Data: []byte("description: d\nparameters: {port: {default: 80, type: integer}}\n")},
		})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", hosts, err, want)
		}
	}
	if err := CheckDefinitions(fstest.MapFS{"roles/web.yaml": {Data: []byte("description: d\nresources: [{fil: /a}]\n")}}); err == nil || !strings.Contains(err.Error(), `there is no kind of resource "fil" (did you mean "file"?)`) {
		t.Errorf("got %v", err)
	}
	for role, want := range map[string]string{
		"checks: [{name: load, query: 'sumSeries(', above: 1}]":                      "roles/web.yaml:2:",
		"checks: [{name: load, query: 'servers.x.load.1'}]":                          "has no bound",
		"checks: [{name: load, query: 'servers.{{ .host.name }}.load.1', above: 4}]": "",
		"tests: [{prot: 80}]": "roles/web.yaml:2:",
	} {
		err := CheckDefinitions(fstest.MapFS{"roles/web.yaml": {Data: []byte("description: d\n" + role + "\n")}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", role, err, want)
		}
	}
}
