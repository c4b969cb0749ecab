package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"steer/infra"
	"steer/infra/verify/internal/machine"
)

var mountKind = Kind{
	Name:    "mount",
	Doc:     "A file system at a mount point (/proc/self/mountinfo). options are those of the mount and of the file system.",
	Key:     "path",
	Example: "mount: {path: /proc, filesystem: proc, options: [nosuid, \"!exec\"]}",
	Stable:  []string{"exists", "filesystem"},
	New:     func() Subject { return &mount{} },
}

type mount struct {
	Path       string `yaml:"path" doc:"Mount point."`
	Exists     *bool  `yaml:"exists" doc:"Whether something is mounted there." default:"true"`
	Filesystem Text   `yaml:"filesystem" doc:"Type of the file system, like ext4."`
	Source     Text   `yaml:"source" doc:"Device, or what the file system has in its place."`
	Options    Text   `yaml:"options" doc:"Options, like noexec or size=65536k."`
	Used       Number `yaml:"used" doc:"How full it is, in per cent of what programs without rights can use."`
	Inodes     Number `yaml:"inodes" doc:"How many of its inodes are used, in per cent."`
}

func (m *mount) ID() string { return m.Path }

func (m *mount) Check() error { return absolute("path", m.Path) }

func (m *mount) Look(context.Context, *infra.Host) (Found, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := readMount(b, filepath.Clean(m.Path))
	if found["exists"] == true {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(m.Path, &fs); err != nil {
			return nil, fmt.Errorf("look how full %s is: %w", m.Path, err)
		}
		// As df counts: what is kept for root is neither used nor free.
		used := fs.Blocks - fs.Bfree
		found["used"] = percent(used, used+fs.Bavail)
		found["inodes"] = percent(fs.Files-fs.Ffree, fs.Files)
	}
	return found, nil
}

func percent(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// readMount finds the mount that covers others at the same point: the last one.
func readMount(b []byte, path string) Found {
	found := Found{"exists": false}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		left, right, ok := strings.Cut(s.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 || machine.Unescaped(l[4]) != path {
			continue
		}
		found = Found{
			"exists": true, "filesystem": r[0], "source": machine.Unescaped(r[1]),
			"options": append(strings.Split(l[5], ","), strings.Split(r[2], ",")...),
		}
	}
	return found
}

var sysctlKind = Kind{
	Name:    "sysctl",
	Doc:     "A parameter of the running kernel, as sysctl shows it, with one space between its parts.",
	Key:     "name",
	Example: "sysctl: {name: net.ipv4.ip_forward, value: 0}",
	Stable:  []string{"exists", "value"},
	New:     func() Subject { return &sysctl{} },
}

type sysctl struct {
	Name   string `yaml:"name" doc:"Name with dots; with slashes where a part of it has a dot."`
	Exists *bool  `yaml:"exists" doc:"Whether the kernel has it." default:"true"`
	Value  Value  `yaml:"value" doc:"Value."`
}

func (s *sysctl) ID() string { return s.Name }

func (s *sysctl) Check() error {
	if s.Name == "" || !filepath.IsLocal(s.path()) {
		return fmt.Errorf("name: %q is no name of a parameter", s.Name)
	}
	return nil
}

func (s *sysctl) path() string {
	if strings.Contains(s.Name, "/") {
		return s.Name
	}
	return strings.ReplaceAll(s.Name, ".", "/")
}

func (s *sysctl) Look(context.Context, *infra.Host) (Found, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys", s.path()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Found{"exists": false}, nil
	case err != nil:
		return nil, err
	}
	return Found{"exists": true, "value": strings.Join(strings.Fields(string(b)), " ")}, nil
}

var matchingKind = Kind{
	Name:    "matching",
	Doc:     "A value that a template fills in: a fact of the host, or a parameter of the role.",
	Key:     "value",
	Example: "matching: {value: \"2147483648\", is: {above: 1000000000}}",
	New:     func() Subject { return &matching{} },
}

type matching struct {
	Value string `yaml:"value" doc:"Text or number to look at."`
	Is    Value  `yaml:"is" doc:"What it should be."`
}

func (m *matching) ID() string { return quoted(m.Value) }

func (m *matching) Check() error {
	if len(m.Is) == 0 {
		return errors.New("is: is missing")
	}
	return nil
}

func (m *matching) Look(context.Context, *infra.Host) (Found, error) {
	return Found{"is": m.Value}, nil
}
