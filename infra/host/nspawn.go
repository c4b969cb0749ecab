package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
)

// Nspawn makes a host as a container of systemd-nspawn, whose systemd is booted.
type Nspawn struct {
	Suite    string            `yaml:"suite" json:"suite,omitempty" doc:"Debian to install, like bookworm, with debootstrap or mmdebstrap; the result is kept for the next. systemd is added."`
	Mirror   string            `yaml:"mirror" json:"mirror,omitempty" doc:"Mirror of Debian; default: that of apt here."`
	Packages []string          `yaml:"packages" json:"packages,omitempty" doc:"Packages besides the smallest Debian that boots."`
	RootFS   string            `yaml:"rootfs" json:"rootfs,omitempty" doc:"Tar file to begin with instead of a suite, like one of steer bake --rootfs; from the folder of the definitions. It has to have systemd."`
	CPUs     float64           `yaml:"cpus" json:"cpus,omitempty" doc:"Processors that it may use; 0: all. Needs systemd on this machine."`
	Memory   string            `yaml:"memory" json:"memory,omitempty" doc:"Memory that it may use, like 512M; empty: all. Needs systemd on this machine."`
	Network  string            `yaml:"network" json:"network,omitempty" doc:"Bridge of this machine that it is on, as systemd-nspawn --network-bridge takes it; none: no network. Default: the network of this machine, with its ports."`
	Volumes  map[string]string `yaml:"volumes" json:"volumes,omitempty" doc:"Folders of this machine by their path in the host; {} stands for its name. They outlive it."`
}

// Check says what is wrong.
func (n *Nspawn) Check() error {
	errs := []error{n.origin().check()}
	if n.Memory != "" && !regexp.MustCompile(`^[0-9]+[KMGT]?$`).MatchString(n.Memory) {
		errs = append(errs, fault.New(fault.Invalid, "memory: %q is no size (write one like 512M)", n.Memory))
	}
	if n.Network != "" && !containerName.MatchString(n.Network) {
		errs = append(errs, fault.New(fault.Invalid, "network: %q is no name of a bridge", n.Network))
	}
	for at, from := range n.Volumes {
		if !filepath.IsAbs(at) || !filepath.IsAbs(from) || strings.Contains(at+from, ":") {
			errs = append(errs, fault.New(fault.Invalid, "volumes: %s: %s has to be two absolute paths", at, from))
		}
	}
	return errors.Join(errs...)
}

func (n *Nspawn) origin() origin {
	packages := n.Packages
	if n.Suite != "" {
		packages = append(slices.Clone(packages), "systemd-sysv", "dbus")
		slices.Sort(packages)
		packages = slices.Compact(packages)
	}
	return origin{n.Suite, n.Mirror, packages, n.RootFS}
}

func (n *Nspawn) folder(name string) string { return filepath.Join(machines, name) }

func (n *Nspawn) address(name string) string { return "nspawn://" + name }

// words start the container. Where systemd runs this machine, it keeps it as a service
// of its own, with the limits; elsewhere the container is on its own.
func (n *Nspawn) words(name string, managed bool) ([]string, error) {
	var words []string
	limits := []string{}
	if n.Memory != "" {
		limits = append(limits, "--property=MemoryMax="+n.Memory)
	}
	if n.CPUs > 0 {
		limits = append(limits, fmt.Sprintf("--property=CPUQuota=%d%%", int(n.CPUs*100)))
	}
	switch {
	case managed:
		words = append([]string{"systemd-run", "--quiet", "--unit=steer-host-" + name, "--property=Delegate=yes", "--property=KillMode=mixed"}, limits...)
	case len(limits) > 0:
		return nil, fault.New(fault.Invalid, "cpus and memory need systemd on this machine, which does not run it")
	}
	words = append(words, "systemd-nspawn", "--quiet", "--boot", "--keep-unit", "--directory="+n.folder(name), "--machine="+name, "--resolv-conf=copy-host", "--link-journal=no", "--console=read-only")
	if !managed {
		words = append(words, "--register=no")
	}
	switch n.Network {
	case "":
	case "none":
		words = append(words, "--private-network")
	default:
		words = append(words, "--network-bridge="+n.Network)
	}
	for _, at := range sortedKeys(n.Volumes) {
		words = append(words, "--bind="+strings.ReplaceAll(n.Volumes[at], "{}", name)+":"+at)
	}
	return words, nil
}

func (n *Nspawn) create(ctx context.Context, h Host) (bool, error) {
	made, err := n.up(ctx, h)
	if err != nil {
		return made, fmt.Errorf("make host %s: %w", h.Name, err)
	}
	return made, nil
}

