package kubernetes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
	"steer/deliver/deploy/kubernetes/internal/api"
)

func begun(t *testing.T, w *world, d *Driver, s deploy.Spec) {
	t.Helper()
	if _, err := d.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	answers(t, d)
}

func answers(t *testing.T, d *Driver) {
	t.Helper()
	deploytest.Until(t, "answer", func() bool { n := one(t, d); return n.Running && deploytest.Ask(n, "/") == deploytest.Password })
}

func TestWhatOthersRemoveComesBack(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		d := w.open(t, t.TempDir())
		run(t, d)
		begun(t, w, d, w.spec("n1"))
		name := d.name("n1")
		for _, c := range []struct{ what, kind, exit string }{
			{"pod", api.Pods, "its pod was removed"},
			{"set", api.ReplicaSets, "its pod was removed"},
		} {
			before, object := one(t, d), name
			if c.kind == api.Pods {
				object = d.get("n1").pod()
			}
			if err := w.admin.Remove(t.Context(), c.kind, object, -1); err != nil {
				t.Fatal(err)
			}
			deploytest.Until(t, "it came back after its "+c.what+" went", func() bool { return one(t, d).Restarts > before.Restarts })
			answers(t, d)
			if n := one(t, d); n.Restarts != before.Restarts+1 || n.LastExit != c.exit && n.LastExit != "exit status 0" {
				t.Errorf("%s: %d restarts, %q", c.what, n.Restarts, n.LastExit)
			}
		}
		if err := w.admin.Call(t.Context(), "PATCH", w.admin.Path(api.ReplicaSets, name), nil, map[string]any{"spec": map[string]any{"replicas": 0}}, nil); err != nil {
			t.Fatal(err)
		}
		deploytest.Until(t, "it is one again", func() bool { // maybe before the pod was removed
			var set replicaSet
			err := w.admin.Call(t.Context(), "GET", w.admin.Path(api.ReplicaSets, name), nil, nil, &set)
			return err == nil && set.Spec.Replicas == 1
		})
		answers(t, d)
	})
}

func TestSecretsAreNoPartOfPods(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		d := w.open(t, t.TempDir())
		run(t, d)
		begun(t, w, d, w.spec("n1"))
		for _, kind := range []string{api.Pods, api.ReplicaSets} {
			all, err := list[any](t.Context(), w, kind, d.get("n1").s.selector)
			text, _ := json.Marshal(all)
			if err != nil || len(all) == 0 || strings.Contains(string(text), deploytest.Password) || strings.Contains(string(text), "pull-token") {
				t.Errorf("%v, %d %s: %s", err, len(all), kind, text)
			}
		}
		var hidden secretObject
		deploytest.Until(t, "the secret belongs to the node", func() bool {
			err := w.admin.Call(t.Context(), "GET", w.admin.Path(api.Secrets, d.name("n1")), nil, nil, &hidden)
			return err == nil && len(hidden.Meta.Owners) == 1
		})
		if string(hidden.Data["VALUE"]) != deploytest.Password || len(hidden.Data) != 1 || hidden.Meta.Owners[0].Kind != "ReplicaSet" {
			t.Errorf("%+v", hidden)
		}
		var pull secretObject
		if err := w.admin.Call(t.Context(), "GET", w.admin.Path(api.Secrets, "steer-pull-"+d.o.Instance), nil, nil, &pull); err != nil || !strings.Contains(string(pull.Data[".dockerconfigjson"]), `"registry.test:8080":{"password":"pull-token"`) {
			t.Errorf("%v %s", err, pull.Data)
		}
		if err := d.Stop(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{api.Pods, api.ReplicaSets} {
			if left, err := w.all(kind, d.o.Instance); err != nil || len(left) > 0 {
				t.Errorf("%v %v", left, err)
			}
		}
		if left, err := w.all(api.Secrets, d.o.Instance); err != nil || !slices.Equal(left, []string{"steer-pull-" + d.o.Instance}) {
			t.Errorf("%v %v", left, err)
		}
	})
}

