package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"steer/base/fault"
)

// Limits of what is read into memory.
const (
	MaxFile  = 10 << 20 // bytes of one file
	MaxFiles = 10_000   // files of one tree
	MaxTree  = 64 << 20 // bytes of one tree
)

// Files reads all files of a revision into memory. A tree over the limits is
// fault.TooMuch.
func (r *Repo) Files(ctx context.Context, rev string) (fs.FS, error) {
	t, err := r.Tree(ctx, rev)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Tree is Files with the methods of Tree.
func (r *Repo) Tree(ctx context.Context, rev string) (*Tree, error) {
	at, err := revision(rev)
	if err != nil {
		return nil, err
	}
	out, err := r.git(ctx, call{args: []string{"ls-tree", "-r", "-z", "-l", "--full-tree", at}})
	if err != nil {
		return nil, r.missing(err, rev)
	}
	var paths, objects []string
	files := map[string]*node{}
	var total int64
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		meta, p, ok := strings.Cut(line, "\t")
		f := strings.Fields(meta) // mode, type, object, size
		if !ok || len(f) != 4 || f[1] != "blob" || !fs.ValidPath(p) {
			continue // the empty tree, a submodule
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("repository %s: size %q of %s: %w", filepath.Base(r.dir), f[3], p, err)
		}
		total += size
		switch {
		case size > MaxFile:
			return nil, fault.New(fault.TooMuch, "read %s: file has %d bytes, at most %d are allowed", p, size, MaxFile)
		case len(paths) == MaxFiles:
			return nil, fault.New(fault.TooMuch, "read repository %s: more than %d files", filepath.Base(r.dir), MaxFiles)
		case total > MaxTree:
			return nil, fault.New(fault.TooMuch, "read repository %s: more than %d MiB", filepath.Base(r.dir), MaxTree>>20)
		}
		mode := fs.FileMode(0o444)
		switch f[0] {
		case "100755":
			mode = 0o555
		case "120000":
			mode = fs.ModeSymlink | 0o444
		}
		files[p] = &node{name: path.Base(p), mode: mode}
		paths = append(paths, p)
		objects = append(objects, f[2])
	}
	blobs, err := r.blobs(ctx, objects)
	if err != nil {
		return nil, err
	}
	for i, p := range paths {
		if blobs[i] == nil {
			return nil, fmt.Errorf("repository %s: object %s of %s is missing: restore the repository from a clone", filepath.Base(r.dir), objects[i], p)
		}
		files[p].data = blobs[i]
	}
	return newTree(files), nil
}

// ReadFile returns one file of a revision. The error is fault.NotFound where
// there is no such file or revision.
func (r *Repo) ReadFile(ctx context.Context, rev, file string) ([]byte, error) {
	at, err := revision(rev)
	if err != nil {
		return nil, err
	}
	if err := checkPath(file); err != nil {
		return nil, err
	}
	blobs, err := r.blobs(ctx, []string{at + ":" + file})
	if err != nil {
		return nil, err
	}
	if blobs[0] == nil {
		return nil, fault.New(fault.NotFound, "read %s of %s in repository %s: no such file", file, rev, filepath.Base(r.dir))
	}
	return blobs[0], nil
}

// blobs reads objects with one process; what is absent or no file is nil.
func (r *Repo) blobs(ctx context.Context, names []string) ([][]byte, error) {
	if len(names) == 0 {
		return nil, nil
	}
	data := make([][]byte, 0, len(names))
	read := func(out io.Reader) error {
		in := bufio.NewReader(out)
		for range names {
			head, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			f := strings.Fields(head) // object, type, size; or name "missing"
			if len(f) != 3 || f[len(f)-1] == "missing" {
				data = append(data, nil)
				continue
			}
			size, err := strconv.ParseInt(f[2], 10, 64)
			if err != nil {
				return err
			}
			if size > MaxFile {
				return fault.New(fault.TooMuch, "read object %s: %d bytes, at most %d are allowed", f[0], size, MaxFile)
			}
			b := make([]byte, size+1) // and a line end
			if _, err := io.ReadFull(in, b); err != nil {
				return err
			}
			if f[1] != "blob" {
				data = append(data, nil)
				continue
			}
			data = append(data, b[:size:size])
		}
		return nil
	}
	_, err := r.git(ctx, call{args: []string{"cat-file", "--batch"}, stdin: strings.NewReader(strings.Join(names, "\n") + "\n"), read: read})
	if err != nil {
		return nil, err
	}
	if len(data) != len(names) {
		return nil, fmt.Errorf("repository %s: read %d of %d objects", filepath.Base(r.dir), len(data), len(names))
	}
	return data, nil
}

// Checkout writes the files of a revision into dir, which must be absent or
// empty. There is no .git in it, and submodules stay empty folders.
func (r *Repo) Checkout(ctx context.Context, rev, dir string) error {
	at, err := revision(rev)
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("check out %s: %w", rev, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("check out %s: %w", rev, err)
	}
	if old, err := os.ReadDir(dir); err != nil {
		return fmt.Errorf("check out %s: %w", rev, err)
	} else if len(old) > 0 {
		return fault.New(fault.Conflict, "check out %s: folder %s is not empty", rev, dir)
	}
	return r.withIndex(func(index string) error {
		env := []string{index, "GIT_WORK_TREE=" + dir}
		if _, err := r.git(ctx, call{args: []string{"read-tree", at + "^{tree}"}, env: env}); err != nil {
			return r.missing(err, rev)
		}
		_, err := r.git(ctx, call{args: []string{"checkout-index", "--all", "--quiet", "--prefix=" + dir + "/"}, env: env})
		return err
	})
}

// withIndex gives f the setting of an index file of its own.
func (r *Repo) withIndex(f func(env string) error) error {
	temp, err := os.MkdirTemp(r.dir, "tmp-")
	if err != nil {
		return fmt.Errorf("repository %s: %w", filepath.Base(r.dir), err)
	}
	err = f("GIT_INDEX_FILE=" + filepath.Join(temp, "index"))
	if e := os.RemoveAll(temp); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

// modes returns the modes of all files in an index, by path.
func (r *Repo) modes(ctx context.Context, index string) (map[string]string, error) {
	out, err := r.git(ctx, call{args: []string{"ls-files", "-s", "-z"}, env: []string{index}})
	if err != nil {
		return nil, err
	}
	modes := map[string]string{}
	for line := range slices.Values(strings.Split(string(out), "\x00")) {
		meta, p, _ := strings.Cut(line, "\t")
		mode, _, _ := strings.Cut(meta, " ")
		modes[p] = mode
	}
	return modes, nil
}
