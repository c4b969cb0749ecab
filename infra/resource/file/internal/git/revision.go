package git

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// revision is a commit, and the name under which the repository has it.
type revision struct{ name, commit string }

func (r revision) String() string {
	if r.name == r.commit {
		return shortCommit(r.commit)
	}
	return shortCommit(r.commit) + " (" + r.name + ")"
}

func shortCommit(s string) string { return s[:min(12, len(s))] }

var errNoCommit = errors.New("there is no commit")

func isCommit(s string) bool {
	return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`).MatchString(s)
}

func (g *Git) revisionKey() string { return "git " + g.User + "\x00" + g.Repository + "\x00" + g.Ref }

// resolve finds the commit that is declared. What is no commit is asked from the
// repository, once in a run.
func (g *Git) resolve(ctx context.Context, h *infra.Host) (revision, error) {
	if isCommit(g.Ref) {
		return revision{g.Ref, g.Ref}, nil
	}
	return infra.Memo(h, g.revisionKey(), func() (revision, error) {
		ref := g.Ref
		if ref == "" {
			ref = "HEAD"
		}
		out, err := g.run(ctx, h, "/", time.Minute, "ls-remote", "--", g.Repository, ref, ref+"^{}")
		if err != nil {
			return revision{}, fault.New(fault.Unavailable, "ask %s for %s: %w", g.Repository, ref, err)
		}
		commits := map[string]string{}
		for line := range strings.Lines(out) {
			if commit, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && isCommit(commit) {
				commits[name] = commit
			}
		}
		for _, name := range []string{ref, "refs/heads/" + ref, "refs/tags/" + ref} {
			if commit, ok := commits[name+"^{}"]; ok { // that of an annotated tag
				return revision{name, commit}, nil
			}
			if commit, ok := commits[name]; ok {
				return revision{name, commit}, nil
			}
		}
		return revision{}, fault.New(fault.NotFound, "%s has no branch or tag %s (push it, or write another ref)", g.Repository, ref)
	})
}

// head is the commit that is checked out; empty when none is. Steer leaves HEAD
// detached, so that reading a file does.
func (g *Git) head(ctx context.Context, h *infra.Host) (string, error) {
	b, err := g.read("HEAD")
	if s := strings.TrimSpace(string(b)); err != nil || isCommit(s) {
		return s, err
	}
	out, err := g.run(ctx, h, g.Dest, time.Minute, "rev-parse", "--quiet", "--verify", "HEAD^{commit}")
	if errors.Is(err, errNoCommit) {
		return "", nil
	}
	return strings.TrimSpace(out), err
}

// read reads a small file of git's.
func (g *Git) read(name string) ([]byte, error) {
	p, err := place.Open(path.Join(g.Dest, ".git", name))
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", g.Dest, err)
	}
	defer p.Close()
	return p.Content(1 << 20)
}

// origin is the repository that the checkout says it comes from.
func (g *Git) origin(ctx context.Context, h *infra.Host) (string, error) {
	b, err := g.read("config")
	if err != nil {
		return "", err
	}
	in := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = line == `[remote "origin"]`
		}
		if key, value, ok := strings.Cut(line, "="); ok && in && strings.TrimSpace(key) == "url" && !strings.ContainsAny(value, `"\#;`) {
			return strings.TrimSpace(value), nil
		}
	}
	out, err := g.run(ctx, h, g.Dest, time.Minute, "config", "--get", "remote.origin.url")
	if errors.Is(err, errNoCommit) {
		return "", nil
	}
	return strings.TrimSuffix(out, "\n"), err
}