// Two Steers share a namespace, and one of them has lost its memory.
func TestOnlyWhatIsOursIsTouched(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		dir, forgets := t.TempDir(), t.TempDir()
		d, other := w.open(t, dir), w.open(t, forgets)
		run(t, d)
		begun(t, w, d, w.spec("n1"))
		begun(t, w, other, w.spec("n1"))
		other.Close()
		same, _ := w.instances.Load(forgets)
		next := w.open(t, t.TempDir(), func(o *Options) { o.Instance = same.(string) })
		run(t, next)
		begun(t, w, next, w.spec("n2"))
		next.tidy(t.Context())
		deploytest.Until(t, "the forgotten node is gone", func() bool {
			sets, _ := w.all(api.ReplicaSets, same.(string))
			all, _ := w.all(api.Pods, same.(string))
			return slices.Equal(sets, []string{next.name("n2")}) && len(all) == 1
		})
		answers(t, d)
		answers(t, next)
		if n := one(t, d); n.Restarts != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// What keeps a pod from running is told in words, and after a time it is a reason to fail.
func TestWhyPodsDoNotRun(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		d := w.open(t, t.TempDir())
		run(t, d)
		bound := func(p *podObject) { (&process{k: w.kubelet, pod: *p}).bind() }
		waiting := func(reason, message string) map[string]any {
			return map[string]any{"containerStatuses": []any{map[string]any{"name": containerName, "image": "x", "imageID": "", "ready": false, "restartCount": 0,
				"state": map[string]any{"waiting": map[string]any{"reason": reason, "message": message}}}}}
		}
		for node, c := range map[string]struct {
			how  func(*podObject) map[string]any
			want string
		}{
			"unscheduled": {func(*podObject) map[string]any {
				return map[string]any{"conditions": []any{map[string]any{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient memory."}}}
			}, "it cannot be scheduled: 0/3 nodes are available: 3 Insufficient memory."},
			"pull": {func(p *podObject) map[string]any {
				bound(p)
				return waiting("ImagePullBackOff", "Back-off pulling image: dial tcp: connection refused")
			}, "its image cannot be pulled: Back-off pulling image: dial tcp: connection refused (machines of the cluster must reach deploy.kubernetes.registry)"},
			"config": {func(p *podObject) map[string]any {
				bound(p)
				return waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
			}, "container has runAsNonRoot and image will run as root (set run.user in steer.yaml: a number like 1000, or 0 for root)"},
		} {
			w.kubelet.instead(d.name(node), c.how)
			if _, err := d.Start(t.Context(), w.spec(node)); err != nil {
				t.Fatal(err)
			}
			var last deploy.Instance
			told := func(told func(deploy.Instance) string) func() bool {
				return func() bool {
					all, _ := d.List(t.Context())
					i := slices.IndexFunc(all, func(i deploy.Instance) bool { return i.ID == node })
					last = all[i]
					return told(last) == c.want && !last.Running
				}
			}
			deploytest.Until(t, c.want, told(func(i deploy.Instance) string { return i.Waiting }))
			if node == "config" && last.LastExit != "not started: "+c.want {
				t.Errorf("%+v", last)
			} else if node != "config" && last.LastExit != "" {
				t.Errorf("%+v", last)
			}
		}
		soon := w.open(t, t.TempDir(), func(o *Options) { o.Arrive = config.Duration(time.Second) })
		run(t, soon)
		w.kubelet.instead(soon.name("n1"), func(*podObject) map[string]any { return nil })
		if _, err := soon.Start(t.Context(), w.spec("n1")); err != nil {
			t.Fatal(err)
		}
		deploytest.Until(t, "it took too long", func() bool { return one(t, soon).LastExit == "not started within 1s: it waits for a machine" })
	})
}

func TestEvictedNodesRunElsewhere(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		d := w.open(t, t.TempDir())
		run(t, d)
		begun(t, w, d, w.spec("n1"))
		if err := w.admin.Call(t.Context(), "PATCH", w.admin.Path(api.Pods, d.get("n1").pod(), "status"), nil, map[string]any{"status": map[string]any{
			"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}}, nil); err != nil {
			t.Fatal(err)
		}
		deploytest.Until(t, "another pod", func() bool { return one(t, d).Restarts == 1 })
		answers(t, d)
		if n := one(t, d); n.LastExit != "evicted by its machine: The node was low on resource: memory." {
			t.Errorf("%+v", n)
		}
	})
}

func TestNoNamespaceAndNoRoom(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		d := w.open(t, t.TempDir())
		run(t, d)
		s := w.spec("nowhere")
		if w.fake == nil { // without rights there, the API does not tell whether it exists
			s.Cluster.Namespace = w.admin.Namespace()
		}
		if w.fake != nil {
			s.Cluster.Namespace = "nowhere"
			if _, err := d.Start(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			deploytest.Until(t, "no namespace", func() bool {
				return strings.Contains(one(t, d).LastExit, "there is no namespace nowhere in the cluster (kubectl create namespace nowhere)")
			})
			if err := d.Stop(t.Context(), "nowhere"); err != nil {
				t.Fatal(err)
			}
			w.fake.mu.Lock()
			w.fake.deny = func(verb, path string) (int, string) {
				if verb == "quota" {
					return 0, `pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0`
				}
				return 0, ""
			}
			w.fake.mu.Unlock()
		} else if err := w.admin.Call(t.Context(), "POST", w.admin.Path("resourcequotas"), nil, map[string]any{"metadata": meta{Name: "small"}, "spec": map[string]any{"hard": map[string]any{"pods": "0"}}}, nil); err != nil {
			t.Fatal(err)
		} else {
			deploytest.Until(t, "the quota counts", func() bool {
				var q struct{ Status struct{ Hard map[string]any } }
				return w.admin.Call(t.Context(), "GET", w.admin.Path("resourcequotas", "small"), nil, nil, &q) == nil && len(q.Status.Hard) > 0
			})
		}
		if _, err := d.Start(t.Context(), w.spec("n1")); err != nil {
			t.Fatal(err)
		}
		deploytest.Until(t, "no room", func() bool {
			n := one(t, d)
			return strings.HasPrefix(n.Waiting, "the cluster makes no pod for it: pods ") && strings.Contains(n.Waiting, "exceeded quota: small")
		})
		s = w.spec("task")
		s.Command = "./node 0"
		if err := d.Task(t.Context(), s, &deploy.Ending{}); fault.Of(err) != fault.Conflict && w.fake == nil || err == nil && w.fake == nil || w.fake == nil && !strings.Contains(err.Error(), "raise the ResourceQuota of namespace "+w.admin.Namespace()) {
			t.Errorf("%v", err)
		}
	})
}

// The API goes away, forgets, and lets Steer in no more: nodes run on, and what is
// not known is said.
func TestTheAPIIsAway(t *testing.T) {
	t.Parallel()
	w := fakeWorld(t)
	dir := t.TempDir()
	d := w.open(t, dir)
	stop := run(t, d)
	begun(t, w, d, w.spec("n1"))
	deny := func(f func(verb, path string) (int, string)) {
		w.fake.mu.Lock()
		w.fake.deny = f
		w.fake.mu.Unlock()
		w.fake.server.CloseClientConnections()
	}
	unsure := func(want string) func() bool {
		return func() bool {
			n := one(t, d)
			return n.Running && strings.Contains(n.Unsure, want) && deploytest.Ask(n, "/") == deploytest.Password
		}
	}
	own := func(f func(verb, path string) (int, string)) func(string, string) (int, string) {
		return func(verb, path string) (int, string) { // the machine must go on
			if verb == "list" || verb == "watch" {
				return f(verb, path)
			}
			return 0, ""
		}
	}
	deny(own(func(string, string) (int, string) { return 503, "etcd is away" }))
	deploytest.Until(t, "unsure", unsure("the Kubernetes API says: etcd is away"))
	stop()
	d = w.open(t, dir)
	run(t, d)
	deploytest.Until(t, "unsure after a restart", unsure("etcd is away"))
	deny(own(func(verb, _ string) (int, string) {
		if verb == "watch" {
			return 403, `pods is forbidden: User "steer" cannot watch resource "pods" in API group "" in the namespace "shop"`
		}
		return 0, ""
	}))
	deploytest.Until(t, "denied", unsure(`cannot watch resource "pods" in API group "" in the namespace "shop" (docs/guide/kubernetes.md has the Role to give)`))
	deny(own(func(string, string) (int, string) { return 401, "Unauthorized" }))
	deploytest.Until(t, "nobody knows us", unsure("does not know who Steer is: Unauthorized (renew the token or certificate of the kubeconfig)"))
	w.fake.mu.Lock()
	w.fake.deny = nil
	w.fake.oldest = w.fake.version + 1 // watches must list anew
	w.fake.mu.Unlock()
	deploytest.Until(t, "sure again", func() bool { n := one(t, d); return n.Unsure == "" && n.Running })
	w.fake.mu.Lock()
	w.fake.oldest = 0
	w.fake.mu.Unlock()
	deploytest.Ask(one(t, d), "/die")
	deploytest.Until(t, "a death is seen", func() bool { return one(t, d).Restarts == 1 })
	answers(t, d)
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := fakeWorld(t)
	for _, c := range []struct {
		change func(*Options, *deploy.Spec)
		want   string
	}{
		{func(o *Options, _ *deploy.Spec) { o.Registry = "" }, "start node n1: nobody said where the cluster finds images: set deploy.kubernetes.registry in server.yaml"},
		{func(o *Options, _ *deploy.Spec) { o.Kubeconfig = "/nowhere" }, "start node n1: read kubeconfig: open /nowhere: no such file or directory (deploy.kubernetes.kubeconfig says where it is)"},
		{func(_ *Options, s *deploy.Spec) { s.Cluster.Context = "prod" }, `there is no context "prod" (known: test)`},
	} {
		s := w.spec("n1")
		d := w.open(t, t.TempDir(), func(o *Options) { c.change(o, &s) })
		if _, err := d.Start(t.Context(), s); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if all, _ := d.List(t.Context()); len(all) != 0 {
			t.Errorf("%+v", all)
		}
	}
	s := w.spec("n1")
	s.User = "app"
	d := w.open(t, t.TempDir())
	run(t, d)
	if _, err := d.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	deploytest.Until(t, "no such user", func() bool {
		return one(t, d).LastExit == `not started: run.user: "app": Kubernetes wants numbers (write UID or UID:GID)`
	})
}
