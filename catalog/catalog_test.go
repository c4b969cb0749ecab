package catalog

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// The two documents that every environment of this kind of tool should accept.
const (
	bookEnvironments = `development:
  nodes:
  - ami_id: ami-e1e1234
    size:   t1.micro
    credentials_name: eu-west-ssh
    services: [catalog-service]
    region: eu-west-1
production:
  nodes:
  - ami_id: ami-e1e1234
    size:   m3.xlarge
    credentials_name: prod-credentials
    services: [catalog-service]
    number: 5
`
	bookServices = `catalog-service:
  puppet_manifest : catalog.pp
  connectivity:
    - protocol: tcp
      ports: [ 8080, 8081 ]
      allowed: [ WORLD ]
`
)

func tree(files ...string) fs.FS {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return m
}

func TestLoadTakesTheBooksDocuments(t *testing.T) {
	c, err := Load(tree("environments.yaml", bookEnvironments, "services.yaml", bookServices, "unrelated.yaml", "{"))
	if err != nil {
		t.Fatal(err)
	}
	p := c.Environments["production"]
	if p.Name != "production" || p.Driver != "process" || p.Strategy != "bluegreen" || p.Nodes[0].AMI != "ami-e1e1234" || p.Nodes[0].Credentials != "prod-credentials" {
		t.Errorf("%+v", p)
	}
	s := c.Services["catalog-service"]
	if s.Name != "catalog-service" || s.Artifact != "catalog" || s.PuppetManifest != "catalog.pp" || s.Branch != "main" || len(s.Connectivity[0].Ports) != 2 {
		t.Errorf("%+v", s)
	}
	for env, want := range map[id.Environment]int{"production": 5, "development": 1, "moon": 0} {
		if groups, n := c.Nodes(env, "catalog"); n != want || (n > 0) != (len(groups) == 1) {
			t.Errorf("%s: %d nodes in %d groups, want %d", env, n, len(groups), want)
		}
	}
	for _, name := range []string{"catalog", "catalog-service"} {
		if got, err := c.Resolve(name); err != nil || got != "catalog" {
			t.Errorf("Resolve(%s) = %s, %v", name, got, err)
		}
	}
	if _, err := c.Resolve("catlog"); fault.Of(err) != fault.NotFound || err.Error() != `no service "catlog" (did you mean "catalog"?)` {
		t.Error(err)
	}
	if _, err := c.Environment("prodution"); fault.Of(err) != fault.NotFound || err.Error() != `no environment "prodution" (did you mean "production"?)` {
		t.Error(err)
	}
}

func TestLoadWithoutServicesNamesByConvention(t *testing.T) {
	c, err := Load(tree("environments.yaml", bookEnvironments))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Resolve("catalog-service"); s != "catalog" || err != nil {
		t.Error(s, err)
	}
	if _, n := c.Nodes("production", "catalog"); n != 5 {
		t.Error(n)
	}
	if _, err := c.Resolve("../x"); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
	if _, err := (&Catalog{}).Environment("x"); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
}

func TestLoadNothing(t *testing.T) {
	c, err := Load(tree())
	if err != nil || c.Environments == nil || c.Services == nil || c.Teams == nil {
		t.Fatal(c, err)
	}
}

func TestLoadCompletes(t *testing.T) {
	c, err := Load(tree(
		"services.yaml", bookServices+"  team: storefront\nshop: {artifact: web}\n",
		"teams.yaml", "storefront: {members: [ada], notify: [{email: a@example.com}, {webhook: 'https://x/y'}]}",
		"environments.yaml", bookEnvironments+"  config: {all: {A: 1, B: 1}, catalog-service: {B: 2, C: 'secret:db'}}\n  publish: {shop: {http: 8090}}\n",
		"secrets/production/db.age", "…",
		"checks/b.yaml", "- {name: slow, service: catalog-service, query: x, above: 1}",
		"checks/a.yaml", "- {name: slow, query: x, below: 1}\n",
		"checks/README.md", "no check",
	))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Checks) != 2 || c.Checks[0].Service != "" || c.Checks[1].Service != "catalog" || c.Checks[1].Team != "storefront" || c.Checks[1].Window.String() != "1m" {
		t.Errorf("%+v", c.Checks)
	}
	if got := c.Settings("production", "catalog"); len(got) != 3 || got["A"] != "1" || got["B"] != "2" || got["C"] != "secret:db" {
		t.Error(got)
	}
	if c.Environments["production"].Publish["web"]["http"] != 8090 || c.Teams["storefront"].Name != "storefront" {
		t.Errorf("%+v", c)
	}
}

