package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"steer/base/fault"
)

// Target takes the files of a copy; names have slashes.
type Target interface {
	Dir(name string) error
	Bytes(name string, data []byte) error
	// Copy takes the file at path. When that is gone, it takes nothing and the error
	// is fs.ErrNotExist.
	Copy(name, path string) error
}

const marks = "refs/steer/"

// Marks returns all marks as they are now, for Copy.
func (r *Repo) Marks(ctx context.Context) ([]string, error) { return r.refs(ctx, marks) }

// refs lists refs below a prefix, as lines of packed-refs.
func (r *Repo) refs(ctx context.Context, prefix string) ([]string, error) {
	out, err := r.run(ctx, "for-each-ref", "--format=%(objectname) %(refname)", prefix)
	return slices.DeleteFunc(strings.Split(out, "\n"), func(line string) bool { return line == "" }), err
}

// Copy hands on files that make the repository again below the folder as, while
// others push to it and repack it: what every ref named at the call, with the
// records of who moved it. The refs are read first and the objects then, which
// are always there before a ref names them. The copy has the given marks instead
// of the repository's own: a mark may say how far something outside of the
// repository has come, which then has to be copied after the marks were read.
// Hooks are left out, since they hold paths of this machine.
func (r *Repo) Copy(ctx context.Context, to Target, as string, marked []string) error {
	if _, err := os.Stat(filepath.Join(r.dir, "objects/info/alternates")); err == nil {
		return fault.New(fault.Conflict, "copy repository %s: it borrows objects from another one (do: git repack -a -d, then remove its objects/info/alternates)", r.dir)
	}
	fail := func(err error) error { return fmt.Errorf("copy repository %s: %w", r.dir, err) }
	refs, err := r.refs(ctx, "refs/")
	if err != nil {
		return fail(err)
	}
	name := func(line string) string { return line[strings.IndexByte(line, ' ')+1:] }
	refs = slices.DeleteFunc(refs, func(line string) bool { return strings.HasPrefix(name(line), marks) })
	refs = append(refs, marked...)
	slices.SortFunc(refs, func(a, b string) int { return strings.Compare(name(a), name(b)) })
	packed := strings.Join(append([]string{"# pack-refs with: sorted "}, refs...), "\n") + "\n"
	for _, dir := range []string{"refs/heads", "refs/tags", "objects/info", "objects/pack"} { // without these, Git knows no repository
		if err := to.Dir(path.Join(as, dir)); err != nil {
			return fail(err)
		}
	}
	if err := to.Bytes(path.Join(as, "packed-refs"), []byte(packed)); err != nil {
		return fail(err)
	}
	for _, file := range []string{"HEAD", "config", "description", "shallow", "info/attributes", "info/exclude"} {
		err := to.Copy(path.Join(as, file), filepath.Join(r.dir, filepath.FromSlash(file)))
		if err != nil && (!errors.Is(err, fs.ErrNotExist) || file == "HEAD") {
			return fail(err)
		}
	}
	if err := r.copyLogs(to, as); err != nil {
		return fail(err)
	}
	if err := r.copyObjects(ctx, to, as); err != nil {
		return fail(err)
	}
	return nil
}

// copyLogs copies the records of who moved which branch.
func (r *Repo) copyLogs(to Target, as string) error {
	return filepath.WalkDir(filepath.Join(r.dir, "logs"), func(file string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasSuffix(file, ".lock") {
			var name string
			if name, err = filepath.Rel(r.dir, file); err == nil {
				err = to.Copy(path.Join(as, filepath.ToSlash(name)), file)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// copyObjects copies loose objects and packs. A repack writes new packs before it
// removes what is in them, so when something is gone, another look finds it
// elsewhere.
func (r *Repo) copyObjects(ctx context.Context, to Target, as string) error {
	taken := map[string]bool{}
	take := func(file string) (gone bool, err error) {
		if taken[file] {
			return false, nil
		}
		err = to.Copy(path.Join(as, file), filepath.Join(r.dir, filepath.FromSlash(file)))
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		taken[file] = err == nil
		return false, err
	}
	const looks = 20
	for range looks {
		before, err := r.packs()
		if err != nil {
			return err
		}
		again := false
		for n := range 256 {
			dir := fmt.Sprintf("objects/%02x", n)
			entries, err := os.ReadDir(filepath.Join(r.dir, dir))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for _, e := range entries {
				if checkSHA(dir[len("objects/"):]+e.Name()) != nil {
					continue // being written
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				gone, err := take(dir + "/" + e.Name())
				if err != nil {
					return err
				}
				again = again || gone
			}
		}
		after, err := r.packs()
		if err != nil {
			return err
		}
		for _, pack := range after {
			for _, end := range []string{".pack", ".idx", ".rev", ".keep", ".mtimes", ".promisor"} {
				gone, err := take(pack + end)
				if err != nil {
					return err
				}
				if gone && (end == ".pack" || end == ".idx") {
					again = true
					break
				}
			}
		}
		for _, pack := range before {
			again = again || !taken[pack+".idx"]
		}
		if !again {
			return nil
		}
	}
	return fault.New(fault.Unavailable, "it was repacked during each of %d attempts (try again later)", looks)
}

// packs are the packs that are complete, without the ends of their names.
func (r *Repo) packs() (all []string, err error) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "objects/pack"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if pack, ok := strings.CutSuffix(e.Name(), ".idx"); ok && strings.HasPrefix(pack, "pack-") {
			all = append(all, "objects/pack/"+pack)
		}
	}
	return all, nil
}
