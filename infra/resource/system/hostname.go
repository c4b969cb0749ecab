package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"steer/base/fault"
	"steer/infra"
)

// Hostname is the host's name.
type Hostname struct {
	Name string `yaml:"name,omitempty" doc:"Name of the host, with or without its domain."`
}

func hostnameKind() infra.Kind {
	return infra.Kind{
		Name: "hostname", Key: "name", Class: class,
		Doc:     "The name of the host: the running one, /etc/hostname, and in /etc/hosts a line by which it finds itself.",
		Example: "hostname: web1.example.com\n",
		New:     func() infra.Resource { return &Hostname{} },
	}
}

const (
	hostnameFile = "/etc/hostname"
	hostsFile    = "/etc/hosts"
	// ownAddress is where Debian lets a host find itself.
	ownAddress = "127.0.1.1"
)

// ID is the same for all: a host has one.
func (n *Hostname) ID() string { return "host" }

// Check refuses what is no name of a host by RFC 1123, or too long for Linux.
func (n *Hostname) Check() error {
	ok := len(n.Name) <= 64 && n.Name != "localhost"
	for _, label := range strings.Split(n.Name, ".") {
		ok = ok && label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for _, c := range label {
			ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
		}
	}
	if ok && strings.Trim(n.Name, "0123456789.") == "" {
		ok = false // reads as an address
	}
	if !ok {
		return fault.New(fault.Invalid, "name: %q is no host name (use up to 64 of a-z 0-9 and -, with dots before a domain, and some letter)", n.Name)
	}
	return nil
}

// Claims is the file with the name. /etc/hosts others may write too, with the name in it.
func (n *Hostname) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + hostnameFile}} }

// Watch names the files.
func (n *Hostname) Watch() []string { return []string{hostnameFile, hostsFile} }

// Diff compares the three places.
func (n *Hostname) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	running, err := os.Hostname()
	if err != nil {
		return d, err
	}
	if running != n.Name && !h.Facts.Offline {
		d.Set("name", running, n.Name)
	}
	file, err := readText(hostnameFile)
	if err != nil {
		return d, err
	}
	if file != n.Name+"\n" {
		d.Set(hostnameFile, strings.TrimSpace(file), n.Name)
	}
	hosts, err := readText(hostsFile)
	if err != nil {
		return d, err
	}
	if want := withOwnName(hosts, n.Name, running, strings.TrimSpace(file)); want != hosts {
		d.SetContent(hostsFile, []byte(hosts), []byte(want))
	}
	return d, nil
}

// withOwnName returns the text of /etc/hosts in which a host finds itself by its name,
// and by the part before the domain. Where an address has the name already, that
// stays; else it gets the line of 127.0.1.1, from which its former names go.
func withOwnName(hosts, name string, former ...string) string {
	own := []string{name}
	if short, _, qualified := strings.Cut(name, "."); qualified {
		own = append(own, short)
	}
	missing := slices.Clone(own)
	for line := range strings.Lines(hosts) {
		address, names := hostLine(line)
		missing = slices.DeleteFunc(missing, func(n string) bool { return address != "" && slices.Contains(names, n) })
	}
	if len(missing) == 0 {
		return hosts
	}
	var old []string
	for _, f := range former {
		short, _, _ := strings.Cut(f, ".")
		old = append(old, f, short)
	}
	var b strings.Builder
	done := false
	for line := range strings.Lines(hosts) {
		address, names := hostLine(line)
		if address != ownAddress || done {
			b.WriteString(line)
			continue
		}
		done = true
		_, comment, commented := strings.Cut(strings.TrimRight(line, "\n"), "#")
		names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(old, n) || slices.Contains(own, n) })
		b.WriteString(ownAddress + "\t" + strings.Join(append(slices.Clone(own), names...), " "))
		if commented {
			b.WriteString(" #" + comment)
		}
		b.WriteByte('\n')
	}
	if done {
		return b.String()
	}
	// Beside the line of the loopback, where people look for it.
	b.Reset()
	line := ownAddress + "\t" + strings.Join(own, " ") + "\n"
	for l := range strings.Lines(hosts) {
		if !strings.HasSuffix(l, "\n") {
			l += "\n"
		}
		b.WriteString(l)
		if address, _ := hostLine(l); address == "127.0.0.1" && !done {
			b.WriteString(line)
			done = true
		}
	}
	if !done {
		b.WriteString(line)
	}
	return b.String()
}

// hostLine reads a line of /etc/hosts; the address is empty when it has none.
func hostLine(line string) (address string, names []string) {
	line, _, _ = strings.Cut(line, "#")
	if f := strings.Fields(line); len(f) > 0 {
		return f[0], f[1:]
	}
	return "", nil
}

// Apply names the host, the files first.
func (n *Hostname) Apply(_ context.Context, _ *infra.Host, d infra.Diff) error {
	if d.Has(hostsFile) {
		running, _ := os.Hostname()
		file, err1 := readText(hostnameFile)
		hosts, err2 := readText(hostsFile)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if err := replace(hostsFile, []byte(withOwnName(hosts, n.Name, running, strings.TrimSpace(file))), 0o644); err != nil {
			return err
		}
	}
	if d.Has(hostnameFile) {
		if err := replace(hostnameFile, []byte(n.Name+"\n"), 0o644); err != nil {
			return err
		}
	}
	if !d.Has("name") {
		return nil
	}
	if err := syscall.Sethostname([]byte(n.Name)); err != nil {
		return fmt.Errorf("name the host %s: %w (in a container, name it where the container is started)", n.Name, err)
	}
	return nil
}
