package role

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
)

// Made lists the roles that hosts with some roles are made of: those and what they
// include, by name. Names that are no roles are left out.
func (l *Library) Made(names []string) []string {
	all := map[string]bool{}
	var add func(n string)
	add = func(n string) {
		if r := l.roles[n]; r != nil && !all[n] {
			all[n] = true
			for _, in := range r.Include {
				add(in.Role)
			}
		}
	}
	for _, n := range names {
		add(n)
	}
	return slices.Sorted(maps.Keys(all))
}

// Paths are the files and folders of the role and of those that it includes.
func (l *Library) Paths(name string) []string {
	var all []string
	for _, n := range l.Made([]string{name}) {
		dir := path.Join(folder, n)
		if file := l.roles[n].File; path.Dir(file) != dir {
			all = append(all, file)
		}
		if _, err := fs.Stat(l.roles[n].files, dir); err == nil {
			all = append(all, dir)
		}
	}
	return all
}

// Digest tells roles apart: it changes when one of them, a role that it includes, or
// one of their files does.
func (l *Library) Digest(names []string) (string, error) {
	sum := sha256.New()
	file := func(files fs.FS, name string) error {
		f, err := files.Open(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		defer f.Close()
		one := sha256.New()
		if _, err := io.Copy(one, f); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%q %x\n", name, one.Sum(nil))
		return nil
	}
	for _, n := range l.Made(names) {
		from := l.roles[n].files
		if err := file(from, l.roles[n].File); err != nil {
			return "", err
		}
		dir := path.Join(folder, n)
		if _, err := fs.Stat(from, dir); err != nil {
			continue
		}
		var files []string
		if err := fs.WalkDir(from, dir, func(name string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && name != l.roles[n].File {
				files = append(files, name)
			}
			return err
		}); err != nil {
			return "", fmt.Errorf("read role %s: %w", n, err)
		}
		slices.Sort(files)
		for _, name := range files {
			if err := file(from, name); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
