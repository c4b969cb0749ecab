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
	// visit waits for the newest visit after another one that ended so.
	visit := func(after int64, state, what string) (v fleet.Visit) {
		t.Helper()
		s.within(90*time.Second, what, func() error {
			var all []fleet.Visit
			s.as(s.token).do("GET", "/api/v1/fleet/visits?limit=20&host="+name, nil).json(t, &all)
			for _, v = range all {
				if v.ID > after && v.State == state {
					s.as(s.token).do("GET", fmt.Sprintf("/api/v1/fleet/visits/%d", v.ID), nil).json(t, &v)
					return nil
				}
			}
			return fmt.Errorf("%+v", all)
		})
		return v
	}
	in := func(script string) string {
		t.Helper()
		return docker("exec", name, "sh", "-c", script)
	}
	d := role("a", 8<<10)
	d["hosts.yaml"] = name + ":\n  connect: docker://" + name + "\n  roles: [web]\n  converge: {every: 1h}\n"
	s.define(d)
	v := visit(0, fleet.Passed, "it is as declared")

	fill := func(file string) {
		in("for d in /data /var/lib/steer-host; do cat /dev/zero >$d/" + file + " 2>/dev/null; done; true")
	}
	fill("old.log")
	s.define(role("b", 16<<10))
	v = visit(v.ID, fleet.Passed, "it made room")
	text := fmt.Sprintf("%+v", v)
	if !strings.Contains(text, ": no space left on device (what was there before is untouched) (where 0 of 256 KiB are free") || !strings.Contains(text, "the disk with /var/lib/steer-host is full: what this run remembers takes the 1 MiB that are kept for that") {
		t.Error(text)
	}
	if got := in("wc -c </data/text; cat /data/after; ls /data /var/lib/steer-host"); !strings.HasPrefix(got, "16384\nb") || strings.Contains(got, "old.log") || !strings.Contains(got, "reserve") {
		t.Error(got)
	}

	fill("others.log")
	s.define(role("c", 24<<10))
	v = visit(v.ID, fleet.Broken, "it cannot make room")
	text = fmt.Sprintf("%+v", v)
	if !strings.Contains(text, ": no space left on device (what was there before is untouched) (where 0 of 256 KiB are free") {
		t.Error(text)
	}
	if got := in("wc -c </data/text; cat /data/after; ls -A /data"); got != "16384\nbafter\nothers.log\ntext" {
		t.Error(got)
	}
	incidents := func() string {
		return s.as(s.token).do("GET", "/api/v1/incidents", nil).body
	}
	if got := incidents(); !strings.Contains(got, name+" does not get its change ") || !strings.Contains(got, "0 of 256 KiB") {
		t.Error(got)
	}
	in("rm /data/others.log /var/lib/steer-host/others.log")
	s.define(role("d", 24<<10))
	visit(v.ID, fleet.Passed, "it goes on")
	s.within(90*time.Second, "it is as declared and all is well", func() error {
		if got := in("wc -c </data/text; cat /data/after") + incidents(); !strings.HasPrefix(got, "24576\nd") || strings.Contains(got, `"state":"open"`) {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
}
