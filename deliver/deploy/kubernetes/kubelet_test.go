package kubernetes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"steer/base/id"
	"steer/deliver/deploy/deploytest"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// kubelet is a machine for tests, and the scheduler that sends all pods there: pods
// are processes, with an address of 127.0.0.0/8 each. It speaks to any API.
type kubelet struct {
	admin   *api.Client
	machine string
	app     string // folder with the program
	server  *httptest.Server
	ctx     context.Context
	wg      sync.WaitGroup

	mu   sync.Mutex
	pods map[string]*process // by UID
	hold map[string]func(*podObject) map[string]any
}

// numbers are those of all pods of this process, for their addresses.
var numbers atomic.Uint32

// process is what a pod is.
type process struct {
	k        *kubelet
	pod      podObject
	number   uint32 // in order of appearance
	ip       string
	restarts int
	last     map[string]any // lastState

	mu    sync.Mutex
	cmd   *exec.Cmd
	lines []line
	alive bool
	over  bool          // for good
	grew  chan struct{} // closed when something of this changed
}

type line struct {
	at   time.Time
	text string
}

func newKubelet(t testing.TB, ctx context.Context, admin *api.Client) *kubelet {
	t.Helper()
	k := &kubelet{admin: admin, machine: "machine-" + id.New()[24:], app: t.TempDir(), ctx: ctx, pods: map[string]*process{}, hold: map[string]func(*podObject) map[string]any{}}
	program, err := deploytest.Program()
	if err == nil {
		err = os.WriteFile(filepath.Join(k.app, "node"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.server = httptest.NewTLSServer(http.HandlerFunc(k.logs))
	t.Cleanup(k.server.Close)
	at := k.server.Listener.Addr().(*net.TCPAddr)
	if err := admin.Call(ctx, "POST", "/api/v1/nodes", nil, map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": meta{Name: k.machine}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := admin.Call(ctx, "PATCH", "/api/v1/nodes/"+k.machine+"/status", nil, map[string]any{"status": map[string]any{
		"addresses":       []any{map[string]any{"type": "InternalIP", "address": at.IP.String()}},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": at.Port}},
	}}, nil); err != nil {
		t.Fatal(err)
	}
	k.wg.Go(func() {
		api.Follow(ctx, admin, api.Pods, labelManaged+"=steer", func(all []podObject) {
			for i := range all {
				k.see(&all[i])
			}
		}, func(typ string, p podObject) {
			if typ != "DELETED" {
				k.see(&p)
				return
			}
			k.mu.Lock()
			gone := k.pods[p.Meta.UID]
			k.mu.Unlock()
			if gone != nil { // by force
				gone.kill()
			}
		}, func(error) {})
	})
	return k
}

// see takes in that a pod is there, or that it should go.
func (k *kubelet) see(p *podObject) {
	k.mu.Lock()
	at := k.pods[p.Meta.UID]
	how := k.hold[p.Meta.Labels[labelNode]]
	if at == nil {
		at = &process{k: k, number: numbers.Add(1), pod: *p, grew: make(chan struct{})}
		k.pods[p.Meta.UID] = at
		k.mu.Unlock()
		if how != nil {
			if status := how(p); status != nil {
				k.admin.Call(k.ctx, "PATCH", k.admin.Path(api.Pods, p.Meta.Name, "status"), nil, map[string]any{"status": status}, nil)
			}
			return
		}
		k.wg.Go(at.live)
		return
	}
	k.mu.Unlock()
	if p.Meta.Deleted != nil {
		at.stop(*p.Meta.Deleted)
	}
}

// instead makes pods of a node, by the name of its objects, never run: what how returns becomes their status.
func (k *kubelet) instead(name string, how func(*podObject) map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hold[name] = how
}

func (p *process) bind() error {
	k := p.k
	if p.pod.Spec.NodeName != "" {
		return nil
	}
	return k.admin.Call(k.ctx, "POST", k.admin.Path(api.Pods, p.pod.Meta.Name, "binding"), nil, map[string]any{"apiVersion": "v1", "kind": "Binding",
		"metadata": meta{Name: p.pod.Meta.Name}, "target": map[string]any{"apiVersion": "v1", "kind": "Node", "name": k.machine}}, nil)
}

// environ is that of the container, with what it takes from Secrets.
func (p *process) environ() ([]string, map[string]string, error) {
	all := map[string]string{}
	for _, v := range p.pod.Spec.Containers[0].Env {
		all[v.Name] = strings.ReplaceAll(v.Value, "$$", "$")
		if v.From != nil {
			var s secretObject
			if err := p.k.admin.Call(p.k.ctx, "GET", p.k.admin.Path(api.Secrets, v.From.Secret.Name), nil, nil, &s); err != nil {
				return nil, nil, err
			}
			all[v.Name] = string(s.Data[v.From.Secret.Key])
		}
	}
	all["HOST"] = p.ip // pods of this machine have one network
	var r []string
	for k, v := range all {
		r = append(r, k+"="+v)
	}
	return r, all, nil
}

// live is the life of a pod.
func (p *process) live() {
	if err := p.bind(); err != nil {
		return
	}
	n := p.number
	p.ip = fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%128, n/250, 1+n%250)
	for pause := 100 * time.Millisecond; p.k.ctx.Err() == nil; pause *= 2 {
		began, err := p.run()
		if err != nil { // as a missing Secret
			p.tell("Pending", map[string]any{"waiting": map[string]any{"reason": "CreateContainerConfigError", "message": err.Error()}}, nil)
		}
		p.mu.Lock()
		over := p.over
		p.mu.Unlock()
		if over {
			p.k.admin.Remove(context.Background(), api.Pods, p.pod.Meta.Name, 0)
			return
		}
		if began {
			code := p.cmd.ProcessState.ExitCode()
			if code < 0 {
				code = 137
			}
			end := map[string]any{"exitCode": code, "reason": "Error", "startedAt": time.Now().UTC().Format(time.RFC3339), "finishedAt": time.Now().UTC().Format(time.RFC3339)}
			if p.pod.Spec.Restart == "Never" {
				p.mu.Lock()
				p.cmd = nil
				over = p.over
				p.mu.Unlock()
				p.tell(map[bool]string{true: "Succeeded", false: "Failed"}[code == 0], map[string]any{"terminated": end}, nil)
				if over {
					p.k.admin.Remove(context.Background(), api.Pods, p.pod.Meta.Name, 0)
				}
				return
			}
			p.tell("Running", map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff", "message": "back-off"}}, map[string]any{"terminated": end})
			p.restarts++
		}
		select {
		case <-time.After(min(pause, time.Second)):
		case <-p.k.ctx.Done():
		}
	}
}

// run runs the container once.
func (p *process) run() (began bool, err error) {
	env, known, err := p.environ()
	if err != nil {
		return false, err
	}
	c := p.pod.Spec.Containers[0]
	argv := append(append([]string{}, c.Command...), c.Args...)
	for i := range argv {
		argv[i] = expand(argv[i], known)
	}
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return false, nil
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Env = p.k.app, env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, in, err := os.Pipe()
	if err != nil {
		p.mu.Unlock()
		return false, err
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	p.lines = nil
	err = p.cmd.Start()
	in.Close()
	p.alive = err == nil
	p.mu.Unlock()
	if err != nil {
		return false, err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for r := bufio.NewScanner(out); r.Scan(); {
			p.grow(func() { p.lines = append(p.lines, line{time.Now(), r.Text()}) })
		}
	}()
	p.tell("Running", map[string]any{"running": map[string]any{"startedAt": time.Now().UTC().Format(time.RFC3339)}}, nil)
	<-read
	out.Close()
	p.cmd.Wait()
	p.grow(func() { p.alive = false })
	return true, nil
}

func expand(s string, known map[string]string) string {
	for k, v := range known {
		s = strings.ReplaceAll(s, "$("+k+")", v)
	}
	return strings.ReplaceAll(s, "$$", "$")
}

func (p *process) grow(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.grew)
	p.grew = make(chan struct{})
}

// tell tells the API how it is.
func (p *process) tell(phase string, now, last map[string]any) {
	c := map[string]any{"name": containerName, "image": p.pod.Spec.Containers[0].Image, "imageID": "", "ready": now["running"] != nil, "restartCount": p.restarts, "state": now}
	if now["running"] != nil {
		c["containerID"] = "test://" + strconv.Itoa(p.restarts)
	}
	if last != nil {
		p.last = last
	}
	if p.last != nil {
		c["lastState"] = p.last
	}
	p.k.admin.Call(p.k.ctx, "PATCH", p.k.admin.Path(api.Pods, p.pod.Meta.Name, "status"), nil, map[string]any{"status": map[string]any{
		"phase": phase, "podIP": p.ip, "podIPs": []any{map[string]any{"ip": p.ip}}, "containerStatuses": []any{c}}}, nil)
}

// stop ends a pod, with force when its time is over.
func (p *process) stop(until time.Time) {
	p.mu.Lock()
	first := !p.over
	p.over = true
	alive, cmd := p.alive, p.cmd
	p.mu.Unlock()
	if !first {
		return
	}
	if !alive {
		if cmd == nil { // it never ran, is held, or will not run again
			p.k.admin.Remove(context.Background(), api.Pods, p.pod.Meta.Name, 0)
		}
		return
	}
	cmd.Process.Signal(syscall.SIGTERM)
	p.k.wg.Go(func() {
		select {
		case <-time.After(time.Until(until)):
			cmd.Process.Kill()
		case <-p.k.ctx.Done():
			cmd.Process.Kill()
		case <-p.ended():
		}
	})
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over = true; p.alive {
		p.cmd.Process.Kill()
	}
}

func (p *process) ended() <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		for {
			p.mu.Lock()
			alive, grew := p.alive, p.grew
			p.mu.Unlock()
			if !alive {
				return
			}
			<-grew
		}
	}()
	return c
}