func (n *Nspawn) up(ctx context.Context, h Host) (bool, error) {
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		return false, fault.New(fault.NotFound, "systemd-nspawn is not installed (in Debian: systemd-container)")
	}
	_, err := os.Stat("/run/systemd/system")
	words, err := n.words(h.Name, err == nil)
	if err != nil {
		return false, err
	}
	made, err := n.origin().make(ctx, h, n.folder(h.Name), func(string) error { return nil })
	if err != nil {
		return false, err
	}
	if leader(h.Name) != 0 {
		return false, nil
	}
	log := filepath.Join(machines, "."+h.Name+".log")
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return made, err
	}
	defer f.Close()
	cmd := exec.Command(words[0], words[1:]...) // outlives this program
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return made, fault.New(fault.Unavailable, "%w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if words[0] == "systemd-run" && err == nil { // it only asks
				ended = nil
				continue
			}
			return made, fault.New(fault.Unavailable, "systemd-nspawn ended: %v: %s", err, endOf(log))
		case <-ctx.Done():
			return made, fault.New(fault.Unavailable, "it does not start: %w: %s", ctx.Err(), endOf(log))
		case <-tick.C:
		}
		if leader(h.Name) != 0 && n.answers(ctx, h.Name) {
			return made, nil
		}
	}
}

// answers tells whether systemd in there has started what it starts; that some of it
// failed is for its roles to see.
func (n *Nspawn) answers(ctx context.Context, name string) bool {
	conn, err := dialNspawn(name)
	if err != nil {
		return false
	}
	err = conn.Run(ctx, Call{Args: []string{"sh", "-c", `[ -S /run/systemd/private ] && { systemctl is-system-running --wait >/dev/null 2>&1; [ $? -lt 2 ]; }`}})
	return err == nil
}

func endOf(file string) string {
	b, _ := os.ReadFile(file)
	return strings.ToValidUTF8(string(bytes.TrimSpace(b[max(0, len(b)-1000):])), "?")
}

func (n *Nspawn) destroy(ctx context.Context, h Host) error {
	folder := n.folder(h.Name)
	if b, err := os.ReadFile(mark(folder)); err == nil && string(b) == h.Name+"\n" {
		if err := halt(ctx, h.Name); err != nil {
			return fmt.Errorf("destroy host %s: %w", h.Name, err)
		}
	}
	if err := removeTree(h.Name, folder); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(machines, "."+h.Name+".log")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// poweroff is the signal that tells systemd to: SIGRTMIN+4.
const poweroff = syscall.Signal(34 + 4)

func (n *Nspawn) ways() []string { return []string{Off, Kill} }

func (n *Nspawn) stop(ctx context.Context, h Host, way string) error {
	if _, err := os.Stat(n.folder(h.Name)); errors.Is(err, os.ErrNotExist) {
		return notMade(h.Name)
	}
	if way == Off {
		err := signal(ctx, h.Name, poweroff, time.Minute)
		if fault.Of(err) != fault.Unavailable || ctx.Err() != nil {
			return err
		}
	}
	return halt(ctx, h.Name)
}

func (n *Nspawn) start(ctx context.Context, h Host) error {
	if _, err := os.Stat(n.folder(h.Name)); errors.Is(err, os.ErrNotExist) {
		return notMade(h.Name)
	}
	if _, err := n.up(ctx, h); err != nil {
		return fmt.Errorf("start %s: %w", h.Name, err)
	}
	return nil
}

// halt ends a container, and asks nobody in it.
func halt(ctx context.Context, name string) error {
	return signal(ctx, name, syscall.SIGKILL, 20*time.Second)
}

// signal tells the first process of a container something that ends it, and waits
// until it did.
func signal(ctx context.Context, name string, s syscall.Signal, within time.Duration) error {
	pid := leader(name)
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for spawner(name) != 0 {
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "systemd-nspawn of %s does not end", name)
		case <-tick.C:
		}
	}
	return nil
}

// spawner finds the process of systemd-nspawn that keeps a container, 0 for none.
func spawner(name string) int {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		words := strings.Split(string(b), "\x00")
		if filepath.Base(words[0]) == "systemd-nspawn" && slices.Contains(words, "--machine="+name) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil {
				return pid
			}
		}
	}
	return 0
}

// leader finds the first process of a container, 0 while there is none: the child of
// its keeper that is process 1 in there. It needs no systemd-machined.
func leader(name string) int {
	keeper := spawner(name)
	if keeper == 0 {
		return 0
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", keeper))
	for _, child := range strings.Fields(string(children)) {
		status, _ := os.ReadFile("/proc/" + child + "/status")
		for line := range strings.Lines(string(status)) {
			f := strings.Fields(line)
			if len(f) > 2 && f[0] == "NSpid:" && f[len(f)-1] == "1" {
				if pid, err := strconv.Atoi(child); err == nil {
					return pid
				}
			}
		}
	}
	return 0
}

// dialNspawn reaches a container by joining its namespaces.
func dialNspawn(name string) (Conn, error) {
	pid := leader(name)
	if pid == 0 {
		if _, err := os.Stat(filepath.Join(machines, name)); err == nil {
			return nil, halted(name, "stopped")
		}
		return nil, absent(name)
	}
	return &Program{Before: []string{"nsenter", "--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--"}}, nil
}
