package catalog

import (
	"strings"
	"testing"
)

const packaged = `service: tool
team: web
artifact:
  kind: packages
  build: make
  paths: [out]
  package: {version: 1.4, depends: {all: ["curl (>= 7)"]}, install: {out/tool: /usr/bin/tool}, scripts: {after_install: post.sh}}
pipeline:
- {stage: commit, run: make test}
- {stage: release, publish: production, manual: true}
`

func TestPackageManifest(t *testing.T) {
	m, err := ParseManifest("steer.yaml", []byte(packaged))
	if err != nil {
		t.Fatal(err)
	}
	if m.Artifact.Finished() || len(m.Artifact.Packages()) != 2 || m.Artifact.Package.Version != "1.4" || m.Pipeline[1].Publish != "production" {
		t.Errorf("%+v", m)
	}
	for change, want := range map[string]string{
		"kind: packages→kind: archive":           "7:3: artifact.package: only packages have it",
		"paths: [out]→paths: [a.deb, b.rpm]":     "7:3: artifact.package: the paths are finished packages",
		"version: 1.4→version: 1.4-rc":           `7:22: artifact.package.version: "1.4-rc" is none (numbers with dots, like 1.4)`,
		"all: [\"curl (>= 7)\"]→apk: [x]":        `unknown depends "apk"`,
		"curl (>= 7)→curl >= 7":                  `artifact.package.depends.all[0]: "curl >= 7" is no name`,
		"/usr/bin/tool→usr/bin/tool":             `"usr/bin/tool" is no path on a host`,
		"out/tool: →../tool: ":                   `"../tool" is no path inside of the checkout`,
		"post.sh→/post.sh":                       `artifact.package.scripts.after_install: "/post.sh" is no path inside`,
		"publish: production→deploy: production": "run.command: is missing",
		"publish: production, →":                 `stage "release" does nothing`,
	} {
		old, text, _ := strings.Cut(change, "→")
		if !strings.Contains(packaged, old) {
			t.Fatalf("%q is not in the manifest", old)
		}
		_, err := ParseManifest("steer.yaml", []byte(strings.Replace(packaged, old, text, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got  %v\n want %s", change, err, want)
		}
	}
	archive := strings.Replace(packaged, "kind: packages", "kind: archive", 1)
	archive = strings.Replace(archive, archive[strings.Index(archive, "  package:"):strings.Index(archive, "pipeline:")], "run: {command: x}\n", 1)
	if _, err := ParseManifest("steer.yaml", []byte(archive)); err == nil || !strings.Contains(err.Error(), "publish: the artifact has no packages") {
		t.Errorf("publishes an archive: %v", err)
	}
}
