package docker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// Labels of what the driver makes. None holds a secret.
const (
	labelInstance = "steer.instance" // of Steer: its data folder
	labelNode     = "steer.node"
	labelDigest   = "steer.digest" // of the artifact
)

// container is what inspecting one tells.
type container struct {
	ID    string `json:"Id"`
	State struct {
		Running   bool
		Paused    bool
		OOMKilled bool
		Pid       int
		ExitCode  int
		Error     string
		StartedAt time.Time
	}
	Config struct {
		Labels map[string]string
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostIP, HostPort string }
	}
}

// how says how it ended.
func (c *container) how(s deploy.Spec) string {
	switch code := c.State.ExitCode; {
	case c.State.OOMKilled:
		return fmt.Sprintf("killed: it needed more memory than it may have (run.limits.memory: %s)", s.Limits.Memory)
	case c.State.Error != "":
		return "not started: " + c.State.Error
	case code == 137:
		return "exit status 137 (killed)"
	default:
		return fmt.Sprintf("exit status %d", code)
	}
}

// published are the ports on this machine, by name.
func (c *container) published(s deploy.Spec) map[string]int {
	r := map[string]int{}
	for _, name := range s.Ports {
		for _, at := range c.NetworkSettings.Ports[fmt.Sprintf("%d/tcp", s.Inside[name])] {
			if n, err := strconv.Atoi(at.HostPort); err == nil && r[name] == 0 {
				r[name] = n
			}
		}
	}
	return r
}

// name is the container of a node. Another Steer on this engine has others.
func (d *Driver) name(node string) string { return "steer-" + d.short() + "-" + node }

// short tells Steers on one engine apart.
func (d *Driver) short() string {
	return strings.ToLower(d.o.Instance[max(0, len(d.o.Instance)-8):])
}

// inspect returns a container, nil if there is none.
func (d *Driver) inspect(ctx context.Context, name string) (*container, error) {
	c := &container{}
	err := d.engine.call(ctx, "GET", "/containers/"+url.PathEscape(name)+"/json", nil, nil, c)
	if fault.Of(err) == fault.NotFound {
		return nil, nil
	}
	if err == nil && c.Config.Labels[labelInstance] != d.o.Instance {
		return nil, fault.New(fault.Conflict, "container %s was not made by this Steer (docker rm -f %s removes it)", name, name)
	}
	return c, err
}

// creation is the body of a request to make a container.
type creation struct {
	Image        string
	Cmd          []string
	Entrypoint   []string            `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	User         string              `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	HostConfig   *hosting            `json:",omitempty"`
}

type hosting struct {
	Init           bool
	ReadonlyRootfs bool
	Tmpfs          map[string]string      `json:",omitempty"`
	Memory         int64                  `json:",omitempty"`
	MemorySwap     int64                  `json:",omitempty"`
	NanoCpus       int64                  `json:",omitempty"`
	PidsLimit      int64                  `json:",omitempty"`
	PortBindings   map[string][]publicity `json:",omitempty"`
	SecurityOpt    []string
	ExtraHosts     []string
	LogConfig      logging
}

type publicity struct{ HostIP, HostPort string }

type logging struct {
	Type   string
	Config map[string]string
}

// hostName is the name by which containers know this machine.
const hostName = "host.docker.internal"

// create makes the container of a node or task from an image.
func (d *Driver) create(ctx context.Context, s deploy.Spec, i image) error {
	env := s.Env
	s.Env = map[string]string{"HOST": "0.0.0.0"}
	for k, v := range env {
		s.Env[k] = v
	}
	if ip := net.ParseIP(s.Env["STATSD_HOST"]); ip.IsLoopback() {
		gateway, err := d.gateway(ctx)
		if err != nil {
			return err
		}
		s.Env["STATSD_HOST"] = gateway
	}
	all, err := deploy.Environ(s, s.Inside, d.o.Secret)
	if err != nil {
		return err
	}
	argv, err := i.argv(s.Command, all)
	if err != nil {
		return err
	}
	memory, err := s.Limits.Bytes()
	if err != nil {
		return err
	}
	c := creation{Image: i.id, Env: all, User: s.User, Labels: map[string]string{labelInstance: d.o.Instance, labelNode: s.ID, labelDigest: s.Digest}, HostConfig: &hosting{
		Init: true, ReadonlyRootfs: s.ReadOnly, Memory: memory, MemorySwap: memory, NanoCpus: int64(math.Round(s.Limits.CPUs * 1e9)), PidsLimit: int64(s.Limits.PIDs),
		SecurityOpt: []string{"no-new-privileges"}, ExtraHosts: []string{hostName + ":host-gateway"},
		LogConfig: logging{"json-file", map[string]string{"max-size": "10m", "max-file": "3"}},
	}}
	if len(argv) > 0 {
		c.Entrypoint, c.Cmd = argv[:1], argv[1:]
	}
	if s.Kind != kindImage && s.User == "" && i.user == "" {
		c.User = nobody
	}
	if s.ReadOnly {
		c.HostConfig.Tmpfs = map[string]string{"/tmp": "mode=1777"}
	}
	if len(s.Ports) > 0 {
		c.ExposedPorts, c.HostConfig.PortBindings = map[string]struct{}{}, map[string][]publicity{}
	}
	for _, name := range s.Ports {
		port := fmt.Sprintf("%d/tcp", s.Inside[name])
		c.ExposedPorts[port], c.HostConfig.PortBindings[port] = struct{}{}, []publicity{{HostIP: "127.0.0.1"}}
	}
	err = d.engine.call(ctx, "POST", "/containers/create", values("name", d.name(s.ID)), c, nil)
	if fault.Of(err) == fault.Conflict {
		return nil // made by a Steer that died right then; inspect says whether it is ours
	}
	return err
}

