package git_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/resource/file"
	"steer/infra/resource/file/internal/filetest"
	"steer/infra/resource/file/internal/git"
)

func resource(t *testing.T, dir, text string) infra.Resource {
	t.Helper()
	return filetest.Resource(t, infra.Kinds{git.Kind()}, "git", dir, text)
}

func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("git is not installed, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("git is not installed")
	}
}

// person runs git as somebody does by hand.
func person(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes one at DIR/repo with two commits: the first is tagged v1.
func repository(t *testing.T, dir string) (path, first, second string) {
	t.Helper()
	path = filepath.Join(dir, "repo")
	os.MkdirAll(path, 0o755)
	person(t, path, "init", "-q", "-b", "main")
	commit := func(content string) string {
		filetest.Write(t, path+"/file", content)
		person(t, path, "add", ".")
		person(t, path, "commit", "-q", "-m", content)
		return person(t, path, "rev-parse", "HEAD")
	}
	first = commit("one")
	person(t, path, "tag", "-a", "-m", "x", "v1")
	return path, first, commit("two")
}

func TestGit(t *testing.T) {
	needGit(t)
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	repo, first, second := repository(t, dir)
	file := dir + "/a/b/file"
	branch := resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo, ref: main}")
	d := filetest.Settle(t, h, branch)
	filetest.WantDiff(t, d, "create repository, commit")
	if d.Fields[1].New != second[:12]+" (refs/heads/main)" {
		t.Errorf("%+v", d)
	}
	filetest.WantFile(t, file, "two", 0o644)
	filetest.WantDiff(t, filetest.Settle(t, h, branch), "")
	if state, err := branch.(infra.Stated).State(t.Context(), h); state != second || err != nil {
		t.Error(state, err)
	}

	// To a tag, back by a commit, and on with the branch.
	d = filetest.Settle(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo, ref: v1}"))
	if want := (infra.Field{Name: "commit", Old: second[:12], New: first[:12] + " (refs/tags/v1)"}); len(d.Fields) != 1 || d.Fields[0] != want {
		t.Errorf("%+v, want %+v", d, want)
	}
	filetest.WantFile(t, file, "one", 0o644)
	filetest.Settle(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo, ref: "+second+"}"))
	filetest.WantFile(t, file, "two", 0o644)
	filetest.Write(t, repo+"/file", "three")
	person(t, repo, "commit", "-aqm", "three")
	h = infra.NewHost(t.Context()) // a later run
	filetest.WantDiff(t, filetest.Settle(t, h, branch), "update commit")
	filetest.WantDiff(t, filetest.Settle(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo}")), "")
	filetest.WantFile(t, file, "three", 0o644)

	// The repository moved.
	os.Rename(repo, dir+"/moved")
	d = filetest.Settle(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/moved, ref: main}"))
	if want := (infra.Field{Name: "repository", Old: repo, New: dir + "/moved"}); len(d.Fields) != 1 || d.Fields[0] != want {
		t.Errorf("%+v", d)
	}
	os.Rename(dir+"/moved", repo)

	err := filetest.WantError(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/none, ref: main}"), "ask "+dir+"/none for main: git ls-remote: ")
	if fault.Of(err) != fault.Unavailable {
		t.Error(fault.Of(err))
	}
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo, ref: mian}"), "repo has no branch or tag mian")
	none := strings.Repeat("0", 39) + "1"
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo, ref: "+none+"}"), "there is no commit "+none+" in its branches and tags")
	// What that left unfinished is finished.
	filetest.WantDiff(t, filetest.Settle(t, h, resource(t, dir, "{dest: DIR/a/b, repository: DIR/repo, ref: main}")), "update checkout")

	gone := branch.(infra.Removable).Absent()
	filetest.Write(t, dir+"/a/b/upload", "mine")
	filetest.WantDiff(t, filetest.Settle(t, h, gone), "")
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/a/b, state: absent}"), "in it is changed: upload (force: true removes it")
	os.Remove(dir + "/a/b/upload")
	filetest.WantDiff(t, filetest.Settle(t, h, gone), "delete state")
	filetest.WantDiff(t, filetest.Settle(t, h, gone), "")
	filetest.WantOnly(t, dir+"/a")
}

