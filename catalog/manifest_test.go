package catalog

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"steer/base/config"
	"steer/base/fault"
)

const manifest = `service: catalog
team: storefront
artifact:
  kind: archive
  build: go build -o out/catalog .
  paths: [out/catalog]
run:
  command: ./catalog
  ports: {http: 8080}
  health: {http: /healthz, within: 10s}
pipeline:
  - {stage: commit,      run: go test -short ./...}
  - {stage: acceptance,  run: ./test/acceptance.sh, deploy: ci}
  - {stage: uat,         deploy: uat, manual: true, approvers: [storefront]}
  - {stage: production,  deploy: production, strategy: bluegreen}
checks:
  - {name: slow-first-byte, query: 'stats.timers.catalog.ttfb.upper_90', above: 300, for: 1m, severity: page}
`

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest("steer.yaml", []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if m.Service != "catalog" || m.Run.Health.Within.String() != "10s" || m.Run.Grace.String() != "10s" || m.Pipeline[0].Timeout.String() != "15m" ||
		!m.Pipeline[2].Manual || m.Checks[0].Service != "catalog" || m.Checks[0].Team != "storefront" || *m.Checks[0].Above != 300 || m.Checks[0].Severity != "page" {
		t.Errorf("%+v", m)
	}
}

func TestParseManifestTakesTheBooksPorts(t *testing.T) {
	m, err := ParseManifest("steer.yaml", []byte("service: a\nartifact: {paths: [.]}\nrun:\n  command: ./a\n  connectivity:\n    - {ports: [8080, 8081], allowed: [WORLD]}\n    - {protocol: udp, ports: [53]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"tcp-8080": 8080, "tcp-8081": 8081}, m.Run.Ports); d != "" {
		t.Error(d)
	}
}

func TestParseManifestExplains(t *testing.T) {
	for change, want := range map[string]string{
		"service: catalog→":                             `steer.yaml:1:1: service: the name of the service is missing`,
		"service: catalog→service: a/b":                 `steer.yaml:1:10: service: service name "a/b": character '/' at position 2`,
		"  kind: archive→  kind: image":                 `steer.yaml:4:9: artifact.kind: unknown kind "image" (known: archive, deb, oci-image, packages, rpm)`,
		"  paths: [out/catalog]→":                       `steer.yaml:3:1: artifact.paths: the artifact has no paths (list the files and folders that go into it`,
		"[out/catalog]→[../secrets]":                    `steer.yaml:6:11: artifact.paths[0]: "../secrets" is no path inside of the checkout`,
		"[out/catalog]→[/etc]":                          `steer.yaml:6:11: artifact.paths[0]: "/etc" is no path inside of the checkout`,
		"  command: ./catalog→":                         `steer.yaml:7:1: run.command: is missing`,
		"{http: 8080}→{http: 80800}":                    `steer.yaml:9:17: run.ports.http: port 80800 is not between 1 and 65535`,
		"{http: 8080}→{http: web}":                      `steer.yaml:9:17: run.ports.http: "web" is not a whole number`,
		"{http: 8080}→{http-a: 1, http_a: 2}":           `steer.yaml:9:30: run.ports.http_a: the names http-a and http_a both become $PORT_HTTP_A`,
		"{http: 8080}→{http: 1, admin: 1}":              `steer.yaml:9:17: run.ports.http: port 1 is that of admin too`,
		"  ports: {http: 8080}→":                        `steer.yaml:10:18: run.health.http: the service has no ports that could be asked`,
		"http: /healthz→http: healthz":                  `steer.yaml:10:18: run.health.http: "healthz" is no path of a URL (start it with /)`,
		"within: 10s→within: 10":                        `steer.yaml:10:36: run.health.within: "10" is no duration`,
		"stage: commit, →":                              `steer.yaml:12:5: pipeline[0].stage: the name of the stage is missing`,
		"stage: commit, →stage: uat, ":                  `steer.yaml:14:13: pipeline[2].stage: "uat" is the name of stage 1 too (each needs its own)`,
		"run: go test -short ./...→":                    `steer.yaml:12:5: pipeline[0]: stage "commit" does nothing (give it run: COMMAND, or deploy: ENVIRONMENT)`,
		"manual: true, →":                               `steer.yaml:14:39: pipeline[2].approvers: only manual stages are approved (add manual: true)`,
		"strategy: bluegreen→strategy: canary":          `steer.yaml:15:56: pipeline[3].strategy: unknown strategy "canary" (known: bluegreen)`,
		"deploy: production, strategy→run: x, strategy": `steer.yaml:15:44: pipeline[3].strategy: the stage deploys nothing (add deploy: ENVIRONMENT)`,
		"deploy: ci→deplyo: ci":                         `steer.yaml:13:53: pipeline[1].deplyo: unknown key (did you mean "deploy"?)`,
		"for: 1m→service: shop":                         `steer.yaml:17:95: checks[0].service: checks of a steer.yaml are about its own service catalog`,
		"above: 300, →":                                 `steer.yaml:17:5: checks[0]: check "slow-first-byte" has no bound`,
		"stats.timers→bad.timers":                       `steer.yaml:17:36: checks[0].query: no such function`,
		"checks:→pipelines:":                            `steer.yaml:16:1: pipelines: unknown key (did you mean "pipeline"?)`,
	} {
		old, text, _ := strings.Cut(change, "→")
		if !strings.Contains(manifest, old) {
			t.Fatalf("%q is not in the manifest", old)
		}
		_, err := Reader{Query: func(q string) error {
			if strings.HasPrefix(q, "bad") {
				return errors.New("no such function")
			}
			return nil
		}}.ParseManifest("steer.yaml", []byte(strings.Replace(manifest, old, text, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), want) || fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n got  %v\n want %s", change, err, want)
		}
	}
}

func TestCheckManifest(t *testing.T) {
	c, err := Load(tree("environments.yaml", "ci: {nodes: [{services: [catalog]}]}\nproduction: {nodes: [{services: [shop]}]}\n",
		"services.yaml", "catalog: {}\nshop: {}", "teams.yaml", "storefront: {}"))
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckManifest("steer.yaml", []byte(manifest))
	want := `steer.yaml:14:34: pipeline[2].deploy: no environment "uat" (known: ci, production)
steer.yaml:15:34: pipeline[3].deploy: environment production has no nodes for catalog (add it to services of a group in environments.yaml)`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	err = c.CheckManifest("steer.yaml", []byte(strings.NewReplacer("service: catalog", "service: catalogue", "storefront", "storfront").Replace(manifest)))
	for _, want := range []string{`1:10: service: no service "catalogue" (did you mean "catalog"?)`, `2:7: team: no team "storfront" in teams.yaml (did you mean "storefront"?)`, `pipeline[2].approvers[0]: no team`, `checks[0].team: no team`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}

// Definitions come over the network, by a push.
func FuzzParseManifest(f *testing.F) {
	for _, seed := range []string{manifest, "", "service: a", "pipeline: [{stage: a}, {stage: a}]", "run: {connectivity: [{ports: [1, 1]}]}", "checks: [{}, {}]", "artifact: &a {paths: ['']}\nrun: *a"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest("steer.yaml", data)
		if err != nil && len(config.Problems(err)) == 0 {
			t.Errorf("an error without a place: %v", err)
		}
		if err == nil && (m.Service == "" || len(m.Artifact.Paths) == 0) {
			t.Errorf("accepted: %+v", m)
		}
	})
}
