package verify

import (
	"context"
	"slices"

	"steer/infra"
)

var userKind = Kind{
	Name:    "user",
	Doc:     "A user in /etc/passwd. groups are all that the user is in, with the own one.",
	Key:     "name",
	Example: "user: {name: www-data, uid: 33, groups: [www-data], home: /var/www, shell: {any: [/usr/sbin/nologin, /bin/false]}}",
	Stable:  []string{"exists", "uid", "groups", "home", "shell"},
	New:     func() Subject { return &user{} },
}

type user struct {
	Name   string `yaml:"name" doc:"Name of the user."`
	Exists *bool  `yaml:"exists" doc:"Whether there is such a user." default:"true"`
	UID    Number `yaml:"uid" doc:"Number of the user."`
	GID    Number `yaml:"gid" doc:"Number of the own group."`
	Groups Text   `yaml:"groups" doc:"Names of the groups."`
	Home   Text   `yaml:"home" doc:"Home directory."`
	Shell  Text   `yaml:"shell" doc:"Login shell."`
}

func (u *user) ID() string { return u.Name }

func (u *user) Check() error { return plainName("name", u.Name) }

func (u *user) Look(_ context.Context, h *infra.Host) (Found, error) {
	a, ok, err := h.User(u.Name)
	if err != nil || !ok {
		return Found{"exists": false}, err
	}
	groups, err := h.Groups(u.Name)
	if own := h.GroupName(a.GID); !slices.Contains(groups, own) {
		groups = append(groups, own)
	}
	slices.Sort(groups)
	return Found{"exists": true, "uid": a.UID, "gid": a.GID, "groups": groups, "home": a.Home, "shell": a.Shell}, err
}

var groupKind = Kind{
	Name:    "group",
	Doc:     "A group in /etc/group. members are those that the file lists, not the users whose own group it is.",
	Key:     "name",
	Example: "group: {name: adm, gid: 4, members: {only: [syslog]}}",
	Stable:  []string{"exists", "gid"},
	New:     func() Subject { return &group{} },
}

type group struct {
	Name    string `yaml:"name" doc:"Name of the group."`
	Exists  *bool  `yaml:"exists" doc:"Whether there is such a group." default:"true"`
	GID     Number `yaml:"gid" doc:"Number of the group."`
	Members Text   `yaml:"members" doc:"Names of the members."`
}

func (g *group) ID() string { return g.Name }

func (g *group) Check() error { return plainName("name", g.Name) }

func (g *group) Look(_ context.Context, h *infra.Host) (Found, error) {
	found, ok, err := h.Group(g.Name)
	if err != nil || !ok {
		return Found{"exists": false}, err
	}
	return Found{"exists": true, "gid": found.GID, "members": append([]string{}, found.Members...)}, nil
}