func TestGitKeepsLocalWork(t *testing.T) {
	needGit(t)
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	_, first, second := repository(t, dir)
	at := func(ref, more string) infra.Resource {
		return resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: "+ref+more+"}")
	}
	filetest.Settle(t, h, at(first, ""))
	filetest.Write(t, dir+"/d/file", "mine")
	filetest.WantDiff(t, filetest.Settle(t, h, at(first, "")), "") // is left
	err := filetest.WantError(t, h, at(second, ""), "there are local changes (changed: file): commit them elsewhere, or write force: true")
	if fault.Of(err) != fault.Conflict {
		t.Error(fault.Of(err))
	}
	filetest.WantFile(t, dir+"/d/file", "mine", 0o644)
	d := filetest.Settle(t, h, at(first, ", force: true"))
	if d.Fields[len(d.Fields)-1] != (infra.Field{Name: "changes", Old: "changed: file", New: "none"}) {
		t.Errorf("%+v", d)
	}
	filetest.WantFile(t, dir+"/d/file", "one", 0o644)

	filetest.Write(t, dir+"/d/file", "mine")
	person(t, dir+"/d", "commit", "-aqm", "mine")
	filetest.WantError(t, h, at(second, ""), "was checked out by somebody else and is not in what comes")
	filetest.Settle(t, h, at(second, ", force: true"))
	filetest.WantFile(t, dir+"/d/file", "two", 0o644)

	// A branch that somebody checked out, which is in what comes.
	person(t, dir+"/d", "checkout", "-q", "-b", "mine", first)
	filetest.WantDiff(t, filetest.Settle(t, h, at(second, "")), "update commit")

	// Another's folder.
	os.MkdirAll(dir+"/full/x", 0o755)
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/full, repository: DIR/repo}"), "has something in it that is no checkout")
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/full, state: absent}"), "in it is something that is no checkout")
	filetest.Write(t, dir+"/plain", "")
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/plain, repository: DIR/repo}"), "plain is a file, not a folder with a checkout")
}

