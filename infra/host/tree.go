package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// machines is where trees of hosts are, as systemd has it; see machinectl(1).
const machines = "/var/lib/machines"

// bootstrapped keeps trees that were made, packed.
const bootstrapped = "/var/cache/steer/trees"

// Debootstrap makes a host as a folder that is only entered.
type Debootstrap struct {
	Suite    string   `yaml:"suite" json:"suite,omitempty" doc:"Debian to install, like bookworm, with debootstrap or mmdebstrap; the result is kept for the next."`
	Mirror   string   `yaml:"mirror" json:"mirror,omitempty" doc:"Mirror of Debian; default: that of apt here."`
	Packages []string `yaml:"packages" json:"packages,omitempty" doc:"Packages besides the smallest Debian that has apt."`
	RootFS   string   `yaml:"rootfs" json:"rootfs,omitempty" doc:"Tar file to begin with instead of a suite, like one of steer bake --rootfs; from the folder of the definitions."`
	Folder   string   `yaml:"folder" json:"folder,omitempty" doc:"Where; {} stands for the name of the host." default:"/var/lib/machines/{}"`
}

// Check says what is wrong.
func (d *Debootstrap) Check() error {
	if !filepath.IsAbs(d.Folder) {
		return fault.New(fault.Invalid, "folder: %q is not absolute", d.Folder)
	}
	return d.origin().check()
}

func (d *Debootstrap) origin() origin { return origin{d.Suite, d.Mirror, d.Packages, d.RootFS} }

func (d *Debootstrap) folder(name string) string { return strings.ReplaceAll(d.Folder, "{}", name) }

func (d *Debootstrap) address(name string) string { return "chroot://" + d.folder(name) }

func (d *Debootstrap) create(ctx context.Context, h Host) (bool, error) {
	made, err := d.origin().make(ctx, h, d.folder(h.Name), func(dir string) error {
		// Packages are not to start services, which nobody would end.
		return os.WriteFile(filepath.Join(dir, "usr/sbin/policy-rc.d"), []byte("#!/bin/sh\nexit 101\n"), 0o755)
	})
	if err != nil {
		return false, fmt.Errorf("make host %s: %w", h.Name, err)
	}
	return made, nil
}

func (d *Debootstrap) destroy(_ context.Context, h Host) error {
	return removeTree(h.Name, d.folder(h.Name))
}

// origin is what the tree of a host is made of.
type origin struct {
	suite, mirror string
	packages      []string
	rootfs        string
}

func (o origin) check() error {
	if (o.suite == "") == (o.rootfs == "") {
		return fault.New(fault.Invalid, "suite: either a suite of Debian or a rootfs is needed")
	}
	if o.rootfs != "" {
		return nil
	}
	_, err := infra.Suite{Name: o.suite, Mirror: o.mirror, Packages: o.packages}.Resolve()
	return err
}

// mark is the file beside a tree that this program made.
func mark(folder string) string {
	return filepath.Join(filepath.Dir(folder), "."+filepath.Base(folder)+".steer-host")
}

// make makes the tree beside, with finish as its last step, and then gives it its name.
func (o origin) make(ctx context.Context, h Host, folder string, finish func(dir string) error) (bool, error) {
	if os.Geteuid() != 0 {
		return false, fault.New(fault.Denied, "only root can (use sudo)")
	}
	if _, err := os.Stat(folder); err == nil {
		if b, err := os.ReadFile(mark(folder)); err != nil || string(b) != h.Name+"\n" {
			return false, fault.New(fault.Conflict, "%s is there and was not made by Steer for this host (move it away, or name another folder)", folder)
		}
		return false, nil
	}
	dir := filepath.Join(filepath.Dir(folder), "."+filepath.Base(folder)+".steer-new")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil { // of a run that was cut off
		return false, err
	}
	err := o.fill(ctx, h, dir)
	if err == nil {
		err = finish(dir)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "etc/hostname"), []byte(h.Name+"\n"), 0o644)
	}
	if err == nil {
		err = os.WriteFile(mark(folder), []byte(h.Name+"\n"), 0o600)
	}
	if err == nil {
		err = os.Rename(dir, folder)
	}
	if err != nil {
		return false, errors.Join(err, os.RemoveAll(dir))
	}
	return true, nil
}

