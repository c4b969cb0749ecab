package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/id"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// fake is an API server in memory: as much of it as the driver uses, with the
// controllers of ReplicaSets and of garbage. What it does is what the real one does:
// the same tests run on both.
type fake struct {
	server  *httptest.Server
	kubelet *kubelet
	space   string // the namespace that there is

	mu      sync.Mutex
	version int
	all     map[string]tree // by path
	past    []change1
	grew    chan struct{}
	deny    func(verb, path string) (code int, message string)
	oldest  int // version before which watches are too old
}

type tree = map[string]any

type change1 struct {
	version int
	typ     string
	path    string
	object  []byte
}

func newFake(t testing.TB) *fake {
	f := &fake{space: "shop", all: map[string]tree{}, grew: make(chan struct{}), version: 100}
	f.server = httptest.NewUnstartedServer(f)
	f.server.EnableHTTP2 = true
	f.server.StartTLS()
	t.Cleanup(func() { f.server.CloseClientConnections(); f.server.Close() })
	return f
}

func obj(t tree, keys ...string) tree {
	for _, k := range keys {
		next, _ := t[k].(tree)
		if next == nil {
			next = tree{}
			t[k] = next
		}
		t = next
	}
	return t
}

func text(t tree, keys ...string) string {
	s, _ := obj(t, keys[:len(keys)-1]...)[keys[len(keys)-1]].(string)
	return s
}

// put stores a change. The caller holds mu.
func (f *fake) put(typ, at string, o tree) {
	f.version++
	obj(o, "metadata")["resourceVersion"] = strconv.Itoa(f.version)
	data, _ := json.Marshal(o)
	if typ == "DELETED" {
		delete(f.all, at)
	} else {
		f.all[at] = o
	}
	f.past = append(f.past, change1{f.version, typ, at, data})
	close(f.grew)
	f.grew = make(chan struct{})
}