// A run that was killed left locks, and files of a checkout that was done in part.
func TestGitCutOff(t *testing.T) {
	needGit(t)
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	_, first, second := repository(t, dir)
	filetest.Settle(t, h, resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: "+first+"}"))
	filetest.Write(t, dir+"/d/.git/steer-unfinished", second)
	filetest.Write(t, dir+"/d/.git/index.lock", "")
	filetest.Write(t, dir+"/d/.git/refs/steer/deployed.lock", "")
	filetest.Write(t, dir+"/d/file", "tw")
	filetest.WantDiff(t, filetest.Settle(t, h, resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: "+second+"}")), "update commit, checkout")
	filetest.WantFile(t, dir+"/d/file", "two", 0o644)

	// Cut off after init.
	os.RemoveAll(dir + "/d")
	os.Mkdir(dir+"/d", 0o755)
	person(t, dir+"/d", "init", "-q")
	filetest.Settle(t, h, resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: "+second+"}"))
	filetest.WantFile(t, dir+"/d/file", "two", 0o644)
}

func TestGitRunsNothingForeign(t *testing.T) {
	needGit(t)
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	_, first, second := repository(t, dir)
	filetest.Settle(t, h, resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: "+first+"}"))
	os.MkdirAll(dir+"/d/.git/hooks", 0o755)
	if err := os.WriteFile(dir+"/d/.git/hooks/post-checkout", []byte("#!/bin/sh\ntouch "+dir+"/ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	person(t, dir+"/d", "config", "core.fsmonitor", "touch "+dir+"/ran")
	os.Remove(dir + "/ran")
	filetest.Settle(t, h, resource(t, dir, "{dest: DIR/d, repository: DIR/repo, force: true, depth: 1, ref: "+second+"}"))
	if _, err := os.Lstat(dir + "/ran"); err == nil {
		t.Error("a program of the checkout was run")
	}
	person(t, dir+"/d", "config", "--unset", "core.fsmonitor")
	if n := person(t, dir+"/d", "rev-list", "--count", "HEAD"); n != "1" {
		t.Errorf("%s commits, want those of depth 1", n)
	}
	filetest.WantError(t, h, resource(t, dir, "{dest: DIR/e, repository: 'git://127.0.0.1:1/x'}"), "transport 'git' not allowed")
}

func TestGitAsUser(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		dir := "/srv"
		repository(t, dir)
		if out, err := h.Run(t.Context(), "chown", "-R", "daemon:", "/srv/repo"); err != nil {
			t.Fatal(out, err)
		}
		r := resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: main, user: daemon}")
		filetest.Settle(t, h, r)
		for _, p := range []string{"/srv/d", "/srv/d/file"} {
			if st, err := os.Stat(p); err != nil || st.Sys().(*syscall.Stat_t).Uid != 1 || st.Sys().(*syscall.Stat_t).Gid != 1 {
				t.Errorf("%s: %+v %v", p, st, err)
			}
		}
		filetest.WantDiff(t, filetest.Settle(t, h, r), "")
		filetest.WantError(t, h, resource(t, dir, "{dest: DIR/d, repository: DIR/repo, ref: v1}"), "the folder belongs to another user (write user:")
		late := resource(t, dir, "{dest: DIR/e, repository: DIR/repo, user: late}")
		d, err := late.Diff(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		filetest.WantDiff(t, d, "create commit")
		filetest.WantError(t, h, late, "there is no user late")
		orphan := resource(t, dir, "{dest: DIR/d, state: absent, user: gone}")
		filetest.WantError(t, h, orphan, "nobody can look at, since git or the user gone is not there (force: true removes it")
		filetest.Settle(t, h, r.(infra.Removable).Absent())
	})
}

func TestGitDeclarations(t *testing.T) {
	for text, want := range map[string]string{
		"{dest: /a}":                                              "repository: is missing",
		"{dest: a, repository: /x}":                               `dest: "a" is no absolute path`,
		"{dest: /a, repository: '--upload-pack=x'}":               "is no repository",
		"{dest: /a, repository: 'ext::sh -c x'}":                  "is no repository",
		"{dest: /a, repository: 'https://me:pass@example.com/x'}": "repository: has a password in it",
		"{dest: /a, repository: /x, ref: '-f'}":                   `ref: "-f" is no branch, tag or commit`,
		"{dest: /a, repository: /x, ref: 'a..b'}":                 "is no branch",
		"{dest: /a, repository: /x, depth: -1}":                   "depth: -1 is no number",
		"{dest: /a, repository: /x, keep: true}":                  "keep: is for state absent",
		"{dest: /a, repository: /x, key: \"a'b\"}":                "key: \"a'b\" has a character",
	} {
		if _, err := filetest.Decode(file.Kinds(), "git", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"{dest: /a, source: 'https://example.com/a.tar'}": "sha256: is missing (of what comes from the network",
		"{dest: /a, source: 'https:///a.tar', sha256: 0}": "is no SHA-256",
		"{dest: /a}":                       "source: is missing",
		"{dest: /a, source: x, strip: -1}": "strip: -1",
		"{dest: /a, data: '%'}":            "data: is not in base64",
		"{dest: /a, data: eA==, sha256: " + strings.Repeat("0", 64) + "}": "sha256: the archive has 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		"{dest: /a, source: x, creates: y}":                               "creates: \"y\" is no absolute path",
	} {
		if _, err := filetest.Decode(file.Kinds(), "archive", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
