package infra

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"steer/base/fault"
)

// Suite is a Debian to make in a folder.
type Suite struct {
	Name     string   // bookworm
	Mirror   string   // empty: those that apt here uses
	Packages []string // besides the smallest that has apt
	security string
}

var (
	suiteName   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*$`)
)

// Resolve fills in the mirror and sorts the packages: equal suites are equal then.
func (s Suite) Resolve() (Suite, error) {
	if !suiteName.MatchString(s.Name) {
		return s, fault.New(fault.Invalid, "%q is no suite of Debian (write one like bookworm)", s.Name)
	}
	if s.Mirror == "" {
		s.Mirror, s.security = mirrorsHere(os.DirFS("/"))
	}
	if !strings.HasPrefix(s.Mirror, "http://") && !strings.HasPrefix(s.Mirror, "https://") {
		return s, fault.New(fault.Invalid, "%q is no mirror of Debian (write one like http://deb.debian.org/debian)", s.Mirror)
	}
	for _, p := range s.Packages {
		if !packageName.MatchString(p) {
			return s, fault.New(fault.Invalid, "%q is no name of a package", p)
		}
	}
	s.Packages = slices.Sorted(slices.Values(s.Packages))
	return s, nil
}

// Key tells suites apart that were resolved.
func (s Suite) Key() []string {
	return append([]string{s.Name, s.Mirror, s.security, runtime.GOARCH}, s.Packages...)
}

// Make installs it into an empty folder, with mmdebstrap or debootstrap, and writes
// the list of its mirrors. It runs in mounts and processes of its own: however it ends,
// nothing stays mounted. debs is a folder that keeps packages.
func (s Suite) Make(ctx context.Context, dir, debs string) error {
	words := []string{"debootstrap", "--variant=minbase", "--cache-dir=" + debs}
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		words = []string{"mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory"}
	} else if _, err := exec.LookPath("debootstrap"); err != nil {
		return fault.New(fault.NotFound, "make %s: neither debootstrap nor mmdebstrap is installed (install one of them)", s.Name)
	}
	if os.Geteuid() != 0 {
		return fault.New(fault.Denied, "make %s: only root can (use sudo)", s.Name)
	}
	if len(s.Packages) > 0 {
		words = append(words, "--include="+strings.Join(s.Packages, ","))
	}
	words = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}, append(words, s.Name, dir, s.Mirror)...)
	runtime.LockOSThread() // the program ends with the thread that started it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		if log, e := os.ReadFile(filepath.Join(dir, "debootstrap/debootstrap.log")); e == nil {
			out = append(out, log...)
		}
		out = bytes.TrimSpace(out)
		return fault.New(fault.Unavailable, "make %s from %s: %w: %s", s.Name, s.Mirror, err, strings.ToValidUTF8(string(out[max(0, len(out)-2000):]), "?"))
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/apt/sources.list"), []byte(s.sources()), 0o644); err != nil {
		return fmt.Errorf("make %s: %w", s.Name, err)
	}
	return nil
}

// sources is the list for apt.
func (s Suite) sources() string {
	text := fmt.Sprintf("deb %s %s main\n", s.Mirror, s.Name)
	if s.Name == "sid" || s.Name == "unstable" {
		return text
	}
	text += fmt.Sprintf("deb %s %s-updates main\n", s.Mirror, s.Name)
	if s.security != "" {
		text += fmt.Sprintf("deb %s %s-security main\n", s.security, s.Name)
	}
	return text
}

// mirrorsHere are the mirrors of Debian and of its security updates that apt on this
// machine uses.
func mirrorsHere(root fs.FS) (main, security string) {
	var text strings.Builder
	files, _ := fs.Glob(root, "etc/apt/sources.list.d/*")
	for _, name := range append([]string{"etc/apt/sources.list"}, files...) {
		b, _ := fs.ReadFile(root, name)
		text.Write(append(b, '\n'))
	}
	address := regexp.MustCompile(`https?://[^\s\]]+`)
	for _, line := range strings.Split(text.String(), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, m := range address.FindAllString(line, -1) {
			switch m = strings.TrimRight(m, "/"); {
			case strings.HasSuffix(m, "/debian") && main == "":
				main = m
			case strings.HasSuffix(m, "/debian-security") && security == "":
				security = m
			}
		}
	}
	if main == "" {
		main = "http://deb.debian.org/debian"
	}
	return main, security
}
