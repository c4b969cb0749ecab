package infra

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Facts are what a host is, as templates and conditions of roles see it under
// .host.
type Facts struct {
	Name      string   `json:"name"` // host name without domain
	FQDN      string   `json:"fqdn"` // with domain, where the system knows one
	OS        OS       `json:"os"`
	Kernel    string   `json:"kernel,omitempty"`
	Arch      string   `json:"arch"` // as Go says: amd64, arm64
	CPUs      int      `json:"cpus,omitempty"`
	Memory    int64    `json:"memory,omitempty"`   // bytes
	Addresses []string `json:"addresses,omitzero"` // of all interfaces but the loopback and links
	Init      string   `json:"init"`               // systemd; sysv: scripts in /etc/init.d; openrc; none
	Packages  string   `json:"packages"`           // apt, dnf, apk; empty: none of them
	Container bool     `json:"container"`
	// Offline: the host does not run. It is an image in the making, or a folder that is
	// only entered; programs can be run, services cannot. It has no kernel, processors,
	// memory or addresses, so that no template can take those of the machine below for its
	// own.
	Offline bool `json:"offline"`
}

// OS is what /etc/os-release tells.
type OS struct {
	ID       string `json:"id"`       // debian, ubuntu, fedora, alpine
	Family   string `json:"family"`   // debian, redhat, alpine, or the ID
	Version  string `json:"version"`  // 12
	Codename string `json:"codename"` // bookworm
	Name     string `json:"name"`     // Debian GNU/Linux 12 (bookworm)
}

func readFacts(ctx context.Context) Facts {
	f := Facts{Arch: runtime.GOARCH, OS: readOS(), Offline: os.Getenv(offlineVariable) != ""}
	f.FQDN, _ = os.Hostname()
	f.Name, _, _ = strings.Cut(f.FQDN, ".")
	if f.Name == f.FQDN {
		f.FQDN = qualified(ctx, f.Name)
	}
	if !f.Offline {
		f.machine()
	}
	switch {
	case exists("/run/systemd/system"), f.Offline && exists("/lib/systemd/systemd") && exists("/bin/systemctl"):
		f.Init = "systemd"
	case exists("/sbin/openrc-run"):
		f.Init = "openrc"
	case exists("/usr/sbin/service") || exists("/etc/init.d"):
		f.Init = "sysv"
	default:
		f.Init = "none"
	}
	for _, p := range [][2]string{{"apt-get", "apt"}, {"dnf", "dnf"}, {"apk", "apk"}} {
		if _, err := exec.LookPath(p[0]); err == nil {
			f.Packages = p[1]
			break
		}
	}
	// What makes containers tells their first process so, see https://systemd.io/CONTAINER_INTERFACE.
	first, _ := os.ReadFile("/proc/1/environ")
	f.Container = exists("/.dockerenv") || exists("/run/.containerenv") || exists("/run/systemd/container") || bytes.Contains(append([]byte{0}, first...), []byte("\x00container="))
	return f
}

// machine adds what only a host that runs has.
func (f *Facts) machine() {
	f.CPUs, f.Addresses = runtime.NumCPU(), addresses()
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		f.Kernel = text(u.Release[:])
	}
	var si syscall.Sysinfo_t
	if syscall.Sysinfo(&si) == nil {
		f.Memory = int64(si.Totalram) * int64(si.Unit)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// qualified asks /etc/hosts for the name with a domain, as hostname -f does first.
func qualified(_ context.Context, name string) string {
	b, _ := os.ReadFile("/etc/hosts")
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for i, w := range words {
			if i > 0 && w == name && strings.HasPrefix(words[1], name+".") {
				return words[1]
			}
		}
	}
	return name
}

func addresses() []string {
	all := []string{}
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			all = append(all, n.IP.String())
		}
	}
	return all
}

func readOS() OS {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		b, _ = os.ReadFile("/usr/lib/os-release")
	}
	keys := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), "="); ok {
			if u, err := strconv.Unquote(v); err == nil {
				v = u
			}
			keys[k] = strings.Trim(v, `'"`)
		}
	}
	o := OS{ID: keys["ID"], Version: keys["VERSION_ID"], Codename: keys["VERSION_CODENAME"], Name: keys["PRETTY_NAME"]}
	o.Family = o.ID
	for _, like := range append([]string{o.ID}, strings.Fields(keys["ID_LIKE"])...) {
		switch like {
		case "debian", "alpine":
			o.Family = like
			return o
		case "rhel", "fedora", "centos":
			o.Family = "redhat"
			return o
		}
	}
	return o
}

func text(chars []int8) string {
	var b []byte
	for _, c := range chars {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

// Boot is when the host started.
func (h *Host) Boot() time.Time {
	var si syscall.Sysinfo_t
	if syscall.Sysinfo(&si) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(si.Uptime) * time.Second).Truncate(time.Second)
}