func (f *fake) fail(w http.ResponseWriter, code int, reason, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(tree{"kind": "Status", "code": code, "reason": reason, "message": fmt.Sprintf(format, args...)})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, at := r.URL.Query(), strings.TrimSuffix(r.URL.Path, "/status")
	verb := map[string]string{"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	kind := path.Base(at)
	collection := kind == api.Pods || kind == api.Secrets || kind == api.ReplicaSets || kind == "nodes"
	if collection && verb == "get" {
		verb = "list"
		if q.Get("watch") != "" {
			verb = "watch"
		}
	}
	f.mu.Lock()
	deny := f.deny
	f.mu.Unlock()
	if deny != nil {
		if code, message := deny(verb, at); code > 0 {
			f.fail(w, code, "", "%s", message)
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer secret" {
		f.fail(w, 401, "Unauthorized", "Unauthorized")
		return
	}
	switch {
	case verb == "watch":
		f.watch(w, r, at, q)
		return
	case path.Base(at) == "log":
		parts := strings.Split(at, "/")
		f.kubelet.answer(w, parts[4], parts[6], q)
		return
	}
	var in tree
	if r.ContentLength != 0 {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil && verb != "get" && verb != "list" {
			f.fail(w, 400, "BadRequest", "%v", err)
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.control()
	var out tree
	switch {
	case verb == "list":
		out = f.list(at, q)
	case path.Base(at) == "binding":
		at = path.Dir(at)
		if f.all[at] == nil {
			f.fail(w, 404, "NotFound", "pods %q not found", path.Base(at))
			return
		}
		o := clone(f.all[at])
		obj(o, "spec")["nodeName"] = text(in, "target", "name")
		f.put("MODIFIED", at, o)
		out = o
	case verb == "create":
		name := text(in, "metadata", "name")
		at += "/" + name
		if parts := strings.Split(at, "/namespaces/"); len(parts) == 2 && !strings.HasPrefix(parts[1], f.space+"/") {
			f.fail(w, 404, "NotFound", "namespaces %q not found", strings.Split(parts[1], "/")[0])
			return
		}
		if f.all[at] != nil {
			f.fail(w, 409, "AlreadyExists", "%s %q already exists", kind, name)
			return
		}
		f.create(at, in)
		out = in
	case f.all[at] == nil:
		f.fail(w, 404, "NotFound", "%s %q not found", path.Base(path.Dir(at)), path.Base(at))
		return
	case verb == "get":
		out = f.all[at]
	case verb == "patch":
		out = clone(f.all[at])
		merge(out, in)
		f.put("MODIFIED", at, out)
	case verb == "delete":
		out = f.all[at]
		seconds, given := in["gracePeriodSeconds"].(float64)
		f.remove(at, int(seconds), given)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}

func (f *fake) create(at string, o tree) {
	m := obj(o, "metadata")
	m["uid"], m["creationTimestamp"] = id.New(), time.Now().UTC().Format(time.RFC3339)
	if strings.Contains(at, "/pods/") {
		obj(o, "status")["phase"] = "Pending"
	}
	f.put("ADDED", at, o)
}

// remove deletes an object, a pod on a machine only when that says so.
func (f *fake) remove(at string, grace int, given bool) {
	o := clone(f.all[at])
	if strings.Contains(at, "/pods/") && text(o, "spec", "nodeName") != "" && (!given || grace > 0) {
		m := obj(o, "metadata")
		if m["deletionTimestamp"] == nil {
			if !given {
				n, _ := obj(o, "spec")["terminationGracePeriodSeconds"].(float64)
				grace = int(n)
			}
			m["deletionTimestamp"] = time.Now().Add(time.Duration(grace) * time.Second).UTC().Format(time.RFC3339)
			f.put("MODIFIED", at, o)
		}
		return
	}
	f.put("DELETED", at, o)
}

// control does what the controllers of a cluster do.
func (f *fake) control() {
	uids := map[string]bool{}
	for _, o := range f.all {
		uids[text(o, "metadata", "uid")] = true
	}
	for _, at := range slices.Sorted(maps.Keys(f.all)) {
		o := f.all[at]
		owners, _ := obj(o, "metadata")["ownerReferences"].([]any)
		if len(owners) > 0 && !uids[text(owners[0].(tree), "uid")] && obj(o, "metadata")["deletionTimestamp"] == nil {
			f.remove(at, 0, false)
			continue
		}
		if !strings.Contains(at, "/replicasets/") {
			continue
		}
		var active []string
		base := "/api/v1/namespaces/" + strings.Split(at, "/")[5] + "/pods/"
		for p, pod := range f.all {
			phase := text(pod, "status", "phase")
			owners, _ := obj(pod, "metadata")["ownerReferences"].([]any)
			if strings.HasPrefix(p, base) && len(owners) > 0 && text(owners[0].(tree), "uid") == text(o, "metadata", "uid") &&
				obj(pod, "metadata")["deletionTimestamp"] == nil && phase != "Failed" && phase != "Succeeded" {
				active = append(active, p)
			}
		}
		want, _ := obj(o, "spec")["replicas"].(float64)
		switch {
		case len(active) > int(want):
			f.remove(active[0], 0, false)
		case len(active) < int(want):
			if f.deny != nil {
				if _, message := f.deny("quota", base); message != "" {
					if obj(o, "status")["conditions"] == nil {
						o = clone(o)
						obj(o, "status")["conditions"] = []any{tree{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}}
						f.put("MODIFIED", at, o)
					}
					continue
				}
			}
			pod := clone(obj(o, "spec", "template"))
			m := obj(pod, "metadata")
			m["name"] = path.Base(at) + "-" + id.New()[24:29]
			m["ownerReferences"] = []any{tree{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": path.Base(at), "uid": text(o, "metadata", "uid")}}
			f.create(base+text(pod, "metadata", "name"), pod)
		}
	}
}

// list returns two objects a page.
func (f *fake) list(at string, q url.Values) tree {
	items := []any{}
	next := ""
	for _, p := range slices.Sorted(maps.Keys(f.all)) {
		if path.Dir(p) != at || p <= q.Get("continue") || !matches(f.all[p], q) {
			continue
		}
		if len(items) == 2 {
			next = path.Dir(p) + "/" + text(items[1].(tree), "metadata", "name")
			break
		}
		items = append(items, f.all[p])
	}
	return tree{"metadata": tree{"resourceVersion": strconv.Itoa(f.version), "continue": next}, "items": items}
}

func matches(o tree, q url.Values) bool {
	for pair := range strings.SplitSeq(q.Get("labelSelector"), ",") {
		k, v, _ := strings.Cut(pair, "=")
		if have, _ := obj(o, "metadata", "labels")[k].(string); k != "" && have != v {
			return false
		}
	}
	return true
}

func (f *fake) watch(w http.ResponseWriter, r *http.Request, at string, q url.Values) {
	from, _ := strconv.Atoi(q.Get("resourceVersion"))
	f.mu.Lock()
	old := from < f.oldest
	f.mu.Unlock()
	if old {
		json.NewEncoder(w).Encode(tree{"type": "ERROR", "object": tree{"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}})
		return
	}
	flush := w.(http.Flusher)
	flush.Flush()
	for {
		f.mu.Lock()
		news, grew := f.past, f.grew
		f.mu.Unlock()
		for _, c := range news {
			if c.version <= from || path.Dir(c.path) != at {
				continue
			}
			from = c.version
			var o tree
			json.Unmarshal(c.object, &o)
			if matches(o, q) {
				json.NewEncoder(w).Encode(tree{"type": c.typ, "object": o})
			}
		}
		json.NewEncoder(w).Encode(tree{"type": "BOOKMARK", "object": tree{"metadata": tree{"resourceVersion": strconv.Itoa(from)}}})
		flush.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-grew:
		}
	}
}

func clone(o tree) tree {
	data, _ := json.Marshal(o)
	var r tree
	json.Unmarshal(data, &r)
	return r
}

func merge(to, from tree) {
	for k, v := range from {
		if v == nil {
			delete(to, k)
		} else if inner, ok := v.(tree); ok {
			merge(obj(to, k), inner)
		} else {
			to[k] = v
		}
	}
}

// setup writes a kubeconfig.
func setup(file, server, ca, space, user string) error {
	return os.WriteFile(file, fmt.Appendf(nil, "current-context: test\ncontexts: [{name: test, context: {cluster: test, user: test, namespace: %s}}]\n"+
		"clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]\nusers: [{name: test, user: {%s}}]\n", space, server, ca, user), 0o600)
}

func write(t testing.TB, file, server, ca, space, user string) {
	t.Helper()
	if err := setup(file, server, ca, space, user); err != nil {
		t.Fatal(err)
	}
}
