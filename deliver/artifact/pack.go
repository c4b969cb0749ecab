package artifact

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"steer/base/fault"
)

// entry is one file, folder or link of an archive.
type entry struct {
	name string // in the archive
	from string // below the packed folder
	info fs.FileInfo
	link string
	mode int64 // of a folder that is not as others; 0: as they are
}

// collect lists what paths name below root, sorted by name. A single path loses
// the folders above it, as steer.yaml documents. Nothing outside of root is
// read, and links must point into it, since whoever wrote the commit chose them.
func collect(root *os.Root, paths []string, limit Limits) ([]entry, int64, error) {
	if len(paths) == 0 {
		return nil, 0, fault.New(fault.Invalid, "pack artifact: no paths given (list files or folders under artifact.paths in steer.yaml)")
	}
	seen := map[string]entry{}
	var size int64
	for _, p := range paths {
		clean := path.Clean(p)
		if !filepath.IsLocal(clean) {
			return nil, 0, fault.New(fault.Invalid, "pack artifact: path %q leaves the checkout (use a path below it)", p)
		}
		above := ""
		if len(paths) == 1 && clean != "." {
			above = path.Dir(clean)
		}
		if _, err := root.Lstat(clean); err != nil {
			return nil, 0, fault.New(fault.Invalid, "pack artifact: path %q: %w (does artifact.build make it?)", p, reason(err))
		}
		err := fs.WalkDir(root.FS(), clean, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := root.Lstat(name) // the walk follows a link as its start
			if err != nil {
				return err
			}
			e := entry{name: name, from: name, info: info}
			if above != "" && above != "." {
				e.name = strings.TrimPrefix(name, above+"/")
			}
			if path.Base(name) == ".git" && info.IsDir() {
				return fs.SkipDir
			}
			if e.name == "." {
				return nil
			}
			switch {
			case info.Mode().IsRegular():
				size += info.Size()
			case info.IsDir():
			case info.Mode()&fs.ModeSymlink != 0:
				if e.link, err = root.Readlink(name); err != nil {
					return err
				}
				if !inside(e.name, e.link) {
					return fmt.Errorf("link %q points to %q, outside of the artifact", name, e.link)
				}
			default:
				return fmt.Errorf("%q is no file, folder or link but %s", name, info.Mode().Type())
			}
			seen[e.name] = e
			if len(seen) > limit.MaxFiles || size > int64(limit.MaxMB)<<20 {
				return fmt.Errorf("more than %d files or %d MiB (limits artifact.max_files and artifact.max_mb)", limit.MaxFiles, limit.MaxMB)
			}
			if info.Mode()&fs.ModeSymlink != 0 && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, 0, fault.New(fault.Invalid, "pack artifact: path %q: %w", p, err)
		}
	}
	// Folders above what several paths named, so that unpacking needs no guess.
	for name := range seen {
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			if _, ok := seen[up]; ok {
				break
			}
			info, err := root.Stat(up)
			if err != nil || !info.IsDir() {
				break
			}
			seen[up] = entry{name: up, from: up, info: info}
		}
	}
	entries := make([]entry, 0, len(seen))
	for _, e := range seen {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, size, nil
}

// reason drops the operation and path of a file error, which the caller names.
func reason(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// inside tells whether a link of this name stays in the archive.
func inside(name, target string) bool {
	return !path.IsAbs(target) && filepath.IsLocal(path.Join(path.Dir(name), target))
}

// archive writes a tar.gz that depends only on names, contents, link targets
// and executable bits: no times, owners, or modes of the machine.
func archive(w io.Writer, root *os.Root, entries []entry) error {
	zip := gzip.NewWriter(w)
	if err := writeTar(zip, root, entries); err != nil {
		return err
	}
	return zip.Close()
}

func writeTar(w io.Writer, root *os.Root, entries []entry) error {
	out := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Format: tar.FormatPAX}
		switch {
		case e.info.IsDir():
			h.Typeflag, h.Name, h.Mode = tar.TypeDir, e.name+"/", cmp.Or(e.mode, 0o755)
		case e.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
		default:
			h.Typeflag, h.Size, h.Mode = tar.TypeReg, e.info.Size(), 0o644
			if e.info.Mode()&0o111 != 0 {
				h.Mode = 0o755
			}
		}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %q: %w", e.from, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := copyFile(out, root, e.from); err != nil {
			return fmt.Errorf("pack %q: %w", e.from, err)
		}
	}
	return out.Close()
}

func copyFile(w io.Writer, root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
