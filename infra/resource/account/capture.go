package account

import (
	"context"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Capture is the group that is there, with all its members.
func (g *Group) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	is, ok, err := h.Group(g.Name)
	if err != nil || !ok {
		return g.Absent(), err
	}
	members := slices.Compact(slices.Sorted(slices.Values(is.Members)))
	return &Group{Name: g.Name, State: present, GID: &is.GID, Members: members, Exact: true}, nil
}

// Capture is the user who is there, with all groups. The password, its lock and the last
// day are left out where the declaration does not speak of them, unless it removes the
// user.
func (u *User) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	a, ok, err := h.User(u.Name)
	if err != nil || !ok {
		return u.Absent(), err
	}
	groups, err := h.Groups(u.Name)
	if err != nil {
		return nil, err
	}
	group := h.GroupName(a.GID)
	groups = slices.DeleteFunc(groups, func(g string) bool { return g == group })
	slices.Sort(groups)
	is := &User{Name: u.Name, State: present, UID: &a.UID, Group: group, Groups: groups, Exact: true, Home: a.Home, Shell: a.Shell, Comment: &a.Gecos}
	if missing(a.Home) {
		is.CreateHome = new(bool)
	}
	if u.State == absent && group == u.Name {
		is.Group = "" // goes with the user, and comes with them
	}
	if u.State == present && u.Password == "" && u.Locked == nil && u.Expires == "" {
		return is, nil
	}
	all, err := readShadow(h)
	if err != nil {
		return nil, err
	}
	s, ok := all[u.Name]
	if !ok {
		return is, nil
	}
	is.Expires = day(s.expires)
	hash := strings.TrimLeft(s.hash, "!")
	locked := len(hash) < len(s.hash)
	switch {
	case s.hash == "":
		return nil, fault.New(fault.Conflict, "user %s had an empty password", u.Name)
	case hash == "":
		is.Password = "!" // never set
	default:
		is.Password, is.Locked = hash, &locked
	}
	return is, nil
}

// Rewrites is the file with the keys, which may hold others.
func (k *Key) Rewrites(h *infra.Host) (files []string, secret bool, err error) {
	a, ok, err := h.User(k.User)
	if err != nil || !ok {
		return nil, false, err
	}
	return []string{a.Home + "/" + sshFolder + "/" + keysName}, false, nil
}

// Capture is the declared keys of which the file has any, or with exact all in the file.
func (k *Key) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	a, ok, err := h.User(k.User)
	if err != nil {
		return nil, err
	}
	var is keyFile
	if ok {
		if is, err = readKeyFile(a); err != nil {
			return nil, err
		}
	}
	there, err := parseKeys(is.text)
	if err != nil && k.Exact {
		return nil, err
	}
	wanted := k.keys()
	var found []string
	for _, key := range there {
		if k.Exact || slices.ContainsFunc(wanted, key.same) {
			found = append(found, key.line())
		}
	}
	one := &Key{User: k.User, Key: strings.Join(found, "\n"), Exact: k.Exact, State: present}
	if len(found) == 0 && !k.Exact {
		return k.Absent(), nil
	}
	if one.want(is.text) != is.text {
		return nil, fault.New(fault.Conflict, "the keys of user %s have comments or blanks that a role would not write", k.User)
	}
	return one, nil
}
