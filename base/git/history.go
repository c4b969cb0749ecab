package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
)

// Commit is one commit. Texts are valid UTF-8.
type Commit struct {
	SHA     string    `json:"sha"`
	Author  string    `json:"author"` // name as the author wrote it: "Ada Lovelace"
	Email   string    `json:"email"`
	Message string    `json:"message"`
	Time    time.Time `json:"time"` // when it was committed, UTC
	Parents []string  `json:"parents"`
}

// Title is the first line of the message.
func (c Commit) Title() string {
	line, _, _ := strings.Cut(c.Message, "\n")
	return strings.TrimSpace(line)
}

// Head returns the newest commit of a branch, or fault.NotFound while the branch
// has none.
func (r *Repo) Head(ctx context.Context, branch string) (string, error) {
	if err := checkRef(branch); err != nil {
		return "", err
	}
	return r.head(ctx, "refs/heads/"+branch)
}

func (r *Repo) head(ctx context.Context, ref string) (string, error) {
	// A ref that changed lately is a file of its own: no need for a process, and
	// heads are asked for often.
	if b, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(ref))); err == nil {
		if sha := strings.TrimSpace(string(b)); checkSHA(sha) == nil {
			return sha, nil
		}
	}
	sha, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref)
	if code(err) == 1 {
		return "", fault.New(fault.NotFound, "repository %s: %s has no commits", filepath.Base(r.dir), strings.TrimPrefix(ref, "refs/heads/"))
	}
	return sha, err
}

// Has says whether the repository holds the commit.
func (r *Repo) Has(ctx context.Context, sha string) (bool, error) {
	if err := checkSHA(sha); err != nil {
		return false, err
	}
	_, err := r.run(ctx, "cat-file", "-e", sha+"^{commit}")
	if c := code(err); c == 1 || c == 128 {
		return false, nil
	}
	return err == nil, err
}

// Log returns the commits reachable from to and not from from (empty: all),
// newest first, at most limit.
func (r *Repo) Log(ctx context.Context, from, to string, limit int) ([]Commit, error) {
	return r.log(ctx, from, to, "-n", strconv.Itoa(limit))
}

// Trunk returns the commits that moved a branch from from (empty: the
// beginning) to to, in the order in which they landed: a merge counts as one
// commit, what it merged does not. If there are more than limit, the newest ones.
func (r *Repo) Trunk(ctx context.Context, from, to string, limit int) ([]Commit, error) {
	return r.log(ctx, from, to, "-n", strconv.Itoa(limit), "--first-parent", "--reverse")
}

func (r *Repo) log(ctx context.Context, from, to string, args ...string) ([]Commit, error) {
	end, err := revision(to)
	if err != nil {
		return nil, err
	}
	args = append([]string{"log", "-z", "--no-show-signature", "--format=%H%n%P%n%an%n%ae%n%ct%n%B"}, append(args, "--end-of-options", end)...)
	if from != "" {
		start, err := revision(from)
		if err != nil {
			return nil, err
		}
		args = append(args, "^"+start)
	}
	out, err := r.git(ctx, call{args: append(args, "--")})
	if err != nil {
		return nil, r.missing(err, to)
	}
	var commits []Commit
	for record := range strings.SplitSeq(string(out), "\x00") {
		if record == "" {
			continue
		}
		f := strings.SplitN(strings.ToValidUTF8(record, "\uFFFD"), "\n", 6)
		if len(f) < 6 {
			return nil, fmt.Errorf("repository %s: log record %q is cut off", filepath.Base(r.dir), record)
		}
		seconds, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("repository %s: commit %s: time %q: %w", filepath.Base(r.dir), f[0], f[4], err)
		}
		commits = append(commits, Commit{
			SHA: f[0], Parents: strings.Fields(f[1]), Author: f[2], Email: f[3],
			Time: time.Unix(seconds, 0).UTC(), Message: strings.TrimSpace(f[5]),
		})
	}
	return commits, nil
}

// missing makes git's complaint about an unknown revision a fault.NotFound.
func (r *Repo) missing(err error, rev string) error {
	for _, sign := range []string{"bad revision", "unknown revision", "bad object", "Not a valid object", "Invalid object name", "not a tree object"} {
		if strings.Contains(err.Error(), sign) {
			return fault.New(fault.NotFound, "repository %s: no commit or branch %q", filepath.Base(r.dir), rev)
		}
	}
	return err
}

// ChangedPaths returns the files that differ between two commits; from may be
// empty for all files.
func (r *Repo) ChangedPaths(ctx context.Context, from, to string) ([]string, error) {
	end, err := revision(to)
	if err != nil {
		return nil, err
	}
	args := []string{"ls-tree", "-r", "-z", "--full-tree", "--name-only", end}
	if from != "" {
		start, err := revision(from)
		if err != nil {
			return nil, err
		}
		args = []string{"diff-tree", "-r", "-z", "--no-renames", "--name-only", start, end}
	}
	out, err := r.git(ctx, call{args: args})
	if err != nil {
		return nil, r.missing(err, to)
	}
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 }), nil
}

// Movers returns who moved a branch to which commit, according to the
// repository's own record, which a commit cannot forge: the person who pushed, or
// who changed it through Commit. Commits between two of these came with the later
// one. The record goes back at most limit moves, and is empty where somebody
// wrote past git.
func (r *Repo) Movers(ctx context.Context, branch string, limit int) (map[string]string, error) {
	if err := checkRef(branch); err != nil {
		return nil, err
	}
	out, err := r.run(ctx, "log", "-g", "-n", strconv.Itoa(limit), "--no-show-signature", "--format=%H %gn", "refs/heads/"+branch, "--")
	if err != nil && code(err) != 128 { // which it is without a record
		return nil, err
	}
	movers := map[string]string{}
	for line := range strings.Lines(out) {
		sha, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "anonymous" { // git's word for a push without a name
			name = ""
		}
		if _, ok := movers[sha]; !ok {
			movers[sha] = strings.ToValidUTF8(name, "?")
		}
	}
	return movers, nil
}