// nobody is who archives run as: an unprivileged user in every system.
const nobody = "65534:65534"

// argv is what the container runs; nothing: what its image says. env is what
// $NAME stands for where no shell is.
func (i image) argv(command string, env []string) ([]string, error) {
	command = strings.TrimSpace(command)
	if command == "" {
		return nil, nil
	}
	if i.shell {
		return []string{"/bin/sh", "-c", direct(command)}, nil
	}
	simple := strings.TrimPrefix(command, "exec ")
	if strings.ContainsAny(simple, "'\"`\\;&|<>()*?[]#~\n") || strings.Contains(strings.Fields(simple)[0], "=") {
		return nil, fault.New(fault.Invalid, "the command %q needs a shell, and the image has none (write the program and its words only, or name an image with /bin/sh for the nodes in environments.yaml)", command)
	}
	words := strings.Fields(simple)
	for n, w := range words {
		words[n] = os.Expand(w, func(name string) string {
			for _, v := range env {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		})
	}
	return words, nil
}

// direct makes the shell become a command that is a single program, which then
// gets the signals.
func direct(command string) string {
	first := strings.Fields(command)[0]
	if strings.ContainsAny(command, ";&|(){}`\n#") || !strings.Contains(first, "/") || strings.ContainsAny(first, "=$'\"<>!*?[") {
		return command
	}
	return "exec " + command
}

// halt ends a container with force after grace. One that is not there, or does not
// run, is no error.
func (d *Driver) halt(ctx context.Context, name string, grace time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, grace+patience, errSlow)
	defer cancel()
	seconds := int(math.Ceil(grace.Seconds()))
	r, err := d.engine.open(ctx, "POST", "/containers/"+url.PathEscape(name)+"/stop", values("t", strconv.Itoa(seconds)), nil, "")
	if fault.Of(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return r.Body.Close()
}

// remove removes a container, by force.
func (d *Driver) remove(ctx context.Context, name string) error {
	for {
		err := d.engine.call(ctx, "DELETE", "/containers/"+url.PathEscape(name), values("force", "1", "v", "1"), nil, nil)
		if fault.Of(err) == fault.NotFound {
			return nil
		}
		if fault.Of(err) != fault.Conflict { // Conflict: it is being removed already
			return err
		}
		c, e := d.inspect(ctx, name)
		if e != nil || c == nil {
			return e
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// orphans are containers of this Steer that no node needs: what was made by one
// that died before it could use or remove them.
func (d *Driver) orphans(ctx context.Context) error {
	var all []struct {
		ID     string `json:"Id"`
		Labels map[string]string
	}
	if err := d.engine.call(ctx, "GET", "/containers/json", values("all", "1", "filters", filters("label", labelInstance+"="+d.o.Instance)), nil, &all); err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		node := c.Labels[labelNode]
		d.mu.Lock()
		used := d.nodes[node] != nil || slices.Contains(d.busy, node)
		d.mu.Unlock()
		if used {
			continue
		}
		d.log.Info("removing a container that no node needs", "container", c.ID[:min(12, len(c.ID))], "node", node)
		errs = append(errs, d.remove(ctx, c.ID))
	}
	return errors.Join(errs...)
}

// reserve keeps the container of a task from being seen as an orphan.
func (d *Driver) reserve(node string) (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = append(d.busy, node)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if i := slices.Index(d.busy, node); i >= 0 {
			d.busy = slices.Delete(d.busy, i, i+1)
		}
	}
}
