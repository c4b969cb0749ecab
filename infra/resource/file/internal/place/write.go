package place

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
)

// Writing is how a content gets to its place.
type Writing struct {
	Access
	Validate string // command with %s for the new file
	Backup   bool   // keep what was there
}

// Lock makes sure that one resource at a time reads and rewrites a file: lines and
// blocks of several resources may stand in one.
func Lock(h *infra.Host, p string) (release func(), err error) {
	m, err := infra.Memo(h, "writing "+p, func() (*sync.Mutex, error) { return &sync.Mutex{}, nil })
	if err != nil {
		return nil, err
	}
	m.Lock()
	return m.Unlock, nil
}

// Write puts a file into a place, in one step: under the path is always the old file
// or the whole new one, also on a full disk. Of an old file it keeps the owner, the
// rights and the attributes, as far as nothing else is declared.
func (p Place) Write(ctx context.Context, h *infra.Host, content string, w Writing) error {
	old, replaces, err := p.Stat()
	if err != nil {
		return err
	}
	uid, gid, err := w.IDs(h)
	if err != nil {
		return fmt.Errorf("write %s: %w", p.Path, err)
	}
	mode := w.Mode.bits(0o644)
	replaces = replaces && old.Mode&unix.S_IFMT == unix.S_IFREG
	if replaces {
		mode = w.Mode.bits(old.Mode & 0o7777)
		if uid == Same {
			uid = int(old.Uid)
		}
		if gid == Same {
			gid = int(old.Gid)
		}
	}
	next := p.beside()
	if err := next.Remove(); err != nil {
		return err
	}
	// Until it has its owner nobody else may read it.
	fd, err := unix.Openat(next.folder, next.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return p.Failed("write", err)
	}
	f := os.NewFile(uintptr(fd), next.Path)
	err = func() error {
		if _, err := io.WriteString(f, content); err != nil {
			return err
		}
		if replaces {
			p.copyAttributes(fd)
		}
		if err := chown(fd, uid, gid); err != nil {
			return err
		}
		if err := unix.Fchmod(fd, mode); err != nil {
			return err
		}
		if replaces {
			// After a loss of power there shall be the old content or the new one. Of a new
			// file there may be nothing, which the next run finds.
			return f.Sync()
		}
		return nil
	}()
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		next.Remove()
		return p.Failed("write", err)
	}
	if err := next.validate(ctx, h, p.Path, w.Validate); err != nil {
		next.Remove()
		return err
	}
	if w.Backup && replaces {
		if err := p.keep(); err != nil {
			next.Remove()
			return err
		}
	}
	return next.rename(p)
}

// rename puts what stands beside into its place, if need be that of an empty folder.
func (next Place) rename(p Place) error {
	err := unix.Renameat(next.folder, next.name, p.folder, p.name)
	if err == unix.EISDIR {
		if err = unix.Unlinkat(p.folder, p.name, unix.AT_REMOVEDIR); err == nil {
			err = unix.Renameat(next.folder, next.name, p.folder, p.name)
		}
	}
	if err != nil {
		next.Remove()
		return p.Failed("write", err)
	}
	return nil
}

// chown changes what has to be changed: who is not root may at least keep his own.
func chown(fd, uid, gid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if uid == Same || uid == int(st.Uid) {
		uid = Same
	}
	if gid == Same || gid == int(st.Gid) {
		gid = Same
	}
	if uid == Same && gid == Same {
		return nil
	}
	return unix.Fchown(fd, uid, gid)
}

// copyAttributes takes over the label of SELinux, the access list and others. It is
// best effort: not every file system has them. Capabilities were given to the old
// program, not to this one.
func (p Place) copyAttributes(to int) {
	from, err := p.Read(0)
	if err != nil {
		return
	}
	defer from.Close()
	names := make([]byte, 4096)
	n, err := unix.Flistxattr(int(from.Fd()), names)
	if err != nil || n == 0 {
		return
	}
	value := make([]byte, 64<<10)
	for _, name := range strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "security.capability" {
			continue
		}
		if n, err := unix.Fgetxattr(int(from.Fd()), name, value); err == nil {
			unix.Fsetxattr(to, name, value[:n], 0)
		}
	}
}

// validate runs the command that judges a new file before it takes its place.
func (p Place) validate(ctx context.Context, h *infra.Host, path, command string) error {
	if command == "" {
		return nil
	}
	args := strings.Fields(command)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "%s", p.Real())
	}
	out, err := h.Exec(ctx, infra.Command{Args: args})
	if err != nil {
		return fmt.Errorf("validate the new %s: %w", path, err)
	}
	if out.Code != 0 {
		said := strings.ReplaceAll(strings.TrimSpace(string(out.Stdout)+string(out.Stderr)), p.Real(), path)
		if len(said) > 2000 {
			said = said[:2000] + "…"
		}
		return fault.New(fault.Invalid, "validate the new %s: %s: ended with code %d: %s (the old file is untouched)", path, args[0], out.Code, strings.ToValidUTF8(said, "?"))
	}
	return nil
}

// CheckValidate looks at a command that judges.
func CheckValidate(command string) error {
	if command != "" && !strings.Contains(command, "%s") {
		return fmt.Errorf("validate: %q does not say where the name of the new file goes (write %%s there)", command)
	}
	return nil
}

// keep gives the file a second name, that of its backup.
func (p Place) keep() error {
	old := p.sibling(p.name + ".bak")
	if err := old.Remove(); err != nil {
		return err
	}
	if err := unix.Linkat(p.folder, p.name, old.folder, old.name, 0); err != nil {
		return old.Failed("write the backup", err)
	}
	return nil
}

// holds tells whether the file is of this content; size is that of the file.
func (p Place) holds(content string, size int64) (bool, error) {
	if size != int64(len(content)) {
		return false, nil
	}
	fd, err := unix.Openat(p.folder, p.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, p.Failed("read", err)
	}
	defer unix.Close(fd)
	b := make([]byte, min(len(content)+1, 64<<10))
	for {
		n, err := unix.Read(fd, b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false, p.Failed("read", err)
		case n == 0:
			return content == "", nil
		case n > len(content) || string(b[:n]) != content[:n]:
			return false, nil
		case n == len(content) && n < len(b):
			return true, nil // fewer than asked for: that was the end
		default:
			content = content[n:]
		}
	}
}

// largestShown bounds what is read to show how it differs.
const largestShown = 256 << 10

// CompareContent adds how the file differs from a content.
func (p Place) CompareContent(st unix.Stat_t, content string, d *infra.Diff) error {
	same, err := p.holds(content, st.Size)
	if err != nil || same {
		return err
	}
	if st.Size > largestShown {
		d.Set("content", fmt.Sprintf("%d bytes", st.Size), fmt.Sprintf("%d other bytes", len(content)))
		return nil
	}
	old, err := p.Content(largestShown)
	if err != nil {
		return err
	}
	d.SetContent("content", old, []byte(content))
	return nil
}

// Content reads the whole file, which may have most bytes.
func (p Place) Content(most int64) ([]byte, error) {
	f, err := p.Read(0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, p.Failed("read", err)
	}
	if int64(len(b)) > most {
		return nil, fault.New(fault.TooMuch, "read %s: it has more than %d KiB", p.Path, most>>10)
	}
	return b, nil
}
