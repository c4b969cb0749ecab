package git

import (
	"context"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"steer/base/fault"
)

// scpLike is ssh's short form: USER@HOST:PATH or HOST:PATH.
var scpLike = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^-:/\\ ][^: ]*$`)

// CheckURL says whether Fetch may be asked for a repository at this address:
// http, https, ssh (also as USER@HOST:PATH), file, or an absolute path.
func CheckURL(address string) error {
	bad := func(why string) error {
		return fault.New(fault.Invalid, "repository %q: %s (use https://…, ssh://…, USER@HOST:PATH or file:///…)", Redact(address), why)
	}
	if strings.ContainsFunc(address, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
		return bad("the address contains a control character")
	}
	if filepath.IsAbs(address) || scpLike.MatchString(address) {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return bad("not an address")
	}
	switch u.Scheme {
	case "http", "https", "ssh", "file":
	default:
		return bad("not a way to fetch")
	}
	if strings.Contains(address, " ") {
		return bad("the address contains a space (write %20)")
	}
	switch u.Scheme {
	case "http", "https", "ssh":
		if u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") {
			return bad("the address names no host")
		}
	case "file":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return bad("the address names no absolute path")
		}
	}
	return nil
}

// Redact hides the password in an address.
func Redact(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	if at := strings.LastIndex(address, "@"); at >= 0 && strings.Contains(address, "://") {
		return "…" + address[at:]
	}
	return address
}

// Fetch brings all branches of the repository at address into the mirror in
// dir, which it makes when absent. The mirror's branches are those of the other
// side, also after a rewrite of history. The error is fault.Unavailable when the
// other side does not answer or refuses.
func Fetch(ctx context.Context, address, dir string) (*Repo, error) {
	if err := CheckURL(address); err != nil {
		return nil, err
	}
	r, err := Init(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := r.Sweep(time.Minute); err != nil {
		return nil, err
	}
	hide := map[string]string{address: Redact(address)}
	if u, err := url.Parse(address); err == nil {
		if password, ok := u.User.Password(); ok && password != "" {
			hide[password] = "xxxxx"
		}
	}
	_, err = r.git(ctx, call{hide: hide, args: []string{
		"fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--update-head-ok", "--", address, "+refs/heads/*:refs/heads/*",
	}})
	if err != nil && strings.Contains(err.Error(), "dubious ownership") {
		// Git's own advice is about a configuration that is not read here.
		return nil, fault.New(fault.Unavailable, "fetch %s: the folder belongs to another user, which git does not trust: use an ssh or https address, or give the folder to the user that Steer runs as", Redact(address))
	}
	if code(err) > 0 {
		return nil, fault.New(fault.Unavailable, "fetch %s: %w", Redact(address), err)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}
