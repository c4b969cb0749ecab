package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"steer/infra/image/internal/rootfs"
)

// litter is what programs leave behind that is of no use to anybody, differs from run
// to run, or tells one machine from another. Keys of sshd are among it: who has the
// image would have them.
func litter() []string {
	return []string{
		"var/lib/apt/lists/*", "var/lib/apt/steer-refreshed", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/cache/apt/archives/partial/*",
		"var/cache/ldconfig/aux-cache", "var/cache/debconf/*-old", "var/cache/man/*", "var/lib/dpkg/*-old", "var/lib/dpkg/updates/*",
		"var/log/apt/*", "var/log/dpkg.log", "var/log/bootstrap.log", "var/log/alternatives.log", "var/log/fontconfig.log", "var/log/journal/*",
		"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
		"etc/ssh/ssh_host_*_key", "etc/ssh/ssh_host_*_key.pub",
		"var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/steer-host",
	}
}

// emptied are files that have to be there with nothing in them. An empty machine-id is
// filled at the first start; see machine-id(5).
func emptied() []string {
	return []string{"etc/machine-id", "var/log/lastlog", "var/log/wtmp", "var/log/btmp", "var/log/faillog", "var/log/tallylog"}
}

// clean takes litter out of the tree, and dates of today.
func clean(t *rootfs.Tree) error {
	root, err := os.OpenRoot(t.Dir) // links lead nowhere else
	if err != nil {
		return fmt.Errorf("clean the tree: %w", err)
	}
	defer root.Close()
	for _, pattern := range litter() {
		found, err := fs.Glob(root.FS(), pattern)
		for _, name := range found {
			err = errors.Join(err, root.RemoveAll(name))
		}
		if err != nil {
			return fmt.Errorf("clean the tree: %w", err)
		}
	}
	for _, name := range emptied() {
		if is, err := root.Lstat(name); err != nil || !is.Mode().IsRegular() || is.Size() == 0 {
			continue
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return fmt.Errorf("clean the tree: %w", err)
		}
	}
	return oldPasswords(root, t.Clamp/86400)
}

// oldPasswords sets the days on which passwords were set, see shadow(5), to no later
// than the day of the latest file.
func oldPasswords(root *os.Root, day int64) error {
	const name = "etc/shadow"
	b, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean the tree: %w", err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(line, ":")
		if len(fields) > 3 {
			if n, err := strconv.ParseInt(fields[2], 10, 64); err == nil && n > day {
				fields[2] = strconv.FormatInt(day, 10)
			}
		}
		out.WriteString(strings.Join(fields, ":"))
	}
	if out.String() == string(b) {
		return nil
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0)
	if err == nil {
		_, err = f.WriteString(out.String())
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("clean the tree: %w", err)
	}
	return nil
}
