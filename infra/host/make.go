package host

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"steer/base/fault"
)

// Make says how a host is made, in one of these ways.
type Make struct {
	Docker      *Docker      `yaml:"docker" json:"docker,omitempty" doc:"A container of the Docker engine here."`
	Nspawn      *Nspawn      `yaml:"nspawn" json:"nspawn,omitempty" doc:"A container of systemd-nspawn, booted, from a Debian or a root file system."`
	Debootstrap *Debootstrap `yaml:"debootstrap" json:"debootstrap,omitempty" doc:"A folder with a Debian or a root file system, which is only entered: nothing runs in it between visits."`
	Tofu        *Tofu        `yaml:"tofu" json:"tofu,omitempty" doc:"What OpenTofu, or Terraform, makes of a folder with its definitions."`
	Command     *Programs    `yaml:"command" json:"command,omitempty" doc:"Programs that make and destroy it."`
}

// maker is a way to make hosts.
type maker interface {
	// create makes a host, unless it exists. It says whether it made it.
	create(ctx context.Context, h Host) (made bool, err error)
	// destroy removes a host with everything on it but its volumes. One that does not
	// exist is no error.
	destroy(ctx context.Context, h Host) error
	// address is the way to a host, when connect does not say it.
	address(name string) string
}

// makers lists those that are given.
func (m *Make) makers() []maker {
	var all []maker
	if m.Docker != nil {
		all = append(all, m.Docker)
	}
	if m.Nspawn != nil {
		all = append(all, m.Nspawn)
	}
	if m.Debootstrap != nil {
		all = append(all, m.Debootstrap)
	}
	if m.Tofu != nil {
		all = append(all, m.Tofu)
	}
	if m.Command != nil {
		all = append(all, m.Command)
	}
	return all
}

// Check says what is wrong.
func (m *Make) Check() error {
	if len(m.makers()) != 1 {
		return fault.New(fault.Invalid, "has to name one way: docker, nspawn, debootstrap, tofu or command")
	}
	return nil
}

// Create makes a host, unless it exists. It says whether it made it.
func Create(ctx context.Context, h Host) (made bool, err error) {
	if h.Make == nil {
		return false, fault.New(fault.Invalid, "%s: %s does not say how to make it (add make:)", InventoryFile, h.Name)
	}
	return h.Make.makers()[0].create(ctx, h)
}

// Destroy removes a host with everything on it but its volumes. One that does not
// exist is no error.
func Destroy(ctx context.Context, h Host) error {
	if h.Make == nil {
		return fault.New(fault.Invalid, "%s: %s was not made by Steer, which does not destroy it (add make:)", InventoryFile, h.Name)
	}
	return h.Make.makers()[0].destroy(ctx, h)
}

// Locate is the way to a host: its address, or what the program that made it tells.
func Locate(ctx context.Context, h Host) (string, error) {
	if h.Make == nil || h.Make.Tofu == nil {
		return h.Address, nil
	}
	return h.Make.Tofu.locate(ctx, h)
}

// Programs make and destroy a host that Steer does not know how to make.
type Programs struct {
	Create  []string `yaml:"create" json:"create" doc:"Program with arguments that makes the host; {} stands for its name. It ends with 0 once connect reaches it."`
	Destroy []string `yaml:"destroy" json:"destroy" doc:"Program with arguments that destroys it; one that does not exist is no error."`
	Stop    []string `yaml:"stop" json:"stop,omitempty" doc:"Program with arguments that stops it; one that is stopped is no error."`
	Start   []string `yaml:"start" json:"start,omitempty" doc:"Program with arguments that starts it again; one that runs is no error."`
}

// Check says what is wrong.
func (p *Programs) Check() error {
	if len(p.Create) == 0 || len(p.Destroy) == 0 {
		return fault.New(fault.Invalid, "both create and destroy are needed")
	}
	if (len(p.Stop) == 0) != (len(p.Start) == 0) {
		return fault.New(fault.Invalid, "stop and start belong together (give both, or none)")
	}
	return nil
}

func (p *Programs) address(name string) string { return "ssh://root@" + name }

func (p *Programs) create(ctx context.Context, h Host) (bool, error) {
	_, err := output(ctx, fill(p.Create, h.Name)...)
	return err == nil, err
}

func (p *Programs) destroy(ctx context.Context, h Host) error {
	_, err := output(ctx, fill(p.Destroy, h.Name)...)
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
		return out.String(), fault.New(fault.Unavailable, "%s %s: %s", words[0], strings.Join(words[1:min(len(words), 2)], ""), end)
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "run %s: %w", words[0], err)
	}
	return out.String(), nil
}

// DestroyMade destroys a container, of Docker or systemd-nspawn, of which only the name is
// known, if this program made it.
func DestroyMade(ctx context.Context, name string) error {
	h, n := Host{Name: name}, &Nspawn{}
	if _, err := os.Stat(mark(n.folder(name))); err == nil {
		if err := n.destroy(ctx, h); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return nil
	}
	return (&Docker{}).destroy(ctx, h)
}

// Made lists the ways to the containers of Docker and systemd-nspawn that this program
// made, whether a definition has them or not. Where neither is installed there are none.
func Made(ctx context.Context) ([]string, error) {
	var all []string
	marks, _ := filepath.Glob(mark(filepath.Join(machines, "*")))
	for _, m := range marks {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(m), "."), ".steer-host")
		if _, err := os.Stat(filepath.Join(machines, name)); err == nil {
			all = append(all, "nspawn://"+name)
		}
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return all, nil
	}
	out, err := output(ctx, "docker", "ps", "--all", "--filter", "label="+label, "--format", "{{.Names}}")
	for _, name := range strings.Fields(out) {
		all = append(all, "docker://"+name)
	}
	return all, err
}
