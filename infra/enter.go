package infra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// EnterCommand is the hidden command of this program that calls Enter with
// the words that Entrance.Words made.
const EnterCommand = "enter"

// Entrance is the way into a root file system that does not run, like an image in the
// making: a program there sees it as /, has processes, mounts and names of its own,
// which all end with it, and cannot change the machine below: it lacks the rights that
// containers lack, too.
type Entrance struct {
	Root   string            // folder
	Name   string            // host name in there
	Binds  map[string]string // folders here, by the folder in there that they cover; those that are not there are left out
	within bool              // the second half, in the namespaces
}

// Words are the arguments of this program that enter and run a program; its name
// follows, with its arguments. /proc/self/exe is this program.
func (e Entrance) Words() []string {
	words := []string{EnterCommand, e.Root, e.Name, fmt.Sprint(len(e.Binds))}
	for at, from := range e.Binds {
		words = append(words, at, from)
	}
	return words
}

// Enter reads the words after EnterCommand and does what they say. The code is that
// of the program.
func Enter(ctx context.Context, words []string) (code int, err error) {
	var e Entrance
	if len(words) > 0 && words[0] == within {
		e.within, words = true, words[1:]
	}
	n := 0
	if len(words) > 3 {
		e.Root, e.Name = words[0], words[1]
		if _, err := fmt.Sscan(words[2], &n); err == nil && len(words) > 3+2*n && n >= 0 {
			e.Binds = map[string]string{}
			for i := range n {
				e.Binds[words[3+2*i]] = words[4+2*i]
			}
			if words = words[3+2*n:]; e.within {
				return 0, e.become(words)
			}
			return e.run(ctx, words)
		}
	}
	return 0, fault.New(fault.Invalid, "this command is how Steer enters a root file system, and not for people")
}

const within = "--within"

// run starts the second half in namespaces of its own, and waits for it.
func (e Entrance) run(ctx context.Context, words []string) (int, error) {
	if os.Geteuid() != 0 {
		return 0, fault.New(fault.Denied, "enter %s: only root can (use sudo)", e.Root)
	}
	if is, err := os.Stat(e.Root); err != nil || !is.IsDir() {
		return 0, fault.New(fault.NotFound, "%s is no folder with a root file system", e.Root)
	}
	// Whoever started this may be killed: nothing may stay behind. The kernel tells when
	// the thread ends that started somebody, so it has to be kept.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0); err != nil {
		return 0, fmt.Errorf("enter %s: %w", e.Root, err)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{EnterCommand, within}, append(e.Words()[1:], words...)...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	case errors.Is(err, syscall.EPERM):
		return 0, fault.New(fault.Denied, "enter %s: the kernel forbids it (in a container this needs --privileged)", e.Root)
	case err != nil:
		return 0, fmt.Errorf("enter %s: %w", e.Root, err)
	}
	return 0, nil
}

// become turns this process, alone in its namespaces, into the program.
func (e Entrance) become(words []string) error {
	runtime.LockOSThread() // rights and folders are those of a thread until it becomes another program
	if err := e.mounts(); err != nil {
		return fmt.Errorf("enter %s: %w", e.Root, err)
	}
	if err := unix.Sethostname([]byte(e.Name)); err != nil {
		return fmt.Errorf("enter %s: name it: %w", e.Root, err)
	}
	if err := dropRights(); err != nil {
		return fmt.Errorf("enter %s: give up rights: %w", e.Root, err)
	}
	// It is a matter of the thread, and lost with the one that had it from the start.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("enter %s: %w", e.Root, err)
	}
	os.Clearenv()
	for _, v := range [][2]string{{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"HOME", "/root"}, {"LC_ALL", "C.UTF-8"}, {offlineVariable, "1"}} {
		os.Setenv(v[0], v[1])
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return fault.New(fault.NotFound, "in %s: %w", e.Root, err)
	}
	return fmt.Errorf("run %s in %s: %w", words[0], e.Root, syscall.Exec(path, words, os.Environ()))
}

// mounts makes the folder /, with what programs expect of the kernel. Links in there
// lead nowhere else: whatever is mounted is mounted after the change of the root.
func (e Entrance) mounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	from := map[string]int{}
	for at, dir := range e.Binds {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0) // left open; the program cannot see it
		if err != nil {
			return fmt.Errorf("open %s: %w", dir, err)
		}
		unix.CloseOnExec(fd)
		from[at] = fd
	}
	if err := e.settle(); err != nil {
		return err
	}
	// The old root lies on the new one, until it is taken off; see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("make it the root: %w", err)
	}
	if err := os.MkdirAll("/proc", 0o555); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, p := range []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"} {
		err := unix.Mount(p, p, "", unix.MS_BIND, "")
		if err == nil {
			err = unix.Mount("", p, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("protect %s: %w", p, err)
		}
	}
	if err := devices(); err != nil {
		return err
	}
	for at, fd := range from {
		if is, err := os.Stat(at); err != nil || !is.IsDir() {
			continue
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", at, err)
		}
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil { // the folder is still that of the old root
		return fmt.Errorf("take off the old root: %w", err)
	}
	return unix.Chdir("/")
}

// settle makes the folder a mount, and the folder of this process. One that is a mount
// already, but in no list, like an open file of another process, is moved here: it lies on
// the /proc of the machine, which is left behind anyway.
func (e Entrance) settle() error {
	err := unix.Mount(e.Root, e.Root, "", unix.MS_BIND, "")
	if err == nil {
		return unix.Chdir(e.Root)
	}
	fd, e2 := unix.Open(e.Root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if e2 != nil {
		return errors.Join(err, e2)
	}
	defer unix.Close(fd)
	if e2 := unix.MoveMount(fd, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH); e2 != nil {
		return fmt.Errorf("mount it on itself: %w, nor can it be moved: %w", err, e2)
	}
	return unix.Fchdir(fd)
}

// devices fills /dev with those that every container has.
func devices() error {
	old := unix.Umask(0)
	defer unix.Umask(old)
	if err := os.MkdirAll("/dev", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID, "mode=755,size=512m"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		if err := unix.Mknod("/dev/"+name, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	if err := unix.Mknod("/dev/tty", unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))); err != nil {
		return fmt.Errorf("make /dev/tty: %w", err)
	}
	for _, l := range [][2]string{{"/proc/self/fd", "fd"}, {"fd/0", "stdin"}, {"fd/1", "stdout"}, {"fd/2", "stderr"}, {"pts/ptmx", "ptmx"}} {
		if err := os.Symlink(l[0], "/dev/"+l[1]); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Mkdir("/dev/pts", 0o755), os.Mkdir("/dev/shm", 0o1777)); err != nil {
		return err
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	return unix.Chmod("/dev/shm", 0o1777)
}

// dropRights leaves what containers have: no mounts, no network settings, no clock, no
// modules of the kernel. It takes effect with the next program.
func dropRights() error {
	keep := map[uintptr]bool{}
	for _, c := range []uintptr{unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID,
		unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW, unix.CAP_SYS_CHROOT, unix.CAP_MKNOD, unix.CAP_AUDIT_WRITE, unix.CAP_SETFCAP} {
		keep[c] = true
	}
	for c := uintptr(0); c < 64; c++ {
		if keep[c] {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) { // the kernel knows no more
			return err
		}
	}
	return nil
}

// offlineVariable is set for programs that Enter starts.
const offlineVariable = "STEER_OFFLINE"