// logs answers the API server: /containerLogs/NAMESPACE/POD/CONTAINER.
func (k *kubelet) logs(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	k.mu.Lock()
	var p *process
	for _, one := range k.pods {
		if len(parts) == 5 && one.pod.Meta.Name == parts[3] && (p == nil || one.number > p.number) {
			p = one
		}
	}
	k.mu.Unlock()
	if p == nil {
		http.Error(w, "no such pod", http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	since, _ := time.Parse(time.RFC3339, q.Get("sinceTime"))
	p.mu.Lock()
	from := 0
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil {
		from = max(0, len(p.lines)-n)
	}
	cmd := p.cmd
	p.mu.Unlock()
	flush := w.(http.Flusher)
	flush.Flush()
	for {
		p.mu.Lock()
		if p.cmd != cmd {
			p.mu.Unlock()
			return
		}
		now, alive, grew := p.lines[from:], p.alive, p.grew
		from = len(p.lines)
		p.mu.Unlock()
		for _, l := range now {
			if !l.at.Before(since) {
				io.WriteString(w, l.at.UTC().Format(time.RFC3339Nano)+" "+l.text+"\n")
			}
		}
		flush.Flush()
		if !alive || q.Get("follow") != "true" {
			return
		}
		select {
		case <-grew:
		case <-r.Context().Done():
			return
		}
	}
}

// answer is what a fake API server asks for logs.
func (k *kubelet) answer(w http.ResponseWriter, space, pod string, q url.Values) {
	u, _ := url.Parse(k.server.URL)
	u.Path, u.RawQuery = "/containerLogs/"+space+"/"+pod+"/"+containerName, q.Encode()
	r, err := k.server.Client().Get(u.String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer r.Body.Close()
	w.WriteHeader(r.StatusCode)
	flush := w.(http.Flusher)
	for b := make([]byte, 4096); ; {
		n, err := r.Body.Read(b)
		w.Write(b[:n])
		flush.Flush()
		if err != nil {
			return
		}
	}
}
