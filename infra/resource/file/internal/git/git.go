package git

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Git is a folder with a checkout of a repository.
type Git struct {
	Dest       string `yaml:"dest" doc:"Absolute path of the folder with the checkout."`
	Repository string `yaml:"repository,omitempty" doc:"Where it comes from: an https, http, ssh or file URL, USER@HOST:PATH, or a path. Passwords do not belong here: use an SSH key, or the file .netrc of the user."`
	Ref        string `yaml:"ref,omitempty" doc:"Branch, tag or full commit. A commit is compared without the network, the others ask the repository in every run. Without it: the branch that HEAD of the repository names."`
	Depth      int    `yaml:"depth,omitempty" doc:"How many commits of the history to fetch; 0 is all."`
	User       string `yaml:"user,omitempty" doc:"User who runs git and owns the files. Without it who runs Steer: root."`
	Key        string `yaml:"key,omitempty" doc:"Path of the SSH key on the host to log in with. The server has to be among the known hosts of the user."`
	Wanted     string `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	Force      bool   `yaml:"force,omitempty" doc:"Throw away local changes and commits. Without it they are left, and stop an update."`
	Keep       bool   `yaml:"keep,omitempty" doc:"With state absent: when something was changed in it, leave it instead of failing."`
}

// Kind is the kind git.
func Kind() infra.Kind {
	return infra.Kind{
		Name: "git",
		Doc: "A checkout of a Git repository at a branch, tag or commit, without a branch of its own (detached HEAD). " +
			"It runs the program git, which asks nobody, reads no configuration but that of the checkout, and runs no hooks. Submodules are not fetched.",
		Key: "dest",
		Example: `- git: /srv/shop
  repository: https://git.example.com/shop.git
  ref: v1.4.2
  user: shop
`,
		Class: place.Class,
		New:   func() infra.Resource { return &Git{} },
	}
}

// ID is the path.
func (g *Git) ID() string { return g.Dest }

// Check looks at the declaration.
func (g *Git) Check() error {
	if err := place.CleanPath("dest", &g.Dest); err != nil {
		return err
	}
	if err := place.CheckState(g.Wanted); err != nil {
		return err
	}
	switch {
	case g.Keep && (g.Wanted != place.Absent || g.Force):
		return fmt.Errorf("keep: is for state absent without force")
	case g.Wanted == place.Absent:
		return nil
	case g.Repository == "":
		return fmt.Errorf("repository: is missing (write where it comes from)")
	case strings.HasPrefix(g.Repository, "-") || strings.Contains(g.Repository, "::") || strings.ContainsAny(g.Repository, "\x00\n"):
		return fmt.Errorf("repository: %q is no repository (write a URL, USER@HOST:PATH or a path)", g.Repository)
	case g.Ref != "" && !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+@-]*$`).MatchString(g.Ref) || strings.Contains(g.Ref, ".."):
		return fmt.Errorf("ref: %q is no branch, tag or commit", g.Ref)
	case g.Depth < 0:
		return fmt.Errorf("depth: %d is no number of commits", g.Depth)
	case strings.ContainsAny(g.Key, "'\x00\n"):
		return fmt.Errorf("key: %q has a character that paths can't have here", g.Key)
	}
	if u, err := url.Parse(g.Repository); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return fmt.Errorf("repository: has a password in it, which others on the host can see (use an SSH key, or .netrc in the home of the user)")
		}
	}
	return nil
}

// Gives names the folder.
func (g *Git) Gives() []string {
	if g.Wanted == place.Absent {
		return nil
	}
	return []string{"path:" + g.Dest}
}

// Claims is the checkout.
func (g *Git) Claims() []infra.Claim {
	if g.Wanted == place.Absent {
		return nil
	}
	return []infra.Claim{{Name: "path:" + g.Dest, As: infra.Tree}}
}

// Needs names the folder above, the user, the key and the program.
func (g *Git) Needs() []string {
	all := []string{"path:" + g.Dest, "package:git"}
	if g.User != "" {
		all = append(all, "user:"+g.User)
	}
	if g.Key != "" {
		all = append(all, "path:"+g.Key)
	}
	if path.IsAbs(g.Repository) {
		all = append(all, "path:"+g.Repository)
	}
	return all
}

// Absent declares it away, unless something was changed in it.
func (g *Git) Absent() infra.Resource {
	return &Git{Dest: g.Dest, User: g.User, Wanted: place.Absent, Keep: true}
}

