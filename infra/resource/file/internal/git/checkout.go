package git

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// deployed is a ref of the checkout that names the commit that Steer checked out last.
const deployed = "refs/steer/deployed"

// unfinished is a file of the checkout that is there while it is worked on, with the
// commit once files are written.
const unfinished = "steer-unfinished"

// Apply fetches and checks out, or removes.
func (g *Git) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	if g.Wanted == place.Absent {
		return place.RemoveTree(ctx, g.Dest) // Diff looked what is in it
	}
	if err := g.apply(ctx, h); err != nil {
		return fault.New(fault.Of(err), "check out %s to %s: %w", g.Repository, g.Dest, err)
	}
	h.Forget(g.revisionKey()) // it may have moved on by now
	return nil
}

func (g *Git) apply(ctx context.Context, h *infra.Host) error {
	if _, err := exec.LookPath("git"); err != nil {
		return fault.New(fault.NotFound, "git is not installed (declare it: package: git)")
	}
	is, err := g.look()
	if err != nil {
		return err
	}
	if is != checkout {
		if err := g.start(ctx, h); err != nil {
			return err
		}
	}
	git := func(args ...string) error {
		_, err := g.run(ctx, h, g.Dest, 30*time.Minute, args...)
		return err
	}
	// Of a run that was cut off: what git locked, and a checkout that was done in part
	// and looks like local changes.
	torn := false
	if b, err := g.read(unfinished); err == nil {
		torn = len(b) > 0
		if err := g.unlock(); err != nil {
			return err
		}
	} else if err := g.mark(ctx, h, ""); err != nil {
		return err
	}
	if err := git("config", "remote.origin.url", g.Repository); err != nil {
		return err
	}
	if err := git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"); err != nil {
		return err
	}
	commit, err := g.fetch(ctx, h)
	if err != nil {
		return err
	}
	if !torn && !g.Force {
		if err := g.nothingLost(ctx, h, commit); err != nil {
			return err
		}
	}
	if err := g.mark(ctx, h, commit); err != nil {
		return err
	}
	args := []string{"checkout", "--quiet", "--detach"}
	if torn || g.Force {
		args = append(args, "--force")
	}
	if err := git(append(args, commit)...); err != nil {
		return err
	}
	if err := git("update-ref", deployed, commit); err != nil {
		return err
	}
	return g.remove(unfinished)
}

