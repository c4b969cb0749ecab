package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"steer/infra"
)

// Group is a group in /etc/group.
type Group struct {
	Name    string   `yaml:"name,omitempty" doc:"Name of the group."`
	State   string   `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	GID     *int     `yaml:"gid,omitempty" doc:"Number of the group; without it the next free one. A change leaves the group of files as it is."`
	Members []string `yaml:"members,omitempty" doc:"Users who are in it. Or say so at the users, with groups."`
	Exact   bool     `yaml:"exact,omitempty" doc:"The listed members are the only ones; else others stay."`
	System  bool     `yaml:"system,omitempty" doc:"Take the number from the range for services. Counts when the group is made."`
}

func groupKind() infra.Kind {
	return infra.Kind{
		Name: "group", Key: "name", Class: class,
		Doc: "A group of users.",
		Example: `group: deployers
gid: 1600
members: [anna, ben]
exact: true
`,
		New: func() infra.Resource { return &Group{} },
	}
}

// ID is the name.
func (g *Group) ID() string { return g.Name }

// Check refuses what no host could do.
func (g *Group) Check() error {
	errs := []error{checkName("name", g.Name), checkState(g.State), checkID("gid", g.GID)}
	for i, m := range g.Members {
		errs = append(errs, checkName("members["+strconv.Itoa(i)+"]", m))
	}
	return errors.Join(errs...)
}

// Gives names the group.
func (g *Group) Gives() []string {
	if g.State == absent {
		return nil
	}
	return []string{"group:" + g.Name}
}

// Contends finds users who want to be in it and are not on the only list of members.
func (g *Group) Contends(all []infra.Declared) (with int, thing string) {
	if !g.Exact || g.State == absent {
		return 0, ""
	}
	for i, d := range all {
		u, ok := d.Resource.(*User)
		if ok && u.State != absent && slices.Contains(u.Groups, g.Name) && u.primary() != g.Name && !slices.Contains(g.Members, u.Name) {
			return i, "the members of group " + g.Name
		}
	}
	return 0, ""
}

// Needs names the members, but for the user of the group's name, who needs the group.
func (g *Group) Needs() []string {
	var all []string
	for _, m := range g.Members {
		if m != g.Name {
			all = append(all, "user:"+m)
		}
	}
	return all
}

// Absent is the group gone.
func (g *Group) Absent() infra.Resource { return &Group{Name: g.Name, State: absent} }

// Watch names the file that holds groups.
func (g *Group) Watch() []string { return []string{"/etc/group"} }

// Diff compares the line of the group.
func (g *Group) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	is, ok, err := h.Group(g.Name)
	switch {
	case err != nil || !ok && g.State == absent:
		return d, err
	case g.State == absent:
		d.Action = infra.Delete
		return d, nil
	case !ok:
		d.Action = infra.Create
	}
	if g.GID != nil && (!ok || is.GID != *g.GID) {
		old := ""
		if ok {
			old = strconv.Itoa(is.GID)
		}
		d.Set("gid", old, strconv.Itoa(*g.GID))
	}
	if old, want := g.members(h, is); !slices.Equal(old, want) {
		d.Set("members", strings.Join(old, ", "), strings.Join(want, ", "))
	}
	return d, nil
}

// members lists the members as they are and as they should be, sorted. The user of the
// group's name is in it without being listed, once there.
func (g *Group) members(h *infra.Host, is infra.Group) (old, want []string) {
	old = slices.Compact(slices.Sorted(slices.Values(is.Members)))
	for _, m := range g.Members {
		if a, ok, _ := h.User(m); m == g.Name && (!ok || a.GID == is.GID) && !slices.Contains(old, m) {
			continue
		}
		want = append(want, m)
	}
	if !g.Exact {
		want = append(want, old...)
	}
	slices.Sort(want)
	return old, slices.Compact(want)
}

// Apply makes, changes or removes the group.
func (g *Group) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	return change(h, func() error {
		d, err := g.Diff(ctx, h) // a user may have been first, who made it
		switch {
		case err != nil || d.Empty():
			return err
		case d.Action == infra.Delete:
			return g.remove(ctx, h)
		case d.Has("gid"):
			if other := h.GroupName(*g.GID); other != strconv.Itoa(*g.GID) && other != g.Name {
				return fmt.Errorf("gid %d of group %s is that of group %s already (give one of them another)", *g.GID, g.Name, other)
			}
		}
		if d.Action == infra.Create {
			if err := g.create(ctx, h); err != nil {
				return err
			}
		} else if d.Has("gid") {
			if usesBusybox(h) {
				return fmt.Errorf("BusyBox cannot change the number of group %s (install the package shadow, which has groupmod)", g.Name)
			}
			if err := must(ctx, h, "groupmod", "-g", number(g.GID), g.Name); err != nil {
				return err
			}
		}
		if d.Has("members") {
			return g.setMembers(ctx, h)
		}
		return nil
	})
}

func (g *Group) create(ctx context.Context, h *infra.Host) error {
	if usesBusybox(h) {
		args := []string{"addgroup"}
		if g.System {
			args = append(args, "-S")
		}
		return must(ctx, h, append(append(args, flags("-g", number(g.GID))...), g.Name)...)
	}
	args := []string{"groupadd"}
	if g.System {
		args = append(args, "-r")
	}
	return must(ctx, h, append(append(args, flags("-g", number(g.GID))...), g.Name)...)
}

func (g *Group) setMembers(ctx context.Context, h *infra.Host) error {
	for _, m := range g.Members {
		if _, ok, err := h.User(m); err != nil || !ok && m != g.Name {
			if err == nil {
				err = fmt.Errorf("there is no user %s (declare it: - user: %s)", m, m)
			}
			return fmt.Errorf("members of group %s: %w", g.Name, err)
		}
	}
	forget(h)
	is, _, err := h.Group(g.Name)
	if err != nil {
		return err
	}
	old, want := g.members(h, is)
	if !usesBusybox(h) {
		// Whoever is listed and no user any more, gpasswd would not take.
		want = slices.DeleteFunc(want, func(m string) bool { _, ok, _ := h.User(m); return !ok })
		return must(ctx, h, "gpasswd", "-M", strings.Join(want, ","), g.Name)
	}
	for _, m := range want {
		if !slices.Contains(old, m) {
			if err := must(ctx, h, "addgroup", m, g.Name); err != nil {
				return err
			}
		}
	}
	for _, m := range old {
		if !slices.Contains(want, m) {
			if err := must(ctx, h, "delgroup", m, g.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Group) remove(ctx context.Context, h *infra.Host) error {
	program := "groupdel"
	if usesBusybox(h) {
		program = "delgroup"
	}
	out, err := run(ctx, h, program, g.Name)
	switch {
	case err != nil || out.Code == 0:
		return err
	case out.Code == 8:
		return fmt.Errorf("group %s is the primary group of a user: %s (remove the user first, or give them another group)", g.Name, strings.TrimSpace(string(out.Stderr)))
	}
	return refused(program, out)
}
