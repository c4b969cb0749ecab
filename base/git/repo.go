package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
)

// Mainline is the branch that new repositories start with.
const Mainline = "main"

// Repo is one bare repository on this machine.
type Repo struct {
	dir string
	env []string // object folders of a push that is not accepted yet, see FromHook
}

// repoConfig holds also for those who use the repository without this package.
const repoConfig = `[receive]
	denyNonFastForwards = true
	fsckObjects = true
[receive "fsck"]
	zeroPaddedFilemode = warn
	missingSpaceBeforeDate = warn
	badTimezone = warn
[transfer]
	hideRefs = refs/steer
[core]
	logAllRefUpdates = true
[gc]
	autoDetach = false
`

// Init opens the bare repository in dir, and makes it first where dir is absent
// or empty. It appears complete or not at all.
func Init(ctx context.Context, dir string) (*Repo, error) {
	if r, err := Open(dir); err == nil {
		return r, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("make repository: %w", err)
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("make repository: %w", err)
	}
	temp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return nil, fmt.Errorf("make repository: %w", err)
	}
	defer os.RemoveAll(temp)
	c := call{args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=" + Mainline, "--", temp}}
	if _, err := c.exec(ctx); err != nil {
		return nil, fmt.Errorf("make repository %s: %w", dir, err)
	}
	if err := appendFile(filepath.Join(temp, "config"), repoConfig); err != nil {
		return nil, fmt.Errorf("make repository %s: %w", dir, err)
	}
	// Renaming onto an existing folder works only while that is empty; os.Rename
	// does not try.
	if err := syscall.Rename(temp, dir); err != nil {
		if r, e := Open(dir); e == nil {
			return r, nil
		}
		if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil, fault.New(fault.Conflict, "make repository %s: the folder exists and holds something else", dir)
		}
		return nil, fmt.Errorf("make repository: %w", err)
	}
	return Open(dir)
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// Open opens the bare repository in dir. The error is fault.NotFound where
// there is none.
func Open(dir string) (*Repo, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	for _, part := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, part)); errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.NotFound, "open repository %s: no bare Git repository there", dir)
		} else if err != nil {
			return nil, fmt.Errorf("open repository: %w", err)
		}
	}
	return &Repo{dir: dir}, nil
}

// Dir is the repository's folder.
func (r *Repo) Dir() string { return r.dir }

// git runs git on the repository.
func (r *Repo) git(ctx context.Context, c call) ([]byte, error) {
	c.env = append(append([]string{"GIT_DIR=" + r.dir}, r.env...), c.env...)
	c.dir = r.dir
	out, err := c.exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", filepath.Base(r.dir), err)
	}
	return out, nil
}

func (r *Repo) run(ctx context.Context, args ...string) (string, error) {
	out, err := r.git(ctx, call{args: args})
	return strings.TrimSpace(string(out)), err
}

// Branches returns the names of all branches.
func (r *Repo) Branches(ctx context.Context) ([]string, error) {
	out, err := r.run(ctx, "for-each-ref", "--format=%(refname:lstrip=2)", "--count=1000", "refs/heads/")
	return strings.Fields(out), err
}

// SetMainline makes branch the one that a clone checks out, and that no push
// can delete.
func (r *Repo) SetMainline(ctx context.Context, branch string) error {
	if err := checkRef(branch); err != nil {
		return err
	}
	if now, err := os.ReadFile(filepath.Join(r.dir, "HEAD")); err == nil && string(now) == "ref: refs/heads/"+branch+"\n" {
		return nil
	}
	_, err := r.run(ctx, "symbolic-ref", "HEAD", "refs/heads/"+branch)
	return err
}

// Mark points the ref refs/steer/NAME at a commit. Such refs are Steer's own
// notes: clones do not see them and pushes cannot change them.
func (r *Repo) Mark(ctx context.Context, name, sha string) error {
	if err := errors.Join(checkRef(name), checkSHA(sha)); err != nil {
		return err
	}
	_, err := r.run(ctx, "update-ref", "refs/steer/"+name, sha)
	return err
}

// Marked returns the commit of a mark, or fault.NotFound.
func (r *Repo) Marked(ctx context.Context, name string) (string, error) {
	return r.head(ctx, "refs/steer/"+name)
}

// Sweep removes what git processes left behind that were killed: lock files,
// which would refuse every later change, and temporary folders. Whoever lives
// holds a lock for milliseconds, so an old one has no owner.
func (r *Repo) Sweep(older time.Duration) error {
	limit := time.Now().Add(-older)
	old := func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && info.ModTime().Before(limit)
	}
	var left []string
	for _, pattern := range []string{"*.lock", "tmp-*"} {
		found, err := filepath.Glob(filepath.Join(quoteGlob(r.dir), pattern))
		if err != nil {
			return err
		}
		left = append(left, found...)
	}
	err := filepath.WalkDir(filepath.Join(r.dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock") {
			left = append(left, path)
		}
		return err
	})
	for _, path := range left {
		if old(path) {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

func quoteGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
