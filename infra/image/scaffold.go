package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"steer/base/fault"
)

// scaffold is what stands in the tree only while programs run in it, and is taken down
// before anybody looks: the names of this machine's network, a word to packages that
// no service is to be started (see invoke-rc.d(8)), and how apt here reaches its
// mirrors.
func scaffold(ctx context.Context, tree string) (takeDown func() error, err error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, fmt.Errorf("prepare the tree: %w", err)
	}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("prepare the tree: %w", err), root.Close())
	}
	put := map[string]string{
		"etc/resolv.conf":                 string(resolv),
		"usr/sbin/policy-rc.d":            "#!/bin/sh\nexit 101\n",
		"etc/apt/apt.conf.d/00steer-bake": "APT::Keep-Downloaded-Packages \"true\";\n" + aptHere(ctx),
		"etc/dpkg/dpkg.cfg.d/steer-bake":  "force-unsafe-io\n",
	}
	for name, text := range put {
		if _, e := root.Stat(path.Dir(name)); e != nil {
			delete(put, name)
			continue
		}
		if _, e := root.Lstat(name); e == nil {
			err = errors.Join(err, root.Rename(name, aside(name)))
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		err = errors.Join(err, root.WriteFile(name, []byte(text), mode))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the tree: %w", err), root.Close())
	}
	return func() error {
		defer root.Close()
		var errs []error
		for name, text := range put {
			_, kept := root.Lstat(aside(name))
			if b, err := root.ReadFile(name); err == nil && string(b) != text {
				if kept == nil { // a role has it now
					errs = append(errs, root.Remove(aside(name)))
				}
				continue
			}
			if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			if kept == nil {
				errs = append(errs, root.Rename(aside(name), name))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("clear the tree: %w", err)
		}
		return nil
	}, nil
}

func aside(name string) string { return path.Join(path.Dir(name), ".steer-"+path.Base(name)) }

// aptHere is what apt on this machine says about proxies and dates.
func aptHere(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return "" // no apt here
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		for _, prefix := range []string{"Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-"} {
			if strings.HasPrefix(line, prefix) {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// checkRoot refuses what could not work.
func checkRoot() error {
	if os.Geteuid() != 0 {
		return fault.New(fault.Denied, "bake: only root can make file systems with owners and devices (use sudo)")
	}
	return nil
}
