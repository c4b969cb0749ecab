package account

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"steer/infra"
)

// createBusybox makes the user with BusyBox's tools, as Alpine has them.
func (u *User) createBusybox(ctx context.Context, h *infra.Host) error {
	if u.Expires != "" && u.Expires != "never" {
		return u.lacks("expires")
	}
	args := []string{"adduser", "-D", "-H"}
	if u.System {
		args = append(args, "-S")
	}
	group := u.Group
	if group == "" {
		group = u.Name
		if _, taken, _ := h.Group(group); !taken {
			g := &Group{Name: group, GID: u.UID, System: u.System}
			if err := g.create(ctx, h); err != nil {
				return err
			}
		}
	}
	args = append(args, flags("-u", number(u.UID), "-G", group, "-h", u.Home, "-s", u.Shell, "-g", u.comment())...)
	if err := must(ctx, h, append(args, u.Name)...); err != nil {
		return err
	}
	forget(h)
	a, _, err := h.User(u.Name)
	if err != nil {
		return err
	}
	return u.joinBusybox(ctx, h, a)
}

// modifyBusybox changes groups, the only thing for which BusyBox has tools.
func (u *User) modifyBusybox(ctx context.Context, h *infra.Host, a infra.Account, usermod []string) error {
	if len(usermod) > 0 {
		return u.lacks(strings.Join(usermod, " "))
	}
	return u.joinBusybox(ctx, h, a)
}

func (u *User) joinBusybox(ctx context.Context, h *infra.Host, a infra.Account) error {
	old, want, err := u.groups(h, a, true)
	if err != nil {
		return err
	}
	for _, g := range want {
		if !slices.Contains(old, g) {
			if err := must(ctx, h, "addgroup", u.Name, g); err != nil {
				return err
			}
		}
	}
	for _, g := range old {
		if !slices.Contains(want, g) {
			if err := must(ctx, h, "delgroup", u.Name, g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *User) lacks(what string) error {
	return fmt.Errorf("BusyBox cannot change this of user %s: %s (install the package shadow, which has usermod)", u.Name, what)
}
