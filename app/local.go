package app

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
	"steer/infra/host"
	"steer/infra/role"
)

// Validate checks the files at path as a push would: a definitions repository, a
// service's folder, or a steer.yaml.
func Validate(path string) (summary string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fault.New(fault.NotFound, "validate %s: there is no such file or folder", path)
	}
	file := path
	if info.IsDir() {
		file = filepath.Join(path, "steer.yaml")
		if !exists(file) {
			hosts, roles := exists(filepath.Join(path, host.InventoryFile)), exists(filepath.Join(path, "roles"))
			if !hosts && !roles && !exists(filepath.Join(path, "environments.yaml")) {
				return "", fault.New(fault.NotFound, "validate %s: it holds neither environments.yaml, hosts.yaml nor roles (definitions), nor steer.yaml (a service); 'steer init DIR' writes definitions to start from", path)
			}
			c, err := loadDefinitions(os.DirFS(path))
			if err != nil {
				return "", err
			}
			text := fmt.Sprintf("%s is fine: %s, %s, %s, %s, %s", path, count(len(c.Environments), "environment"), count(len(c.Services), "service"), count(len(c.Teams), "team"), count(len(c.Checks), "check"), count(len(c.Dashboards), "dashboard"))
			if roles {
				l, err := role.Load(os.DirFS(path), resourceKinds())
				if err != nil {
					return "", err
				}
				text += ", " + count(len(l.Names()), "role")
			}
			if hosts {
				all, err := host.ReadInventory(os.DirFS(path))
				if err != nil {
					return "", err
				}
				text += ", " + count(len(all), "host")
			}
			return text, nil
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("validate: %w", err)
	}
	m, err := catalog.Reader{Query: checkQuery}.ParseManifest(file, b)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is fine: service %s, %s, %s", file, m.Service, count(len(m.Pipeline), "stage"), count(len(m.Checks), "check")), nil
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// Pack builds the service in dir and writes its steer.yaml and the artifact's
// paths as a tar.gz.
func Pack(ctx context.Context, dir, service string, archive, progress io.Writer) error {
	file := filepath.Join(dir, "steer.yaml")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "deploy %s version=local: there is no steer.yaml in this folder (go to the service's folder)", service)
	} else if err != nil {
		return fmt.Errorf("deploy %s version=local: %w", service, err)
	}
	m, err := catalog.Reader{Query: checkQuery}.ParseManifest(file, b)
	if err != nil {
		return err
	}
	if m.Service != id.Service(service) {
		return fault.New(fault.Invalid, "deploy %s version=local: %s describes service %s", service, file, m.Service)
	}
	if m.Artifact.Build != "" {
		build := exec.CommandContext(ctx, "/bin/sh", "-e", "-c", m.Artifact.Build)
		build.Dir, build.Stdout, build.Stderr = dir, progress, progress
		if err := build.Run(); err != nil {
			return fault.New(fault.Invalid, "deploy %s version=local: artifact.build %q: %w", service, m.Artifact.Build, err)
		}
	}
	z := gzip.NewWriter(archive)
	t := tar.NewWriter(z)
	root, err := os.OpenRoot(dir) // paths cannot lead out of the folder
	if err != nil {
		return fmt.Errorf("pack %s: %w", dir, err)
	}
	defer root.Close()
	for _, p := range append([]string{"steer.yaml"}, m.Artifact.Paths...) {
		if err := fs.WalkDir(root.FS(), filepath.ToSlash(filepath.Clean(p)), func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return pack(t, root, name, e)
		}); err != nil {
			return fmt.Errorf("pack %s: %w", p, err)
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

func pack(t *tar.Writer, root *os.Root, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = root.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = name
	h.Uname, h.Gname, h.Uid, h.Gid = "", "", 0, 0
	if err := t.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}
