package app_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steer/infra/fleet"
	"steer/infra/infratest"
)

// TestHostMakesRoom: a host whose disks are full, the one where it remembers too, makes
// the room that a failed test asks for and then becomes as declared, in one visit; one that
// cannot says what is full, keeps what it had, and goes on when somebody made room.
func TestHostMakesRoom(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	s := start(t, t.TempDir())
	name := "steer-room-" + strings.ToLower(strings.ReplaceAll(time.Now().Format("150405.000"), ".", ""))
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", name).Run() })
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %v: %v %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	docker("run", "-d", "--name", name, "--tmpfs", "/var/lib/steer-host:exec,size=256m", "--tmpfs", "/data:size=256k", infratest.Image, "sleep", "infinity")
	role := func(content string, size int) map[string]string {
		return map[string]string{"roles/web.yaml": `description: A host with little room.
resources:
  - file: {path: /data/text, content: "` + strings.Repeat(content, size) + `"}
  - file: {path: /data/after, content: "` + content + `"}
  - command: {name: make-room, run: "rm -f /data/old.log /var/lib/steer-host/old.log", on_notify: true}
tests:
  - mount: {path: /data, used: {below: 90}}
    repair: [command:make-room]
`}
	}
	detail := func() (d fleet.Detail) {
		s.as(s.token).do("GET", "/api/v1/fleet/hosts/"+name, nil).json(t, &d)
		return d
	}
	last := func() fleet.Visit {
		var all []fleet.Visit
		s.as(s.token).do("GET", "/api/v1/fleet/visits?limit=1&host="+name, nil).json(t, &all)
		if len(all) == 0 {
			return fleet.Visit{}
		}
		return all[0]
	}
	visit := func(state, what string) (v fleet.Visit) {
		t.Helper()
		s.within(90*time.Second, what, func() error {
			if v = last(); v.State != state {
				return fmt.Errorf("%+v", v)
			}
			return nil
		})
		return v
	}
	d := role("a", 8<<10)
	d["hosts.yaml"] = name + ":\n  connect: docker://" + name + "\n  roles: [web]\n  converge: {every: 1h}\n"
	s.define(d)
	visit(fleet.Passed, "it is as declared")

	fill := "for d in /data /var/lib/steer-host; do cat /dev/zero >$d/%s 2>/dev/null; done; true"
	docker("exec", name, "sh", "-c", fmt.Sprintf(fill, "old.log"))
	was := last().ID
	s.define(role("b", 16<<10))
	s.within(90*time.Second, "it made room", func() error {
		if v := last(); v.ID == was || v.State != fleet.Passed {
			return fmt.Errorf("%+v", v)
		}
		return nil
	})
	v := detail().Visits[0]
	text := fmt.Sprintf("%+v", v)
	if !strings.Contains(text, "/data is full") || !strings.Contains(text, "what this run remembers takes the 1 MiB that are kept for that") {
		t.Error(text)
	}
	if got := docker("exec", name, "sh", "-c", "wc -c </data/text; cat /data/after; ls /data /var/lib/steer-host"); !strings.HasPrefix(got, "16384\nb") || strings.Contains(got, "old.log") || !strings.Contains(got, "reserve") {
		t.Error(got)
	}

	docker("exec", name, "sh", "-c", fmt.Sprintf(fill, "others.log"))
	s.define(role("c", 24<<10))
	v = visit(fleet.Broken, "it cannot make room")
	text = fmt.Sprintf("%+v", detail().Visits[0])
	if !strings.Contains(text, "/data is full, 0.00 of 0.25 MiB are free: make room there, and run again") || !strings.Contains(text, "/data/after") {
		t.Error(text)
	}
	if got := docker("exec", name, "sh", "-c", "wc -c </data/text; cat /data/after; ls -A /data"); got != "16384\nbafter\nothers.log\ntext" {
		t.Error(got)
	}
	if r := s.as(s.token).do("GET", "/api/v1/incidents?state=open", nil); !strings.Contains(r.body, "host/"+name) {
		t.Error(r)
	}
	docker("exec", name, "sh", "-c", "rm /data/others.log /var/lib/steer-host/others.log")
	if r := s.as(s.token).do("POST", "/api/v1/fleet/visits", map[string]any{"hosts": []string{name}, "kind": "converge"}); r.code != 200 {
		t.Fatal(r)
	}
	visit(fleet.Passed, "it goes on")
	if got := docker("exec", name, "sh", "-c", "wc -c </data/text; cat /data/after"); got != "24576\nc" {
		t.Error(got)
	}
	s.until("the incident ends", func() error {
		if r := s.as(s.token).do("GET", "/api/v1/incidents?state=open", nil); strings.Contains(r.body, "host/"+name) {
			return r
		}
		return nil
	})
}
