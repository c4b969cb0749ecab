package account

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// User is an account in /etc/passwd.
type User struct {
	Name       string   `yaml:"name,omitempty" doc:"Login name."`
	State      string   `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	UID        *int     `yaml:"uid,omitempty" doc:"Number of the user; without it the next free one. A change gives the files in the home folder to the new number."`
	Group      string   `yaml:"group,omitempty" doc:"Primary group, which has to exist; without it a group of the user's name."`
	Groups     []string `yaml:"groups,omitempty" doc:"Other groups that the user is in."`
	Exact      bool     `yaml:"exact,omitempty" doc:"The listed groups are the only ones; else others stay."`
	Home       string   `yaml:"home,omitempty" doc:"Home folder; a change leaves the files where they are."`
	CreateHome *bool    `yaml:"create_home,omitempty" doc:"Make the home folder, with what is in /etc/skel, when it is missing; true unless system."`
	RemoveHome bool     `yaml:"remove_home,omitempty" doc:"With state absent: remove the home folder and the mail too, if they are the user's."`
	Shell      string   `yaml:"shell,omitempty" doc:"Login shell, like /bin/bash or /usr/sbin/nologin."`
	Comment    *string  `yaml:"comment,omitempty" doc:"Full name or purpose (the GECOS field)."`
	System     bool     `yaml:"system,omitempty" doc:"Take the number from the range for services. Counts when the user is made."`
	Password   string   `yaml:"password,omitempty" doc:"Hash of the password, as openssl passwd -6 prints it, or * for none, ! for not set yet. No diff shows it."`
	Locked     *bool    `yaml:"locked,omitempty" doc:"Refuse the password. Keys still work: expires 1970-01-02 shuts out both."`
	Expires    string   `yaml:"expires,omitempty" doc:"Last day of the account like 2027-01-31, or never."`
}

func userKind() infra.Kind {
	return infra.Kind{
		Name: "user", Key: "name", Class: class,
		Doc: "A user of the host, with groups, home folder, shell and password hash. Only what is written is compared; the rest stays as it is.",
		Example: `user: web
uid: 1500
groups: [adm]
shell: /bin/bash
comment: Web application
`,
		New: func() infra.Resource { return &User{} },
	}
}

// ID is the name.
func (u *User) ID() string { return u.Name }

// Check refuses what no host could do.
func (u *User) Check() error {
	errs := []error{checkName("name", u.Name), checkState(u.State), checkID("uid", u.UID), checkField("comment", u.comment())}
	if u.Group != "" {
		errs = append(errs, checkName("group", u.Group))
	}
	for i, g := range u.Groups {
		errs = append(errs, checkName("groups["+strconv.Itoa(i)+"]", g))
	}
	for key, p := range map[string]string{"home": u.Home, "shell": u.Shell} {
		errs = append(errs, checkField(key, p))
		if p != "" && (!path.IsAbs(p) || path.Clean(p) != p) {
			errs = append(errs, fault.New(fault.Invalid, "%s: %q is no absolute path", key, p))
		}
	}
	if u.Password != "" && u.Password != "*" && u.Password != "!" && (!strings.HasPrefix(u.Password, "$") || strings.Count(u.Password, "$") < 3 || strings.ContainsAny(u.Password, ":\n\r ")) {
		errs = append(errs, fault.New(fault.Invalid, "password: this is not the hash of a password (openssl passwd -6 makes one)"))
	}
	if _, err := u.expires(); err != nil {
		errs = append(errs, err)
	}
	if u.State == absent && u.Name == "root" {
		errs = append(errs, fault.New(fault.Invalid, "state: root cannot be removed"))
	}
	if u.RemoveHome && u.State != absent {
		errs = append(errs, fault.New(fault.Invalid, "remove_home: goes with state: absent only"))
	}
	return errors.Join(errs...)
}

func (u *User) comment() string {
	if u.Comment == nil {
		return ""
	}
	return *u.Comment
}

// expires is the date as /etc/shadow has it: days since 1970, empty for never.
func (u *User) expires() (string, error) {
	if u.Expires == "" || u.Expires == "never" {
		return "", nil
	}
	t, err := time.Parse(time.DateOnly, u.Expires)
	if err != nil || t.Unix() < 0 {
		return "", fault.New(fault.Invalid, "expires: %q is no day (write one like 2027-01-31, or never)", u.Expires)
	}
	return strconv.FormatInt(t.Unix()/86400, 10), nil
}

func day(days string) string {
	n, err := strconv.ParseInt(days, 10, 32)
	if err != nil {
		return "never"
	}
	return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
}

// Gives names the user. Not the group that is made with it: where a role declares that
// group, it gives it, and comes first.
func (u *User) Gives() []string {
	if u.State == absent {
		return nil
	}
	all := []string{"user:" + u.Name}
	if u.Home != "" && u.makesHome() {
		all = append(all, "path:"+u.Home)
	}
	return all
}

// Contends finds groups that want the user and are not on the only list of groups.
func (u *User) Contends(all []infra.Declared) (with int, thing string) {
	if !u.Exact || u.State == absent {
		return 0, ""
	}
	for i, d := range all {
		g, ok := d.Resource.(*Group)
		if ok && g.State != absent && slices.Contains(g.Members, u.Name) && u.primary() != g.Name && !slices.Contains(u.Groups, g.Name) {
			return i, "the groups of user " + u.Name
		}
	}
	return 0, ""
}

// primary is the user's own group, as far as the declaration tells.
func (u *User) primary() string { return cmp.Or(u.Group, u.Name) }

// Needs names the groups, and what the home folder stands in.
func (u *User) Needs() []string {
	if u.State == absent {
		return nil
	}
	all := []string{"group:" + u.primary()}
	for _, g := range u.Groups {
		all = append(all, "group:"+g)
	}
	if u.Home != "" {
		all = append(all, "path:"+path.Dir(u.Home))
	}
	return all
}

// Absent is the user gone; the home folder stays.
func (u *User) Absent() infra.Resource { return &User{Name: u.Name, State: absent} }

// Watch names the files that hold accounts.
func (u *User) Watch() []string { return []string{"/etc/passwd", "/etc/group", "/etc/shadow"} }

// Diff compares the lines of the user.
func (u *User) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	a, ok, err := h.User(u.Name)
	switch {
	case err != nil || !ok && u.State == absent:
		return d, err
	case u.State == absent:
		d.Action = infra.Delete
		return d, nil
	case !ok:
		d.Action = infra.Create
	}
	number := func(n int) string {
		if !ok {
			return ""
		}
		return strconv.Itoa(n)
	}
	if u.UID != nil && (!ok || a.UID != *u.UID) {
		d.Set("uid", number(a.UID), strconv.Itoa(*u.UID))
	}
	if u.Group != "" {
		g, there, _ := h.Group(u.Group)
		if old := ""; !ok || !there || g.GID != a.GID {
			if ok {
				old = h.GroupName(a.GID)
			}
			d.Set("group", old, u.Group)
		}
	}
	old, want, err := u.groups(h, a, ok)
	if err != nil {
		return d, err
	}
	if !slices.Equal(old, want) {
		d.Set("groups", strings.Join(old, ", "), strings.Join(want, ", "))
	}
	for _, f := range []struct{ name, old, want string }{{"home", a.Home, u.Home}, {"shell", a.Shell, u.Shell}} {
		if f.want != "" && f.old != f.want {
			d.Set(f.name, f.old, f.want)
		}
	}
	if u.Comment != nil && a.Gecos != *u.Comment {
		d.Set("comment", a.Gecos, *u.Comment)
	}
	if ok && u.makesHome() {
		switch is, err := os.Stat(u.home(a)); {
		case missing(u.home(a)):
			d.Set("create_home", "missing", u.home(a))
		case err != nil || !is.IsDir():
			d.Set("create_home", "no folder", u.home(a))
		}
	}
	return d, u.diffShadow(h, ok, &d)
}

// diffShadow compares what only root may read, if the role speaks of it.
func (u *User) diffShadow(h *infra.Host, there bool, d *infra.Diff) error {
	if u.Password == "" && u.Locked == nil && u.Expires == "" {
		return nil
	}
	all, err := readShadow(h)
	if err != nil {
		return err
	}
	s := all[u.Name]
	if hash := u.hash(s.hash); hash != s.hash || !there {
		was, is := strings.TrimPrefix(s.hash, "!"), strings.TrimPrefix(hash, "!")
		if u.Password != "" && was != is {
			d.Set("password", infra.Sensitive, infra.Sensitive)
		}
		if was, is := len(was) < len(s.hash), len(is) < len(hash); u.Locked != nil && was != is {
			d.Set("locked", strconv.FormatBool(was), strconv.FormatBool(is))
		}
	}
	if days, _ := u.expires(); u.Expires != "" && days != s.expires {
		d.Set("expires", day(s.expires), u.Expires)
	}
	return nil
}

// hash is the password field that /etc/shadow should have instead of the one it has.
// A leading ! refuses every password; without one there is nothing to unlock.
func (u *User) hash(old string) string {
	if old == "" && u.Password == "" && (u.Locked == nil || !*u.Locked) {
		return "" // needs no password, which is for others to judge
	}
	if old == "" {
		old = "!"
	}
	hash, lock := strings.TrimPrefix(old, "!"), strings.HasPrefix(old, "!")
	if u.Password != "" {
		if strings.Trim(hash, "!*") == "" {
			lock = false // was never set, which is no lock
		}
		hash = u.Password
	}
	if u.Locked != nil && strings.Trim(hash, "!") != "" {
		lock = *u.Locked
	}
	if lock {
		return "!" + hash
	}
	return hash
}

// groups lists the user's other groups as they are and as they should be, sorted.
func (u *User) groups(h *infra.Host, a infra.Account, there bool) (old, want []string, err error) {
	primary := u.Group
	if there && primary == "" {
		primary = h.GroupName(a.GID)
	}
	if there {
		if old, err = h.Groups(u.Name); err != nil {
			return nil, nil, err
		}
	}
	if !u.Exact {
		want = append(want, old...)
	}
	// A user is in the primary group without being listed there.
	not := func(g string) bool { return g == primary }
	for _, g := range u.Groups {
		if !not(g) {
			want = append(want, g)
		}
	}
	if u.Exact {
		old = slices.DeleteFunc(old, not)
	}
	slices.Sort(old)
	slices.Sort(want)
	return old, slices.Compact(want), nil
}

func (u *User) makesHome() bool {
	if u.CreateHome != nil {
		return *u.CreateHome
	}
	return !u.System
}

func (u *User) home(a infra.Account) string {
	if u.Home != "" {
		return u.Home
	}
	return a.Home
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}
