package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/fault"
	"steer/infra/infratest"
)

func TestInventory(t *testing.T) {
	read := func(text string) ([]Host, error) {
		return ReadInventory(fstest.MapFS{InventoryFile: {Data: []byte(text)}})
	}
	all, err := read("web: {roles: [base, {role: web, with: {port: 80}}], number: 2, connect: 'ssh://ops@{}.example.com'}\ndb1: {roles: [db], group: db}\nlab: {roles: [web], make: {docker: {image: debian}}}\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range all {
		got = append(got, fmt.Sprint(h.Name, " ", h.Group, " ", h.Address, " ", len(h.Roles)))
	}
	want := "db1 db ssh://root@db1 1; lab lab docker://lab 1; web-1 web ssh://ops@web-1.example.com 2; web-2 web ssh://ops@web-2.example.com 2"
	if have := strings.Join(got, "; "); have != want {
		t.Errorf("got  %s\nwant %s", have, want)
	}
	for patterns, want := range map[string]string{"web-2": "web-2", "web": "web-1 web-2", "d*,lab": "db1 lab", "": "db1 lab web-1 web-2"} {
		var list []string
		if patterns != "" {
			list = strings.Split(patterns, ",")
		}
		some, err := Select(all, list)
		var names []string
		for _, h := range some {
			names = append(names, h.Name)
		}
		if have := strings.Join(names, " "); err != nil || have != want {
			t.Errorf("%s: %s, want %s, %v", patterns, have, want, err)
		}
	}
	if _, err := Select(all, []string{"wbe-1"}); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), `did you mean "web-1"?`) {
		t.Errorf("got %v", err)
	}
	for text, want := range map[string]string{
		"web:":                         "hosts.yaml:1:1: web: is empty (say what the host is, like roles: [web])",
		"Web: {roles: [a]}":            "is no name for a host",
		"web: {}":                      "roles: are missing",
		"web: {roles: [a], number: 0}": "0 hosts are not between",
		"web: {roles: [a], nubmer: 2}": `did you mean "number"?`,
		"web: {roles: [a], make: {}}":  "has to name one way",
		"a: {roles: [x], number: 2}\na-1: {roles: [x]}":                                         "makes a host a-1, which another entry has too",
		"web: {roles: [a], number: 2, connect: ssh://x}":                                        "is the same for all 2 hosts",
		"web: {roles: [a], make: {docker: {image: -x}}}":                                        `"-x" is no name of an image`,
		"web: {roles: [a], make: {command: {create: [true]}}}":                                  "both create and destroy are needed",
		"web: {roles: [a], make: {docker: {image: a, run: [], cup: 1}}}":                        "unknown key",
		"web:\n  roles: [a]\n  login: false\n":                                                  "hosts.yaml:3:10: web.login: can be false on immutable hosts only, which are replaced and not changed (add immutable: true)",
		"web:\n  roles: [a]\n  immutable: true\n  login: false\n":                               "hosts.yaml:4:10: web.login: web is reached by SSH only, which login: false switches off (make it with docker or nspawn, ",
		"web: {roles: [a], immutable: true, login: false, connect: 'command:/usr/bin/ssh web'}": "is reached by SSH only",
		"web: {roles: [a]}\nx: {like: web, until: 2030-01-01T00:00:00Z, login: false}":          "they are what web is",
	} {
		if _, err := read(text); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestNoLogin: how hosts are reached that nobody can log in to, and entered.
func TestNoLogin(t *testing.T) {
	for text, want := range map[string]string{
		"make: {docker: {image: a}}":                                          "docker://h",
		"make: {nspawn: {rootfs: a.tar}}":                                     "nspawn://h",
		"connect: 'agent://{}'":                                               "",
		"connect: 'agent://{}', make: {docker: {image: a}}":                   "docker://h",
		"connect: 'command:lxc exec {} --'":                                   "command:lxc exec h --",
		"connect: 'agent://{}', make: {command: {create: [a], destroy: [b]}}": "",
	} {
		all, err := ReadInventory(fstest.MapFS{InventoryFile: {Data: []byte("h: {roles: [a], immutable: true, login: false, " + text + "}")}})
		if err != nil || !all[0].NoLogin() || Backdoor(all[0]) != want {
			t.Errorf("%s: %+v %v, want %s", text, all, err, want)
		}
	}
}

func TestCreateAndDestroy(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	h := Host{Name: fmt.Sprintf("steer-test-make-%d", os.Getpid()), Entry: Entry{Make: &Make{Docker: &Docker{
		Image: infratest.Image, Run: []string{"/sbin/init"}, Rights: []string{"SYS_ADMIN", "NET_ADMIN"}, Network: "none", Memory: "256m"}}}}
	defer exec.Command("docker", "rm", "--force", h.Name).Run()
	if made, err := Create(t.Context(), h); !made || err != nil {
		t.Fatal(made, err)
	}
	if made, err := Create(t.Context(), h); made || err != nil {
		t.Error("made twice", err)
	}
	var out strings.Builder
	if err := Container(h.Name).Run(t.Context(), Call{Args: []string{"sh", "-c", "cat /proc/1/comm; hostname"}, Stdout: &out}); err != nil || out.String() != "systemd\n"+h.Name+"\n" {
		t.Errorf("%q %v", out.String(), err)
	}
	for range 2 { // one that is gone is no error
		if err := Destroy(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	foreign := container(t, "--network=none", infratest.Image, "sleep", "infinity")
	h.Name = foreign
	if err := Destroy(t.Context(), h); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "was not made by Steer") {
		t.Errorf("got %v", err)
	}
	h.Name, h.Make.Docker.Image = "steer-test-none", "steer-no-such-image:1"
	if _, err := Create(t.Context(), h); err == nil || !strings.Contains(err.Error(), "make host steer-test-none") {
		t.Errorf("got %v", err)
	}
}

// TestNetwork: hosts on one network find each other by name; it comes with the first
// and goes with the last.
func TestNetwork(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	network := fmt.Sprintf("steer-test-net-%d", os.Getpid())
	there := func() bool { return exec.Command("docker", "network", "inspect", network).Run() == nil }
	var hosts []Host
	for i := range 3 {
		h := Host{Name: fmt.Sprintf("%s-%d", network, i), Entry: Entry{Make: &Make{Docker: &Docker{Image: infratest.Image, Run: []string{"sleep", "infinity"}, Network: network}}}}
		hosts = append(hosts, h)
		defer exec.Command("docker", "rm", "--force", h.Name).Run()
	}
	defer func() { exec.Command("docker", "network", "rm", network).Run() }()
	left, err := Each(t.Context(), hosts, Waves{MaxFail: -1}, func(ctx context.Context, h Host) bool {
		_, err := Create(ctx, h)
		if err != nil {
			t.Error(err)
		}
		return err == nil
	})
	if err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	var out strings.Builder
	if err := Container(hosts[0].Name).Run(t.Context(), Call{Args: []string{"getent", "hosts", hosts[1].Name}, Stdout: &out}); err != nil || !strings.Contains(out.String(), hosts[1].Name) {
		t.Errorf("%q %v", out.String(), err)
	}
	for i, h := range hosts {
		if !there() {
			t.Errorf("the network is gone with %d hosts left", len(hosts)-i)
		}
		if err := Destroy(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	if there() {
		t.Error("the network outlives its last host")
	}
}
