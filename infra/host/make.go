package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
)

// Docker makes a host as a container. It runs until it is destroyed.
type Docker struct {
	Image   string            `yaml:"image" json:"image" doc:"Image, as docker run takes it."`
	Run     []string          `yaml:"run" json:"run,omitempty" doc:"What runs in it; default: sleep infinity. /sbin/init starts systemd, where the image has it." default:"[sleep, infinity]"`
	CPUs    float64           `yaml:"cpus" json:"cpus,omitempty" doc:"Processors that it may use; 0: all."`
	Memory  string            `yaml:"memory" json:"memory,omitempty" doc:"Memory that it may use, like 512m; empty: all."`
	Network string            `yaml:"network" json:"network,omitempty" doc:"Network; default: the engine's own. none: no network."`
	Volumes map[string]string `yaml:"volumes" json:"volumes,omitempty" doc:"Volumes by their path in the host. They outlive it."`
	Publish []string          `yaml:"publish" json:"publish,omitempty" doc:"Ports, as docker run --publish takes them."`
	// Rights are what a virtual machine would have, and a container does not by itself.
	Rights []string `yaml:"rights" json:"rights,omitempty" doc:"Capabilities, like NET_ADMIN for a firewall or SYS_ADMIN for mounts and systemd."`
}

// Programs make and destroy a host that Steer does not know how to make.
type Programs struct {
	Create  []string `yaml:"create" json:"create" doc:"Program with arguments that makes the host; {} stands for its name. It ends with 0 once connect reaches it."`
	Destroy []string `yaml:"destroy" json:"destroy" doc:"Program with arguments that destroys it; one that does not exist is no error."`
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

// Check says what is wrong.
func (p *Programs) Check() error {
	if len(p.Create) == 0 || len(p.Destroy) == 0 {
		return fault.New(fault.Invalid, "both create and destroy are needed")
	}
	return nil
}

// label marks containers that this program made, so that it destroys no others.
const label = "steer.host"

// Create makes a host, unless it exists. It says whether it made it.
func Create(ctx context.Context, h Host) (made bool, err error) {
	switch {
	case h.Make == nil:
		return false, fault.New(fault.Invalid, "%s: %s does not say how to make it (add make:)", InventoryFile, h.Name)
	case h.Make.Command != nil:
		_, err := output(ctx, fill(h.Make.Command.Create, h.Name)...)
		return err == nil, err
	}
	state, err := output(ctx, "docker", "container", "inspect", "--format", "{{.State.Running}} {{index .Config.Labels \""+label+"\"}}", h.Name)
	switch {
	case err == nil && strings.HasPrefix(state, "true"):
		return false, nil
	case err == nil:
		_, err := output(ctx, "docker", "start", h.Name)
		return false, err
	case !strings.Contains(err.Error(), "No such container"):
		return false, err
	}
	d := h.Make.Docker
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
		add("--volume", d.Volumes[at]+":"+at)
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
		args = append(args, "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock")
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

// Destroy removes a host with everything on it but its volumes. One that does not
// exist is no error.
func Destroy(ctx context.Context, h Host) error {
	switch {
	case h.Make == nil:
		return fault.New(fault.Invalid, "%s: %s was not made by Steer, which does not destroy it (add make:)", InventoryFile, h.Name)
	case h.Make.Command != nil:
		_, err := output(ctx, fill(h.Make.Command.Destroy, h.Name)...)
		return err
	}
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
	_, err = output(ctx, "docker", "rm", "--force", h.Name)
	return err
}

func fill(words []string, name string) []string {
	var all []string
	for _, w := range words {
		all = append(all, strings.ReplaceAll(w, "{}", name))
	}
	return all
}

// output runs a program here, and returns what it wrote.
func output(ctx context.Context, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out bytes.Buffer
	end := &ending{}
	cmd.Stdout, cmd.Stderr = &out, end
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out.String(), fault.New(fault.Unavailable, "%s %s: %s", words[0], words[1], end)
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "run %s: %w", words[0], err)
	}
	return out.String(), nil
}

// Made lists the containers that this program made, whether a definition has them
// or not. Without a Docker engine there are none.
func Made(ctx context.Context) ([]string, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, nil
	}
	out, err := output(ctx, "docker", "ps", "--all", "--filter", "label="+label, "--format", "{{.Names}}")
	if err != nil {
		return nil, err
	}
	return strings.Fields(out), nil
}
