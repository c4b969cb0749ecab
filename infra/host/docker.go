package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
)

// Docker makes a host as a container. It runs until it is destroyed.
type Docker struct {
	Image   string            `yaml:"image" json:"image" doc:"Image, as docker run takes it."`
	Run     []string          `yaml:"run" json:"run,omitempty" doc:"What runs in it; default: sleep infinity. /sbin/init starts systemd, where the image has it." default:"[sleep, infinity]"`
	CPUs    float64           `yaml:"cpus" json:"cpus,omitempty" doc:"Processors that it may use; 0: all."`
	Memory  string            `yaml:"memory" json:"memory,omitempty" doc:"Memory that it may use, like 512m; empty: all."`
	Network string            `yaml:"network" json:"network,omitempty" doc:"Network; default: the engine's own. none: no network. Any other is made when it is missing, and removed with its last host; on it hosts find each other by name."`
	Volumes map[string]string `yaml:"volumes" json:"volumes,omitempty" doc:"Volumes by their path in the host; {} stands for its name. They outlive it."`
	Publish []string          `yaml:"publish" json:"publish,omitempty" doc:"Ports, as docker run --publish takes them."`
	// Rights are what a virtual machine would have, and a container does not by itself.
	Rights []string `yaml:"rights" json:"rights,omitempty" doc:"Capabilities, like NET_ADMIN for a firewall or SYS_ADMIN for mounts and systemd."`
}

// Check says what is wrong.
func (d *Docker) Check() error {
	switch {
	case d.Image == "":
		return fault.New(fault.Invalid, "image: is missing (say which image the host starts from)")
	case strings.HasPrefix(d.Image, "-"):
		return fault.New(fault.Invalid, "image: %q is no name of an image", d.Image)
	}
	return nil
}

func (d *Docker) address(name string) string { return "docker://" + name }

// label marks containers that this program made, so that it destroys no others.
const label = "steer.host"

func (d *Docker) create(ctx context.Context, h Host) (bool, error) {
	if err := d.start(ctx, h); fault.Of(err) != fault.NotFound {
		return false, err
	}
	if err := d.network(ctx); err != nil {
		return false, fmt.Errorf("make host %s: %w", h.Name, err)
	}
	args := []string{"docker", "run", "--detach", "--name", h.Name, "--hostname", h.Name, "--label", label + "=" + h.Name}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag+"="+value)
		}
	}
	add("--network", d.Network)
	add("--memory", d.Memory)
	if d.CPUs > 0 {
		add("--cpus", fmt.Sprint(d.CPUs))
	}
	for _, at := range sortedKeys(d.Volumes) {
		add("--volume", strings.ReplaceAll(d.Volumes[at], "{}", h.Name)+":"+at)
	}
	for _, p := range d.Publish {
		add("--publish", p)
	}
	for _, r := range d.Rights {
		add("--cap-add", r)
	}
	if slices.Contains(d.Rights, "SYS_ADMIN") {
		args = append(args, "--security-opt=seccomp=unconfined")
	}
	if len(d.Run) > 0 && d.Run[0] == "/sbin/init" {
		args = append(args, "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--stop-signal=SIGRTMIN+3")
	}
	if _, err := output(ctx, append(append(args, d.Image), d.Run...)...); err != nil {
		return false, fmt.Errorf("make host %s: %w", h.Name, err)
	}
	if err := settled(ctx, h.Name); err != nil {
		return true, fmt.Errorf("make host %s: %w", h.Name, err)
	}
	return true, nil
}

// settled waits until a new container answers, and systemd, if it runs, has started
// what it starts.
func settled(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	script := `[ "$(cat /proc/1/comm)" = systemd ] || exit 0; for i in $(seq 600); do [ -S /run/systemd/private ] && break; sleep 0.05; done; systemctl is-system-running --wait >/dev/null || true`
	if _, err := output(ctx, "docker", "exec", name, "sh", "-c", script); err != nil {
		logs, _ := output(context.WithoutCancel(ctx), "docker", "logs", "--tail", "10", name)
		return fmt.Errorf("it does not answer: %w %s", err, logs)
	}
	return nil
}

func (d *Docker) destroy(ctx context.Context, h Host) error {
	mark, err := output(ctx, "docker", "container", "inspect", "--format", "{{index .Config.Labels \""+label+"\"}}", h.Name)
	if err != nil {
		if strings.Contains(err.Error(), "No such container") {
			return nil
		}
		return err
	}
	if strings.TrimSpace(mark) != h.Name {
		return fault.New(fault.Denied, "container %s was not made by Steer, which does not destroy it (docker rm -f %s does)", h.Name, h.Name)
	}
	if _, err = output(ctx, "docker", "rm", "--force", h.Name); err != nil {
		return err
	}
	return d.leaveNetwork(ctx)
}

// networkLabel marks networks that this program made.
const networkLabel = "steer.network"

// own tells whether the network is one to make: one of the engine's own, or of another
// container, is not.
func (d *Docker) own() bool {
	return d.Network != "" && !slices.Contains([]string{"none", "host", "bridge", "default"}, d.Network) && !strings.Contains(d.Network, ":")
}

// network makes the network, when it is not there. Hosts on it find each other by name.
func (d *Docker) network(ctx context.Context) error {
	if !d.own() {
		return nil
	}
	// Hosts are made at the same time, and an engine may make two networks of one name.
	f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("steer-network-%d.lock", os.Getuid())), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("make network %s: %w", d.Network, err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("make network %s: %w", d.Network, err)
	}
	_, err = output(ctx, "docker", "network", "inspect", d.Network)
	if err == nil || !noNetwork(err) {
		return err
	}
	_, err = output(ctx, "docker", "network", "create", "--label", networkLabel+"="+d.Network, d.Network)
	return err
}

// noNetwork tells that a network is not there, in the words of old and new engines.
func noNetwork(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "no such network") || strings.Contains(text, "network") && strings.Contains(text, "not found")
}

// leaveNetwork removes the network with its last host, if this program made it.
func (d *Docker) leaveNetwork(ctx context.Context) error {
	if !d.own() {
		return nil
	}
	mark, err := output(ctx, "docker", "network", "inspect", "--format", "{{index .Labels \""+networkLabel+"\"}}", d.Network)
	if err != nil || strings.TrimSpace(mark) != d.Network {
		return nil // somebody else's, or gone already
	}
	// Those that are stopped need it, too.
	if on, err := output(ctx, "docker", "ps", "--all", "--quiet", "--filter", "network="+d.Network); err != nil || strings.TrimSpace(on) != "" {
		return err
	}
	if _, err = output(ctx, "docker", "network", "rm", d.Network); err != nil && (strings.Contains(err.Error(), "active endpoints") || noNetwork(err)) {
		return nil // a host that is made, or destroyed, at this moment
	}
	return err
}
