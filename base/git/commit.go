package git

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// Change is a commit to be made.
type Change struct {
	Author  id.Person         `json:"author"`
	Email   string            `json:"email,omitempty"` // default: AUTHOR@steer
	Message string            `json:"message"`
	Files   map[string][]byte `json:"files"` // new content by path; nil removes the file
	Base    string            `json:"base"`  // commit that the author saw; empty: the branch has none yet
}

func (c Change) check() error {
	if c.Author == "" || strings.ContainsAny(string(c.Author)+c.Email, "<>\n\x00") {
		return fault.New(fault.Invalid, "commit: author %q <%s>: give a name, without angle brackets", c.Author, c.Email)
	}
	if strings.TrimSpace(c.Message) == "" {
		return fault.New(fault.Invalid, "commit by %s: the message is empty: say why", c.Author)
	}
	if c.Base != "" {
		if err := checkSHA(c.Base); err != nil {
			return err
		}
	}
	for name, data := range c.Files {
		if err := checkPath(name); err != nil {
			return err
		}
		if len(data) > MaxFile {
			return fault.New(fault.TooMuch, "commit %s: file has %d bytes, at most %d are allowed", name, len(data), MaxFile)
		}
	}
	return nil
}

// Commit adds a change to a branch and returns its commit. When the branch is
// not (or no longer) at c.Base, nothing is changed and the error is
// fault.Conflict. A change that changes nothing returns c.Base.
func (r *Repo) Commit(ctx context.Context, branch string, c Change) (string, error) {
	if err := cmp.Or(checkRef(branch), c.check()); err != nil {
		return "", err
	}
	if err := r.expect(ctx, branch, c.Base); err != nil {
		return "", err
	}
	var tree string
	err := r.withIndex(func(index string) (err error) {
		tree, err = r.writeTree(ctx, index, c)
		return err
	})
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", "-F", "-"}
	if c.Base != "" {
		old, err := r.run(ctx, "rev-parse", "--verify", c.Base+"^{tree}")
		if err != nil {
			return "", err
		}
		if old == tree {
			return c.Base, nil
		}
		args = append(args, "-p", c.Base)
	}
	email := cmp.Or(c.Email, string(c.Author)+"@steer")
	now := fmt.Sprintf("%d +0000", time.Now().Unix())
	who := []string{
		"GIT_AUTHOR_NAME=" + string(c.Author), "GIT_AUTHOR_EMAIL=" + email, "GIT_AUTHOR_DATE=" + now,
		"GIT_COMMITTER_NAME=" + string(c.Author), "GIT_COMMITTER_EMAIL=" + email, "GIT_COMMITTER_DATE=" + now,
	}
	out, err := r.git(ctx, call{args: append(args, tree), env: who, stdin: strings.NewReader(strings.TrimSpace(c.Message) + "\n")})
	if err != nil {
		return "", err
	}
	sha := strings.TrimSpace(string(out))
	move := call{args: []string{"update-ref", "-m", "steer: change", "refs/heads/" + branch, sha, cmp.Or(c.Base, strings.Repeat("0", 40))}, env: who}
	if _, err := r.git(ctx, move); err != nil {
		if e := r.expect(ctx, branch, c.Base); e != nil {
			return "", e
		}
		if strings.Contains(err.Error(), "lock") {
			r.Sweep(time.Minute)
			return "", fault.New(fault.Conflict, "commit to %s: another change is being written: try again (%w)", branch, err)
		}
		return "", err
	}
	return sha, nil
}

// expect is nil while the branch is at base.
func (r *Repo) expect(ctx context.Context, branch, base string) error {
	head, err := r.Head(ctx, branch)
	if err != nil && fault.Of(err) != fault.NotFound {
		return err
	}
	switch {
	case head == base:
		return nil
	case base == "":
		return fault.New(fault.Conflict, "commit to %s of %s: the branch exists: base the change on its head %.12s", branch, filepath.Base(r.dir), head)
	}
	return fault.New(fault.Conflict, "commit to %s of %s: it has changed since %.12s: look at the new state (%s) and try again", branch, filepath.Base(r.dir), base, cmp.Or(head, "no commits"))
}

// free refuses a file that would take the place of a folder, or of a file above
// it: git would remove what is there without a word.
func free(modes map[string]string, changes map[string][]byte, file string) error {
	stays := func(p string) bool {
		if data, ok := changes[p]; ok {
			return data != nil
		}
		return modes[p] != ""
	}
	for p := path.Dir(file); p != "."; p = path.Dir(p) {
		if stays(p) {
			return fault.New(fault.Invalid, "commit %s: %s is a file, not a folder: remove it in the same change, or choose another name", file, p)
		}
	}
	for p := range modes {
		if strings.HasPrefix(p, file+"/") && stays(p) {
			return fault.New(fault.Invalid, "commit %s: it is a folder, which holds %s: choose another name", file, p)
		}
	}
	return nil
}

// writeTree stores the files of c on top of its base and returns the tree.
func (r *Repo) writeTree(ctx context.Context, index string, c Change) (string, error) {
	env := []string{index}
	if c.Base != "" {
		if _, err := r.git(ctx, call{args: []string{"read-tree", c.Base + "^{tree}"}, env: env}); err != nil {
			return "", r.missing(err, c.Base)
		}
	}
	modes, err := r.modes(ctx, index)
	if err != nil {
		return "", err
	}
	// Removals come first, so that a folder may take the place of a file.
	var gone, stored bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		data := c.Files[name]
		if data == nil {
			fmt.Fprintf(&gone, "0 %s\t%s\x00", strings.Repeat("0", 40), name)
			continue
		}
		blob, err := r.git(ctx, call{args: []string{"hash-object", "-w", "--stdin"}, stdin: bytes.NewReader(data)})
		if err != nil {
			return "", err
		}
		if err := free(modes, c.Files, name); err != nil {
			return "", err
		}
		mode := "100644"
		if modes[name] == "100755" {
			mode = modes[name]
		}
		fmt.Fprintf(&stored, "%s %s\t%s\x00", mode, strings.TrimSpace(string(blob)), name)
	}
	gone.Write(stored.Bytes())
	if _, err := r.git(ctx, call{args: []string{"update-index", "-z", "--add", "--index-info"}, env: env, stdin: &gone}); err != nil {
		return "", err
	}
	tree, err := r.git(ctx, call{args: []string{"write-tree"}, env: env})
	return strings.TrimSpace(string(tree)), err
}