// unlock removes the locks that a git leaves that was killed.
func (g *Git) unlock() error {
	for _, name := range []string{"index", "HEAD", "shallow", "config", "packed-refs", "refs/steer/fetched", "refs/steer/deployed"} {
		if err := g.remove(name + ".lock"); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a file of git's.
func (g *Git) remove(name string) error {
	p, err := place.Open(path.Join(g.Dest, ".git", name))
	if place.Nowhere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Remove()
}

// start makes an empty repository.
func (g *Git) start(ctx context.Context, h *infra.Host) error {
	if !place.Exists(g.Dest) {
		var owner place.Access
		if g.User != "" {
			a, ok, err := h.User(g.User)
			if err != nil {
				return err
			}
			if !ok {
				return fault.New(fault.NotFound, "there is no user %s (declare it: user: %s)", g.User, g.User)
			}
			owner = place.Access{Owner: strconv.Itoa(a.UID), Group: strconv.Itoa(a.GID)}
		}
		if err := place.MakeFolder(h, g.Dest, owner); err != nil {
			return err
		}
	}
	_, err := g.run(ctx, h, g.Dest, time.Minute, "init", "--quiet", "--template=")
	return err
}

func (g *Git) mark(ctx context.Context, h *infra.Host, commit string) error {
	p, err := place.Open(path.Join(g.Dest, ".git", unfinished))
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Write(ctx, h, commit, place.Writing{})
}

// fetch gets what is declared and returns its commit.
func (g *Git) fetch(ctx context.Context, h *infra.Host) (string, error) {
	want, err := g.resolve(ctx, h)
	if err != nil {
		return "", err
	}
	git := func(args ...string) (string, error) { return g.run(ctx, h, g.Dest, 30*time.Minute, args...) }
	fetch := []string{"fetch", "--quiet", "--force", "--no-tags"}
	if g.Depth > 0 {
		fetch = append(fetch, "--depth="+strconv.Itoa(g.Depth))
	}
	if want.name != want.commit {
		if _, err := git(append(fetch, "origin", "+"+want.name+":refs/steer/fetched")...); err != nil {
			return "", err
		}
		out, err := git("rev-parse", "--verify", "refs/steer/fetched^{commit}")
		return strings.TrimSpace(out), err
	}
	has := func() bool {
		_, err := git("cat-file", "-e", want.commit+"^{commit}")
		return err == nil
	}
	if has() {
		return want.commit, nil
	}
	// Not every server gives a commit by its number; then all branches and tags.
	if _, err := git(append(fetch, "origin", want.commit)...); err == nil && has() {
		return want.commit, nil
	}
	if _, err := git("fetch", "--quiet", "--force", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"); err != nil {
		return "", err
	}
	if !has() {
		return "", fault.New(fault.NotFound, "there is no commit %s in its branches and tags (push it, or write another ref)", want.commit)
	}
	return want.commit, nil
}

// nothingLost refuses to go on where local work would be lost: files that were
// changed, and commits that are neither Steer's nor in what comes.
func (g *Git) nothingLost(ctx context.Context, h *infra.Host, commit string) error {
	head, err := g.head(ctx, h)
	if err != nil || head == "" {
		return err
	}
	changed, err := g.changed(ctx, h, "no")
	if err != nil {
		return err
	}
	if changed != "" {
		return fault.New(fault.Conflict, "there are local changes (%s): commit them elsewhere, or write force: true to throw them away", changed)
	}
	last, err := g.run(ctx, h, g.Dest, time.Minute, "for-each-ref", "--format=%(objectname)", deployed)
	if err != nil || strings.TrimSpace(last) == head {
		return err
	}
	if _, err := g.run(ctx, h, g.Dest, time.Minute, "merge-base", "--is-ancestor", head, commit); err != nil {
		return fault.New(fault.Conflict, "commit %s was checked out by somebody else and is not in what comes: push it, or write force: true to leave it behind", shortCommit(head))
	}
	return nil
}

// run runs git in an environment of its own: no configuration of the system or of
// users, no hooks, no questions, no protocols that run programs, nothing left behind.
func (g *Git) run(ctx context.Context, h *infra.Host, dir string, within time.Duration, args ...string) (string, error) {
	ssh := "ssh -o BatchMode=yes -o ConnectTimeout=10"
	if g.Key != "" {
		ssh += " -o IdentitiesOnly=yes -i '" + g.Key + "'"
	}
	env := []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "SSH_ASKPASS=/bin/false",
		"GIT_ALLOW_PROTOCOL=https:http:ssh:file", "GIT_SSH_COMMAND=" + ssh,
	}
	settings := [][2]string{
		{"core.hooksPath", "/dev/null"}, {"core.fsmonitor", "false"}, {"core.attributesFile", "/dev/null"}, {"core.excludesFile", "/dev/null"},
		{"core.quotePath", "false"}, {"submodule.recurse", "false"}, {"gc.autoDetach", "false"},
		{"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "60"},
	}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	out, err := h.Exec(ctx, infra.Command{Args: append([]string{"git"}, args...), Env: env, Dir: dir, User: g.User, Within: within})
	if err != nil {
		return "", err
	}
	said := strings.ToValidUTF8(strings.TrimSpace(string(out.Stderr)), "?")
	switch {
	case out.Code == 0:
		return string(out.Stdout), nil
	case out.Code == 1 && said == "":
		return "", errNoCommit // how git says no
	case strings.Contains(said, "dubious ownership"):
		return "", fault.New(fault.Denied, "git %s: the folder belongs to another user (write user: with who owns it)", args[0])
	case strings.Contains(said, "Host key verification failed"):
		said += " (add the server to the known hosts of the user)"
	}
	if len(said) > 2000 {
		said = said[len(said)-2000:]
	}
	return "", fmt.Errorf("git %s: %s", args[0], said)
}
