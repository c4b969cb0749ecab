package watch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// files is inotify(7) on the folders of the paths that resources watch. Folders are
// watched and not files, so that what is replaced, removed or not yet there is seen, and
// a folder with a thousand files costs one watch.
type files struct {
	file    *os.File
	raw     syscall.RawConn
	folders map[string]*folder
	paths   map[int32][]string // of folders, by watch: one folder may have several names
	trees   trees
}

// folder is what is of interest in a folder, by name.
type folder struct {
	here  map[string][]int // the path itself is watched
	below map[string][]int // something below it is
	all   []int            // whatever its name
}

const (
	structure = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	content   = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
)

func openFiles() (*files, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w (sysctl fs.inotify.max_user_instances)", err)
	}
	f := &files{file: os.NewFile(uintptr(fd), "inotify"), folders: map[string]*folder{}, paths: map[int32][]string{}}
	f.trees = trees{most: mostFolders, watched: map[string]int32{}, names: map[int32]string{}}
	f.raw, err = f.file.SyscallConn()
	return f, err
}

// add watches one folder.
func (f *files) add(name string, mask uint32) (wd int, err error) {
	closed := f.raw.Control(func(fd uintptr) { wd, err = unix.InotifyAddWatch(int(fd), name, mask) })
	return wd, errors.Join(closed, err)
}

// Changed is closed when the file at a path is changed, made or replaced, or when ctx
// ends.
func Changed(ctx context.Context, name string) (<-chan struct{}, error) {
	f, err := openFiles()
	if err != nil {
		return nil, err
	}
	f.want(name, 0)
	if err := f.cover(); err != nil {
		f.close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, f.close)
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		f.read(ctx, func([]int) { cancel() })
	}()
	return changed, nil
}

func (f *files) close() { f.file.Close() }

func (f *files) folder(name string) *folder {
	if f.folders[name] == nil {
		f.folders[name] = &folder{here: map[string][]int{}, below: map[string][]int{}}
	}
	return f.folders[name]
}

// want adds an interest of a resource: in a path, or in everything in a folder when it
// ends with a slash, or in everything below it when it ends with /**.
func (f *files) want(name string, resource int) {
	if !path.IsAbs(name) {
		return
	}
	if root, whole := strings.CutSuffix(name, "/**"); whole {
		name = path.Clean("/" + root)
		f.trees.wantAll(name, resource)
	}
	dir, base := path.Split(path.Clean(name))
	if strings.HasSuffix(name, "/") {
		in := f.folder(path.Clean(name))
		in.all = append(in.all, resource)
	}
	dir = path.Clean(dir)
	in := f.folder(dir)
	in.here[base] = append(in.here[base], resource)
	for dir != "/" {
		dir, base = path.Split(dir)
		dir = path.Clean(dir)
		in := f.folder(dir)
		if list := in.below[base]; len(list) == 0 || list[len(list)-1] != resource {
			in.below[base] = append(list, resource)
		}
	}
}

// cover watches the folders that are there. What is there already stays watched.
func (f *files) cover() error {
	var errs []error
	for name, in := range f.folders {
		mask := uint32(structure | unix.IN_ONLYDIR | unix.IN_MASK_ADD)
		if len(in.here)+len(in.all) > 0 {
			mask |= content
		}
		wd, err := f.add(name, mask)
		switch {
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ELOOP):
			// The folder above tells when it appears.
		case errors.Is(err, unix.ENOSPC):
			return fmt.Errorf("watch %s: the kernel watches no more folders for this user (raise fs.inotify.max_user_watches)", name)
		case err != nil:
			errs = append(errs, fmt.Errorf("watch %s: %w", name, err))
		default:
			if !slices.Contains(f.paths[int32(wd)], name) {
				f.paths[int32(wd)] = append(f.paths[int32(wd)], name)
			}
		}
	}
	f.coverTrees()
	return errors.Join(errs...)
}

// read tells of changes until the files are closed.
func (f *files) read(ctx context.Context, touch func([]int)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := f.file.Read(buf)
		if err != nil {
			return
		}
		touched, moved := f.events(buf[:n])
		f.coverTrees() // the folder of one may be there now
		if moved {
			f.cover() //nolint:errcheck // what cannot be watched now could not before
		}
		if len(touched) > 0 {
			touch(touched)
		}
		if !pause(ctx, restful) {
			return
		}
	}
}

// events reads what the kernel wrote. moved: folders came or went.
func (f *files) events(b []byte) (touched []int, moved bool) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if end > len(b) {
			return touched, moved
		}
		name := string(bytes.TrimRight(b[unix.SizeofInotifyEvent:end], "\x00"))
		b = b[end:]
		if mask&unix.IN_Q_OVERFLOW != 0 { // some were lost
			for _, in := range f.folders {
				touched = append(touched, in.everything()...)
			}
			moved = true
			for _, one := range f.trees.all {
				touched = append(touched, one.resources...)
			}
			continue
		}
		touched = append(touched, f.inTree(wd, mask, name)...)
		for _, dir := range f.paths[wd] {
			in := f.folders[dir]
			if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0 {
				touched, moved = append(touched, in.everything()...), true
				continue
			}
			touched = append(append(touched, in.here[name]...), in.all...)
			if below := in.below[name]; len(below) > 0 && mask&structure != 0 {
				touched, moved = append(touched, below...), true
			}
		}
		if mask&unix.IN_MOVE_SELF != 0 { // another may take its name
			f.raw.Control(func(fd uintptr) { unix.InotifyRmWatch(int(fd), uint32(wd)) }) //nolint:errcheck // it may be gone
		}
		if mask&(unix.IN_IGNORED|unix.IN_MOVE_SELF) != 0 {
			delete(f.paths, wd)
			moved = true
		}
	}
	return touched, moved
}

func (in *folder) everything() []int {
	all := append([]int(nil), in.all...)
	for _, list := range in.here {
		all = append(all, list...)
	}
	for _, list := range in.below {
		all = append(all, list...)
	}
	return all
}