// fill puts the files into an empty folder.
func (o origin) fill(ctx context.Context, h Host, dir string) error {
	if o.rootfs != "" {
		from := o.rootfs
		if !filepath.IsAbs(from) {
			if h.Folder == "" {
				return fault.New(fault.Invalid, "the server has no file %s (write an absolute one, or use steer host where the definitions are)", from)
			}
			from = filepath.Join(h.Folder, from)
		}
		if err := untar(ctx, from, dir); err != nil {
			return fmt.Errorf("unpack rootfs %s: %w", from, err)
		}
		return nil
	}
	suite, err := infra.Suite{Name: o.suite, Mirror: o.mirror, Packages: o.packages}.Resolve()
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(strings.Join(suite.Key(), "\x00")))
	packed := filepath.Join(bootstrapped, hex.EncodeToString(sum[:16])+".tar")
	if err := os.MkdirAll(filepath.Join(bootstrapped, "debs"), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(packed+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // the others wait for the first
		return err
	}
	if _, err := os.Stat(packed); err == nil {
		now := time.Now()
		return errors.Join(untar(ctx, packed, dir), os.Chtimes(packed, now, now))
	}
	if err := suite.Make(ctx, dir, filepath.Join(bootstrapped, "debs")); err != nil {
		return err
	}
	if _, err := output(ctx, "tar", "-C", dir, "--numeric-owner", "--xattrs", "-cf", packed+".new", "."); err != nil {
		return err
	}
	if err := os.Rename(packed+".new", packed); err != nil {
		return err
	}
	return forgetTrees()
}

// mostTrees bounds what is kept.
const mostTrees = 5

// forgetTrees removes kept trees that were not used for longest, and all packages: they
// are in the trees.
func forgetTrees() error {
	all, err := filepath.Glob(filepath.Join(bootstrapped, "*.tar"))
	if err != nil {
		return err
	}
	for len(all) > mostTrees {
		oldest, when := 0, time.Now()
		for i, name := range all {
			if is, err := os.Stat(name); err == nil && is.ModTime().Before(when) {
				oldest, when = i, is.ModTime()
			}
		}
		if err := errors.Join(os.Remove(all[oldest]), os.RemoveAll(all[oldest]+".lock")); err != nil {
			return err
		}
		all = append(all[:oldest], all[oldest+1:]...)
	}
	return os.RemoveAll(filepath.Join(bootstrapped, "debs"))
}

func untar(ctx context.Context, file, dir string) error {
	_, err := output(ctx, "tar", "-C", dir, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", file)
	return err
}

// removeTree removes the tree of a host, if this program made it.
func removeTree(name, folder string) error {
	if _, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if b, err := os.ReadFile(mark(folder)); err != nil || string(b) != name+"\n" {
		return fault.New(fault.Denied, "%s was not made by Steer for host %s, which does not destroy it (rm -r does)", folder, name)
	}
	// What is mounted in there is somebody else's files.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("destroy host %s: %w", name, err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4]+"/", folder+"/") {
			return fault.New(fault.Conflict, "destroy host %s: %s is mounted in it (umount it first)", name, f[4])
		}
	}
	gone := filepath.Join(filepath.Dir(folder), "."+filepath.Base(folder)+".steer-gone")
	err = errors.Join(os.RemoveAll(gone), os.Rename(folder, gone))
	if err == nil {
		err = errors.Join(os.RemoveAll(gone), os.Remove(mark(folder)))
	}
	if err != nil {
		return fmt.Errorf("destroy host %s: %w", name, err)
	}
	return nil
}
