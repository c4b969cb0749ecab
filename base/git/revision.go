package git

import (
	"io/fs"
	"strings"

	"steer/base/fault"
)

// checkSHA accepts a full object name and nothing else.
func checkSHA(s string) error {
	if len(s) == 40 && strings.Trim(s, "0123456789abcdef") == "" {
		return nil
	}
	return fault.New(fault.Invalid, "commit %q: not a full commit id (40 hexadecimal digits)", s)
}

// checkRef accepts the names that git allows for refs, and none that git could
// take for an option or an expression.
func checkRef(name string) error {
	bad := func(why string) error { return fault.New(fault.Invalid, "branch %q: %s", name, why) }
	switch {
	case name == "":
		return bad("the name is empty")
	case len(name) > 200:
		return bad("the name is longer than 200 bytes")
	case strings.HasPrefix(name, "-"), name == "@", name == "HEAD":
		return bad("not a name for a branch")
	case strings.Contains(name, ".."), strings.Contains(name, "@{"), strings.HasSuffix(name, "."):
		return bad(`contains ".." or "@{", or ends in "."`)
	case strings.ContainsAny(name, " ~^:?*[\\"):
		return bad("contains a space or one of ~^:?*[\\")
	case strings.ContainsFunc(name, func(c rune) bool { return c < 0x20 || c == 0x7f || c == 0xfffd }):
		return bad("contains a control character")
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return bad(`a part between slashes is empty, starts with "." or ends in ".lock"`)
		}
	}
	return nil
}

// revision turns what callers name — a full commit id, "HEAD", a branch or a
// whole ref — into what git gets.
func revision(rev string) (string, error) {
	if rev == "HEAD" || checkSHA(rev) == nil {
		return rev, nil
	}
	if err := checkRef(rev); err != nil {
		return "", err
	}
	if strings.HasPrefix(rev, "refs/") {
		return rev, nil
	}
	return "refs/heads/" + rev, nil
}

// checkPath accepts clean relative paths with slashes that may stand in a tree.
func checkPath(path string) error {
	bad := !fs.ValidPath(path) || path == "." || len(path) > 4096 ||
		strings.ContainsFunc(path, func(c rune) bool { return c < 0x20 || c == 0x7f })
	for _, part := range strings.Split(path, "/") {
		bad = bad || strings.EqualFold(part, ".git")
	}
	if bad {
		return fault.New(fault.Invalid, "file %q: not a clean path inside a repository (like roles/web.yaml)", path)
	}
	return nil
}
