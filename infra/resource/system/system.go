// Package system keeps what makes a host that host: kernel settings, file systems,
// name, time zone, firewall, certificates.
package system

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"steer/base/fault"
	"steer/infra"
)

// class of the kinds that do not touch what others here do.
const class = "system"

// Kinds lists the kinds of this package.
func Kinds() infra.Kinds {
	return infra.Kinds{sysctlKind(), mountKind(), volumeKind(), hostnameKind(), timezoneKind(), firewallKind(), certificateKind()}
}

const (
	present = "present"
	absent  = "absent"
)

func checkState(state string, all ...string) error {
	for _, s := range all {
		if s == state {
			return nil
		}
	}
	return fault.New(fault.Invalid, "state: %q is not known (use %s)", state, list(all))
}

func list(all []string) string {
	text := all[0]
	for _, s := range all[1:] {
		text += ", " + s
	}
	return text
}

// readText reads a file that may be missing.
func readText(name string) (string, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

// replace puts contents into a file, whole or not at all: beside, on disk, renamed. A
// file that is there keeps its mode and its owner; a link to it stays a link.
func replace(name string, contents []byte, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	target := name
	if real, err := filepath.EvalSymlinks(name); err == nil {
		target = real
	}
	uid, gid := 0, 0
	if is, err := os.Stat(target); err == nil {
		s := is.Sys().(*syscall.Stat_t)
		mode, uid, gid = is.Mode().Perm(), int(s.Uid), int(s.Gid)
	}
	return place(target, contents, mode, uid, gid)
}

// place is replace for a file whose mode and owner are given.
func place(name string, contents []byte, mode fs.FileMode, uid, gid int) error {
	beside := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".steer-new")
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	if err == nil && (uid != os.Geteuid() || gid != os.Getegid()) {
		err = f.Chown(uid, gid)
	}
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(beside, name)
	}
	if errors.Is(err, syscall.EBUSY) { // containers have /etc/hosts and /etc/hostname mounted
		err = errors.Join(overwrite(name, contents), os.Remove(beside))
	} else if err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return errors.Join(err, syncFolder(filepath.Dir(name)))
}

// overwrite writes into a file that cannot be replaced. The file beside, which is
// complete by now, shows that there is room.
func overwrite(name string, contents []byte) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	old, err := io.ReadAll(f)
	if err == nil {
		if _, err = f.WriteAt(contents, 0); err == nil {
			err = f.Truncate(int64(len(contents)))
		}
		if err != nil {
			_, back := f.WriteAt(old, 0)
			err = errors.Join(err, back)
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove removes a file that may be gone already.
func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