// State is the commit.
func (g *Git) State(ctx context.Context, h *infra.Host) (string, error) { return g.head(ctx, h) }

// Diff compares.
func (g *Git) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	is, err := g.look()
	if err != nil {
		return d, err
	}
	if g.Wanted == place.Absent {
		return g.gone(ctx, h, is)
	}
	if g.notYet(h) {
		d.Action = infra.Create
		d.Set("commit", "", g.Ref)
		return d, nil
	}
	want, err := g.resolve(ctx, h)
	if err != nil {
		return d, err
	}
	if is != checkout {
		d.Action = infra.Create
		d.Set("repository", "", g.Repository)
		d.Set("commit", "", want.String())
		return d, nil
	}
	from, err := g.origin(ctx, h)
	if err != nil {
		return d, err
	}
	if from != g.Repository {
		d.Set("repository", from, g.Repository)
	}
	head, err := g.head(ctx, h)
	if err != nil {
		return d, err
	}
	if head != want.commit {
		d.Set("commit", shortCommit(head), want.String())
	}
	if place.Exists(path.Join(g.Dest, ".git", unfinished)) {
		d.Set("checkout", "unfinished", "whole")
	}
	if g.Force {
		changed, err := g.changed(ctx, h, "no")
		if err != nil {
			return d, err
		}
		if changed != "" {
			d.Set("changes", changed, "none")
		}
	}
	return d, nil
}

// content of a folder, as far as it matters here.
type content int

const (
	nothing  content = iota // or an empty folder
	checkout                // a .git is there
	others
)

// look tells what is in the folder.
func (g *Git) look() (content, error) {
	p, err := place.Open(g.Dest)
	if place.Nowhere(err) {
		return nothing, nil
	}
	if err != nil {
		return 0, fmt.Errorf("compare %s: %w", g.Dest, err)
	}
	defer p.Close()
	st, ok, err := p.Stat()
	switch {
	case err != nil || !ok:
		return nothing, err
	case place.TypeOf(st) != "directory":
		return 0, fault.New(fault.Conflict, "%s is a %s, not a folder with a checkout (remove it)", g.Dest, place.TypeOf(st))
	case p.GiveWay(st, "", true) == nil:
		return nothing, nil
	}
	if st, err := os.Lstat(path.Join(g.Dest, ".git")); err == nil && st.IsDir() {
		return checkout, nil
	}
	if g.Wanted == place.Absent {
		return others, nil
	}
	return 0, fault.New(fault.Conflict, "%s has something in it that is no checkout (remove it, or choose another dest)", g.Dest)
}

func (g *Git) gone(ctx context.Context, h *infra.Host, is content) (infra.Diff, error) {
	var d infra.Diff
	if !place.Exists(g.Dest) {
		return d, nil
	}
	if !g.Force && is != nothing {
		changed := "something that is no checkout"
		switch {
		case is == checkout && g.notYet(h):
			changed = "a checkout that nobody can look at, since git or the user " + g.User + " is not there"
		case is == checkout:
			var err error
			if changed, err = g.changed(ctx, h, "normal"); err != nil {
				return d, err
			}
		}
		if changed != "" && g.Keep {
			return d, nil
		}
		if changed != "" {
			return d, fault.New(fault.Conflict, "remove %s: in it is %s (force: true removes it all the same)", g.Dest, changed)
		}
	}
	d.Action = infra.Delete
	d.Set("state", place.Present, place.Absent)
	return d, nil
}

// notYet tells that git, or the user who runs it, is not there: an earlier resource
// may make them.
func (g *Git) notYet(h *infra.Host) bool {
	if _, err := exec.LookPath("git"); err != nil {
		return true
	}
	_, ok, err := h.User(g.User)
	return g.User != "" && err == nil && !ok
}

// changed tells in words which files were changed; untracked is no or normal.
func (g *Git) changed(ctx context.Context, h *infra.Host, untracked string) (string, error) {
	out, err := g.run(ctx, h, g.Dest, 5*time.Minute, "status", "--porcelain", "--untracked-files="+untracked)
	if err != nil {
		return "", err
	}
	var names []string
	for line := range strings.Lines(out) {
		if len(line) > 3 {
			names = append(names, strings.TrimSpace(line[3:]))
		}
	}
	if len(names) > 4 {
		names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
	}
	if names == nil {
		return "", nil
	}
	return "changed: " + strings.Join(names, ", "), nil
}
