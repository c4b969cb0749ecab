package app_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/app"
	"steer/cli"
	"steer/infra/infratest"
)

// TestLaptop: the hosts of examples/hosts come up from their text file, reach each
// other by name, and what they say is seen when one fails; all of it is undone, and
// goes again.
func TestLaptop(t *testing.T) {
	t.Parallel()
	if err := app.CheckDefinitions(os.DirFS("../examples/hosts")); err != nil {
		t.Fatal(err)
	}
	infratest.NeedDocker(t)
	// The same under names of their own, from an image that is here.
	dir, prefix := t.TempDir(), "steer-laptop-"+strings.ReplaceAll(time.Now().Format("150405.000"), ".", "")
	if err := os.CopyFS(dir, os.DirFS("../examples/hosts")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hosts.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for was, is := range map[string]string{"debian:12": infratest.Image, "\ndb:": "\n%-db:", "\nweb:": "\n%-web:", "network: shop": "network: %", ": shop-db}": ": %-volume}", "database: db": "database: %-db"} {
		if !strings.Contains("\n"+string(text), was) {
			t.Fatalf("the example has no %q any more", was)
		}
		text = []byte(strings.TrimPrefix(strings.ReplaceAll("\n"+string(text), was, strings.ReplaceAll(is, "%", prefix)), "\n"))
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("docker", "rm", "-f", prefix+"-db", prefix+"-web-1", prefix+"-web-2").Run()
		exec.Command("docker", "network", "rm", prefix).Run()
		exec.Command("docker", "volume", "rm", prefix+"-volume").Run()
	})
	run := func(what string, hosts ...string) {
		t.Helper()
		for i := range hosts {
			hosts[i] = strings.ReplaceAll(hosts[i], "%", prefix)
		}
		results, err := app.Infra().Make(t.Context(), cli.HostArgs{Definitions: dir, Limit: hosts}, what, func(cli.HostEvent) {})
		if err != nil || len(results) == 0 {
			t.Fatalf("%s: %v", what, err)
		}
		for _, r := range results {
			if r.Failed {
				t.Fatalf("%s: %+v", what, r)
			}
		}
	}
	// says runs the tests of all hosts until they come out so: what was just started may
	// not listen yet.
	says := func(code int, parts ...string) {
		t.Helper()
		var out bytes.Buffer
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			out.Reset()
			got, err := app.Infra().Verify(t.Context(), cli.HostArgs{Definitions: dir}, cli.TestArgs{Format: "text"}, &out)
			missing := ""
			for _, p := range parts {
				if p = strings.ReplaceAll(p, "%", prefix); !strings.Contains(out.String(), p) {
					missing = p
				}
			}
			if err == nil && got == code && missing == "" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%v, code %d, want %d with %s\n%s", err, got, code, missing, out.String())
			}
		}
	}
	run("create", "*")
	says(0)
	run("cut", "%-db")
	says(1, "%-web-1: http http://127.0.0.1:8080/: status: expected 200, found 503", "%-web-2: http")
	run("start", "%-db")
	run("stop", "%-web-1")
	says(1, fmt.Sprintf("container %s-web-1: it is stopped (steer host start %[1]s-web-1", prefix), "%-web-2: 1 test, 2 properties: 2 passed")
	run("start", "%-web-*")
	run("rebuild", "%-db")
	says(0)
	run("destroy", "*")
	if out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "name="+prefix).Output(); err != nil || len(out) > 0 {
		t.Errorf("left is %s %v", out, err)
	}
	if exec.Command("docker", "network", "inspect", prefix).Run() == nil {
		t.Error("the network is left")
	}
	if exec.Command("docker", "volume", "inspect", prefix+"-volume").Run() != nil {
		t.Error("the volume is gone")
	}
}
