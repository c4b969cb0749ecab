package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of the watch on whole trees: the kernel keeps about a KiB for each folder.
const (
	mostFolders = 8192
	// What trees are watched for is owners, rights and what comes or goes: not what is
	// written into files.
	ofTrees = structure | unix.IN_ATTRIB | unix.IN_ONLYDIR | unix.IN_MASK_ADD
)

// tree is a folder of which everything in it is of interest, at any depth.
type tree struct {
	root      string
	resources []int
}

// trees are all, and the folders in them that are watched.
type trees struct {
	all     []tree
	most    int              // folders
	watched map[string]int32 // watch by folder
	names   map[int32]string
	note    string // why some folders are not watched; empty: all are
}

// wantAll adds an interest of a resource in everything below a folder.
func (t *trees) wantAll(root string, resource int) {
	root = filepath.Clean(root)
	for i := range t.all {
		if t.all[i].root == root {
			t.all[i].resources = append(t.all[i].resources, resource)
			return
		}
	}
	t.all = append(t.all, tree{root, []int{resource}})
}

func within(root, name string) bool {
	return name == root || root == "/" || strings.HasPrefix(name, root+"/")
}

// of are the resources that are interested in what is in a folder.
func (t *trees) of(folder string) (some []int) {
	for _, one := range t.all {
		if within(one.root, folder) {
			some = append(some, one.resources...)
		}
	}
	return some
}

// grow watches a folder of a tree and those in it, as far as the bounds go.
func (f *files) grow(root string) {
	t := &f.trees
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil // gone meanwhile, or not for us
		}
		if _, known := t.watched[name]; known {
			return nil
		}
		if len(t.watched) >= t.most {
			return fmt.Errorf("only %d folders are watched", t.most)
		}
		wd, err := f.add(name, ofTrees)
		switch {
		case errors.Is(err, unix.ENOSPC):
			return errors.New("the kernel watches no more folders for this user (raise fs.inotify.max_user_watches)")
		case err != nil:
			return nil //nolint:nilerr // gone meanwhile, or not for us
		}
		t.watched[name], t.names[int32(wd)] = int32(wd), name
		return nil
	})
	if err != nil && t.note == "" {
		t.note = fmt.Sprintf("changes deep in %s are seen by visits only: %v", root, err)
	}
}

// coverTrees watches trees whose folder is there.
func (f *files) coverTrees() {
	for _, one := range f.trees.all {
		if _, known := f.trees.watched[one.root]; !known {
			f.grow(one.root)
		}
	}
}

// inTree takes an event in a folder of a tree. It tells which resources it concerns.
func (f *files) inTree(wd int32, mask uint32, name string) (touched []int) {
	t := &f.trees
	folder, ok := t.names[wd]
	if !ok {
		return nil
	}
	touched = t.of(folder)
	switch below := filepath.Join(folder, name); {
	case mask&unix.IN_IGNORED != 0:
		t.forget(wd)
	case mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 && mask&unix.IN_ISDIR != 0:
		f.grow(below)
	case mask&unix.IN_MOVED_FROM != 0 && mask&unix.IN_ISDIR != 0:
		for name, wd := range t.watched { // under its new name it is watched anew, or is none of ours
			if within(below, name) {
				f.leave(wd)
			}
		}
	case mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0 && slices.ContainsFunc(t.all, func(one tree) bool { return one.root == folder }):
		f.leave(wd)
	}
	return touched
}

func (t *trees) forget(wd int32) {
	delete(t.watched, t.names[wd])
	delete(t.names, wd)
}

// leave ends a watch that is only a tree's.
func (f *files) leave(wd int32) {
	f.trees.forget(wd)
	if len(f.paths[wd]) == 0 {
		f.raw.Control(func(fd uintptr) { unix.InotifyRmWatch(int(fd), uint32(wd)) }) //nolint:errcheck // it may be gone
	}
}
