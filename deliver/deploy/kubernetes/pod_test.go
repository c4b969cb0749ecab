package kubernetes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/catalog"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
)

func TestArgv(t *testing.T) {
	t.Parallel()
	for command, want := range map[string][]string{
		"":                                 nil,
		"  ./node  a b":                    {"./node", "a", "b"},
		"exec ./node":                      {"./node"},
		"node server.js":                   {"node", "server.js"},
		"./node -port $PORT -x ${VALUE}":   {"./node", "-port", "$(PORT)", "-x", "$(VALUE)"},
		"./node $OF_THE_IMAGE":             {"/bin/sh", "-c", "./node $$OF_THE_IMAGE"},
		"./node | tee x":                   {"/bin/sh", "-c", "./node | tee x"},
		"X=1 ./node $(date) $PORT":         {"/bin/sh", "-c", "X=1 ./node $$(date) $$PORT"},
		"ulimit -n 9":                      {"/bin/sh", "-c", "ulimit -n 9"},
		"./node ${PORT:-80}":               {"/bin/sh", "-c", "./node $${PORT:-80}"},
		"for i in 1 2; do ./node $i; done": {"/bin/sh", "-c", "for i in 1 2; do ./node $$i; done"},
	} {
		program, args := argv(command, func(name string) bool { return name == "PORT" || name == "VALUE" })
		if got := append(program, args...); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

func TestPodsHaveNoMoreRightsThanTheyNeed(t *testing.T) {
	t.Parallel()
	d := fakeWorld(t).open(t, t.TempDir())
	pod := func(change func(*deploy.Spec)) string {
		t.Helper()
		s := deploytest.Spec("n1")
		s.Kind = "archive"
		change(&s)
		p, _, err := d.pod(s, "r/x@sha256:1")
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		change    func(*deploy.Spec)
		want, not string
	}{
		{func(*deploy.Spec) {}, `"securityContext":{"runAsNonRoot":true,"runAsUser":65534,"runAsGroup":65534,"seccompProfile":{"type":"RuntimeDefault"}}`, deploytest.Password},
		{func(*deploy.Spec) {}, `"securityContext":{"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":false,"capabilities":{"drop":["ALL"]}}`, "limits"},
		{func(*deploy.Spec) {}, `"automountServiceAccountToken":false,"enableServiceLinks":false`, "emptyDir"},
		{func(*deploy.Spec) {}, `{"name":"VALUE","valueFrom":{"secretKeyRef":{"name":"` + d.name("n1") + `","key":"VALUE"}}}`, ""},
		{func(s *deploy.Spec) { s.Kind = catalog.KindImage }, `"securityContext":{"runAsNonRoot":true,"seccompProfile"`, "workingDir"},
		{func(s *deploy.Spec) { s.User = "7:8" }, `"runAsNonRoot":true,"runAsUser":7,"runAsGroup":8`, ""},
		{func(s *deploy.Spec) { s.User = "0" }, `"runAsNonRoot":false,"runAsUser":0`, ""},
		{func(s *deploy.Spec) { s.ReadOnly = true }, `"readOnlyRootFilesystem":true`, ""},
		{func(s *deploy.Spec) { s.ReadOnly = true }, `"volumes":[{"name":"tmp","emptyDir":{"medium":"Memory"}}]`, ""},
		{func(s *deploy.Spec) { s.Limits = catalog.Limits{Memory: "64m", CPUs: 0.25} }, `"limits":{"cpu":"250m","memory":"67108864"}`, ""},
		{func(s *deploy.Spec) { s.Grace = 1500 * time.Millisecond }, `"terminationGracePeriodSeconds":2`, ""},
		{func(s *deploy.Spec) { s.Env["PRICE"] = "$(X) $5" }, `{"name":"PRICE","value":"$$(X) $$5"}`, ""},
		{func(s *deploy.Spec) { s.Env["STATSD_HOST"], s.Env["STATSD_PORT"] = "127.0.0.1", "8125" }, `"name":"HOST"`, "STATSD"},
		{func(s *deploy.Spec) { s.Env["STATSD_HOST"] = "10.1.2.3" }, `{"name":"STATSD_HOST","value":"10.1.2.3"}`, ""},
	} {
		if got := pod(c.change); !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s\nwant %s, not %q", got, c.want, c.not)
		}
	}
	long := d.name(strings.Repeat("Ä_b.", 60))
	if len(long) > 57 || strings.ToLower(long) != long || d.name("a-b") == d.name("a.b") {
		t.Error(long)
	}
}

// A node's life as its cluster tells it, step by step.
func TestALifeInPods(t *testing.T) {
	t.Parallel()
	r := record{Kept: deploy.Kept{Spec: deploytest.Spec("n1")}}
	r.Limits.Memory = "64m"
	pod := func(text string) []*podObject {
		t.Helper()
		var all []*podObject
		if err := json.Unmarshal([]byte("["+text+"]"), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	const (
		first  = `{"metadata": {"name": "a", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"%s}, "spec": {"nodeName": "m1"}, "status": {"phase": "%s", "podIP": "10.0.0.1", %s}}`
		second = `{"metadata": {"name": "b", "uid": "2", "creationTimestamp": "2026-01-02T00:00:00Z"}, "spec": {"nodeName": "m2"}, "status": {"phase": "Running", "podIP": "10.0.0.2", "containerStatuses": [{"name": "node", "restartCount": 0, "state": {"running": {"startedAt": "2026-01-02T00:00:01Z"}}}]}}`
	)
	at := func(meta, phase, rest string) string {
		return strings.Replace(strings.Replace(strings.Replace(first, "%s", meta, 1), "%s", phase, 1), "%s", rest, 1)
	}
	runs := func(n string) string {
		return `"containerStatuses": [{"name": "node", "restartCount": ` + n + `, "state": {"running": {"startedAt": "2026-01-01T00:00:0` + n + `Z"}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]`
	}
	for i, c := range []struct {
		pods     string
		running  bool
		waiting  string
		restarts int
		exit     string
	}{
		{"", false, "the cluster makes a pod for it", 0, ""},
		{`{"metadata": {"uid": "1"}, "spec": {}, "status": {"phase": "Pending"}}`, false, "it waits for a machine", 0, ""},
		{at("", "Pending", `"containerStatuses": [{"name": "node", "state": {"waiting": {"reason": "ContainerCreating"}}}]`), false, "its machine m1 fetches the image and makes the container", 0, ""},
		{at("", "Running", `"containerStatuses": [{"name": "node", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]`), true, "", 0, ""},
		{at("", "Running", runs("1")), true, "", 1, "killed: it needed more memory than it may have (run.limits.memory: 64m)"},
		{at("", "Running", runs("3")), true, "", 3, "killed: it needed more memory than it may have (run.limits.memory: 64m)"},
		{at("", "Running", `"containerStatuses": [{"name": "node", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}}]`), false, "", 3, "exit status 2"},
		{at("", "Running", runs("4")), true, "", 4, "exit status 2"},
		{at(`, "deletionTimestamp": "2026-01-02T00:00:00Z"`, "Running", `"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}], `+runs("4")), false, "its machine m1 does not answer, or is being emptied", 4, "its machine m1 does not answer, or is being emptied"},
		{at(`, "deletionTimestamp": "2026-01-02T00:00:00Z"`, "Running", runs("4")) + "," + second, true, "", 5, "its machine m1 does not answer, or is being emptied"},
		{second, true, "", 5, "its machine m1 does not answer, or is being emptied"},
		{"", false, "the cluster makes a pod for it", 5, "its pod was removed"},
	} {
		running, waiting, _ := r.look(&replicaSet{}, pod(c.pods))
		if running != c.running || waiting != c.waiting || r.Restarts != c.restarts || r.LastExit != c.exit {
			t.Errorf("step %d: %v %q %d %q, want %+v", i, running, waiting, r.Restarts, r.LastExit, c)
		}
	}
	if r.Machine != "m2" || r.IP != "10.0.0.2" {
		t.Errorf("%+v", r.seen)
	}
}
