package account

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"steer/infra"
)

const skeleton = "/etc/skel"

// makeHome makes a home folder with what is in /etc/skel. It is made beside and
// then renamed, so that a home is there with everything or not at all; until then
// it is closed to the user.
func makeHome(a infra.Account) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make the home folder of user %s: %w", a.Name, err)
		}
	}()
	parent, name := filepath.Split(a.Home)
	if !filepath.IsAbs(a.Home) || name == "" {
		return fmt.Errorf("%q is no absolute path (say create_home: false, or give a home)", a.Home)
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	dir, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer dir.Close()
	beside := "." + name + ".steer-new"
	if err := dir.RemoveAll(beside); err != nil { // of a run that was cut off
		return err
	}
	if err := dir.Mkdir(beside, 0o700); err != nil {
		return err
	}
	home, err := dir.OpenRoot(beside)
	if err != nil {
		return err
	}
	defer home.Close()
	if err := copyTree(home, a); err != nil {
		return errors.Join(err, dir.RemoveAll(beside))
	}
	self, err := home.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	if err := errors.Join(self.Chmod(homeMode()), self.Chown(a.UID, a.GID)); err != nil {
		return err
	}
	return dir.Rename(beside, name)
}

func copyTree(to *os.Root, a infra.Account) error {
	from, err := os.OpenRoot(skeleton)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	return fs.WalkDir(from.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			err = to.Mkdir(name, info.Mode().Perm())
		case info.Mode()&fs.ModeSymlink != 0:
			var target string
			if target, err = from.Readlink(name); err == nil {
				err = to.Symlink(target, name)
			}
		case info.Mode().IsRegular():
			err = copyFile(from, to, name, info.Mode().Perm())
		default:
			return nil
		}
		if err != nil {
			return err
		}
		return to.Lchown(name, a.UID, a.GID)
	})
}

func copyFile(from, to *os.Root, name string, mode fs.FileMode) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}

// homeMode is what /etc/login.defs says of home folders, by HOME_MODE or else UMASK.
func homeMode() fs.FileMode {
	mode := fs.FileMode(0o755)
	b, err := os.ReadFile("/etc/login.defs")
	if err != nil {
		return mode
	}
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		n, err := strconv.ParseUint(w[1], 8, 9)
		switch {
		case err != nil:
		case w[0] == "HOME_MODE":
			return fs.FileMode(n)
		case w[0] == "UMASK":
			mode = 0o777 &^ fs.FileMode(n)
		}
	}
	return mode
}
