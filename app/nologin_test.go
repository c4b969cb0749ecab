package app

import (
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/fault"
	"steer/infra/resource/login"
	"steer/infra/role"
)

// TestClosed: what would let somebody in is refused with its place; all else gets that
// nobody logs in as its last resource.
func TestClosed(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv"
	const hash = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
	for text, wrong := range map[string]string{
		"authorized_key: {user: root, key: " + key + "}":                "lets a key in",
		"authorized_key: {user: root, key: " + key + ", state: absent}": "",
		"authorized_key: {user: root, exact: true}":                     "",
		"user: {name: ann, password: '" + hash + "'}":                   "has a password",
		"user: {name: ann, password: '" + hash + "', locked: true}":     "",
		"user: {name: ann, password: '*'}":                              "",
		"service: ssh":                                                  "lets people in",
		"service: {name: sshd.socket}":                                  "lets people in",
		"service: {name: ssh, state: any, enabled: true}":               "lets people in",
		"service: {name: ssh, state: stopped}":                          "",
		"service: nginx":                                                "",
	} {
		l, err := role.Load(fstest.MapFS{"roles/a.yaml": {Data: []byte("description: A.\nresources:\n  - " + text + "\n")}}, resourceKinds())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		m, err := l.Compile([]role.Use{{Role: "a"}}, role.Input{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		m, err = closed(m, "hosts.yaml")
		switch {
		case wrong != "" && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "roles/a.yaml:3: ") || !strings.Contains(err.Error(), wrong)):
			t.Errorf("%s: got %v, want %s", text, err, wrong)
		case wrong == "" && (err != nil || len(m.Resources) != 2 || m.Resources[1].Ref() != login.Ref):
			t.Errorf("%s: %v %v", text, m.Resources, err)
		}
	}
}