func TestLoadExplains(t *testing.T) {
	ok := "services.yaml:" + bookServices
	for in, want := range map[string]string{
		ok + "|environments.yaml:p:\n  nodes:\n  - services: [catalog-servce]":                                    `environments.yaml:3:16: p.nodes[0].services[0]: no service "catalog-servce" in services.yaml (did you mean "catalog-service"?)`,
		"environments.yaml:p: {nodes: [{services: [a]}], driver: hosts}":                                          `environments.yaml:1:5: p.nodes: the group of a names no hosts (driver hosts needs them, like hosts: [web])`,
		"environments.yaml:p: {nodes: [{services: [a], hosts: [x]}, {services: [a], hosts: [y]}], driver: hosts}": `environments.yaml:1:5: p.nodes: a runs on hosts x and on hosts y (all its nodes of an environment are spread over the same)`,
		"environments.yaml:p: {nodes: [{services: [a], hosts: ['[']}], driver: hosts}":                            `environments.yaml:1:29: p.nodes[0].hosts: "[" is no pattern of hosts`,
		"environments.yaml:p: {nodes: [{services: [a]}], driver: proces}":                                         `environments.yaml:1:39: p.driver: unknown driver "proces" (did you mean "process"?)`,
		"environments.yaml:p:\n  strategy: canary\n  nodes: [{services: [a]}]":                                    `environments.yaml:2:13: p.strategy: unknown strategy "canary" (known: bluegreen)`,
		"environments.yaml:p:\n  nodes:\n  - services: [a]\n    number: 0":                                        `environments.yaml:4:13: p.nodes[0].number: 0 nodes are not between 1 and 1000`,
		"environments.yaml:p:\n  nodes:\n  - {}":                                                                  `environments.yaml:3:5: p.nodes[0].services: are missing (list what runs on these nodes, like [catalog])`,
		"environments.yaml:p:\n  nodes:\n  - services: [a, a]":                                                    `environments.yaml:3:19: p.nodes[0].services[1]: "a" stands twice`,
		"environments.yaml:p:\n  nodes:\n  - services: [a b]":                                                     `environments.yaml:3:16: p.nodes[0].services[0]: service name "a b": character ' '`,
		"environments.yaml:p: {nodes: [{services: [a]}], driver: kubernetes, kubernetes: {namespace: a.b}}":       `environments.yaml:1:75: p.kubernetes.namespace: "a.b" is no name of a namespace (small letters, digits and -, at most 63)`,
		"environments.yaml:p: {nodes: [{services: [a]}], driver: docker, kubernetes: {namespace: a}}":             `environments.yaml:1:47: p.kubernetes: is for driver kubernetes, and this environment has driver docker`,
		"environments.yaml:p:": `environments.yaml:1:1: p.nodes: are missing (list at least one group`,
		"environments.yaml:p: {nodes: [{services: [a]}], watch: -1s}":                          `environments.yaml:1:38: p.watch: -1s is too short, at least 0s`,
		"environments.yaml:p: {nodes: [{services: [a]}], config: {a: {A-B: 1}}}":               `environments.yaml:1:49: p.config.a.A-B: "A-B" is no name of an environment variable`,
		"environments.yaml:p: {nodes: [{services: [a]}], config: {a: {A: 'secret:../x'}}}":     `environments.yaml:1:47: p.config.a.A: secret name "../x": character '.' at position 1`,
		"environments.yaml:p: {nodes: [{services: [a]}], config: {a: {A: 'secret:db'}}}":       `environments.yaml:1:47: p.config.a.A: there is no file secrets/p/db.age`,
		ok + "|environments.yaml:p: {nodes: [{services: [catalog]}], config: {x: {}}}":         `environments.yaml:1:46: p.config.x: no service "x" in services.yaml (known: catalog-service)`,
		"environments.yaml:p: {nodes: [{services: [a]}], config: {a: {}, a-service: {}}}":      `environments.yaml:1:47: p.config.a-service: service a stands twice, under two of its names`,
		"environments.yaml:p: {nodes: [{services: [a]}], publish: {a: {http: 99999}}}":         `environments.yaml:1:51: p.publish.a.http: port 99999 is not between 1 and 65535`,
		"environments.yaml:p: {nodes: [{services: [a]}], publish: {a: {http: 80, admin: 80}}}": `environments.yaml:1:31: p.publish: port 80 is given to admin of a in p and to http of a in p`,
		"environments.yaml:'a b': {nodes: [{services: [a]}]}":                                  `environments.yaml:1:1: a b: environment name "a b": character ' '`,
		"environments.yml:p: {}":                                                                      `environments.yml:1:1: the file would be ignored (call it environments.yaml)`,
		"checks/x.yml:- {}":                                                                           `checks/x.yml:1:1: the file would be ignored (call it checks/x.yaml)`,
		"services.yaml:a: {allowd: 1}":                                                                `services.yaml:1:5: a.allowd: unknown key`,
		"services.yaml:a: {role: x, puppet_manifest: y}":                                              `services.yaml:1:1: a: only one of puppet_manifest, ansible_playbook and role can configure its hosts, 2 are given`,
		"services.yaml:a: {repository: 'ext::sh -c id'}":                                              `services.yaml:1:17: a.repository: "ext::sh -c id" is no address of a Git repository`,
		"services.yaml:a: {repository: '-oProxyCommand=x:y'}":                                         `services.yaml:1:17: a.repository: `,
		"services.yaml:a: {branch: '--upload-pack=x'}":                                                `services.yaml:1:13: a.branch: "--upload-pack=x" is no name of a Git branch`,
		"services.yaml:a: {connectivity: [{ports: [70000]}]}":                                         `services.yaml:1:29: a.connectivity[0].ports[0]: port 70000 is not between 1 and 65535`,
		"services.yaml:a: {connectivity: [{ports: [1], protocol: icmp}]}":                             `services.yaml:1:43: a.connectivity[0].protocol: unknown protocol "icmp" (known: tcp, udp)`,
		"services.yaml:a: {connectivity: [{ports: [1], allowed: [WRLD]}]}":                            `services.yaml:1:43: a.connectivity[0].allowed[0]: "WRLD" is neither WORLD nor a service (did you mean "WORLD"?)`,
		"services.yaml:a: {}\na-service: {}":                                                          `services.yaml:2:1: a-service: its artifact a is that of a too`,
		"services.yaml:a: {artifact: b}\nc: {artifact: a}":                                            `services.yaml:1:1: a: the name is that of the artifact of c`,
		"services.yaml:all: {}":                                                                       `services.yaml:1:1: all: a service cannot be called "all"`,
		"services.yaml:a: {team: x}|teams.yaml:storefront: {}":                                        `services.yaml:1:11: a.team: no team "x" in teams.yaml (known: storefront)`,
		"teams.yaml:t: {notify: [{email: a@b.c, webhook: 'https://x'}]}":                              `teams.yaml:1:14: t.notify[0]: email and webhook are both given`,
		"teams.yaml:t: {notify: [{}]}":                                                                `teams.yaml:1:14: t.notify[0]: the contact is empty`,
		"teams.yaml:t: {notify: [{email: nobody}]}":                                                   `teams.yaml:1:22: t.notify[0].email: "nobody" is no address`,
		"teams.yaml:t: {notify: [{webhook: 'ftp://x'}]}":                                              `teams.yaml:1:24: t.notify[0].webhook: this is no URL`,
		"teams.yaml:t: {hours: {zone: Berlin}}":                                                       `teams.yaml:1:19: t.hours.zone: there is no time zone "Berlin"`,
		"teams.yaml:t: {members: [a, b, a]}":                                                          `teams.yaml:1:21: t.members[2]: a stands twice`,
		"checks/a.yaml:- {name: a, query: q, above: 1, service: x}|" + ok:                             `checks/a.yaml:1:42: [0].service: no service "x" in services.yaml`,
		"checks/a.yaml:- {name: a, query: q, above: 1, environment: x}":                               `checks/a.yaml:1:46: [0].environment: no environment "x"`,
		"checks/a.yaml:- {name: a, query: q, above: 1}|checks/b.yaml:- {name: a, query: q, above: 1}": `checks/b.yaml:1:10: [0].name: check "a" of the same service stands in checks/a.yaml too`,
		"checks/a.yaml:- {name: a, query: bad, above: 1}":                                             `checks/a.yaml:1:20: [0].query: cannot be evaluated`,
		"checks/a.yaml:- {name: a, above: 1}":                                                         `checks/a.yaml:1:3: [0].query: is missing`,
		"checks/a.yaml:- {name: a, query: q}":                                                         `checks/a.yaml:1:3: [0]: check "a" has no bound (give it above, below, warn_above or warn_below)`,
		"checks/a.yaml:- {name: a, query: q, above: 1, no_data: alarm}":                               `checks/a.yaml:1:42: [0].no_data: unknown no_data "alarm" (known: critical, nodata, ok)`,
		"checks/a.yaml:- {name: a, query: q, above: 1, severity: pag}":                                `checks/a.yaml:1:43: [0].severity: unknown severity "pag" (did you mean "page"?)`,
		"checks/a.yaml:- {name: a, query: q, above: 1, warn_above: 2}":                                `checks/a.yaml:1:45: [0].warn_above: 2 is not less than above (1)`,
		"checks/a.yaml:- {name: a, query: q, above: 1, below: 2}":                                     `checks/a.yaml:1:40: [0].below: 2 is not less than above, so that no value would be OK (1)`,
		"checks/a.yaml:- {name: a, query: q, above: 1, window: 0s}":                                   `checks/a.yaml:1:41: [0].window: 0s is too short, at least 1s`,
	} {
		var files []string
		for _, f := range strings.Split(in, "|") {
			name, text, _ := strings.Cut(f, ":")
			files = append(files, name, text)
		}
		_, err := Reader{Query: func(q string) error {
			if q == "bad" {
				return errors.New("cannot be evaluated")
			}
			return nil
		}}.Load(tree(files...))
		if err == nil || !strings.HasPrefix(err.Error(), want) || fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n got  %v\n want %s", in, err, want)
		}
	}
}

// One broken file must not make its neighbours look wrong.
func TestLoadOfABrokenFileHasNoConsequences(t *testing.T) {
	_, err := Load(tree("services.yaml", "catalog: {x: 1}", "teams.yaml", "[", "environments.yaml", bookEnvironments,
		"checks/a.yaml", "- {name: a, service: shop, team: t, query: q, above: 1}"))
	got := map[string]int{}
	for _, p := range config.Problems(err) {
		got[p.File]++
	}
	if len(got) != 2 || got["services.yaml"] != 1 || got["teams.yaml"] != 1 {
		t.Error(err)
	}
}

func TestTemplateIsValid(t *testing.T) {
	m := fstest.MapFS{}
	for name, data := range Template() {
		m[name] = &fstest.MapFile{Data: data}
	}
	c, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, n := c.Nodes("production", "catalog"); n != 2 || len(c.Checks) != 1 || len(c.Teams) != 1 || len(c.Dashboards) != 1 || len(m) != 7 {
		t.Errorf("%+v", c)
	}
}
