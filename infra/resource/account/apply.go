package account

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"steer/infra"
)

// Apply makes, changes or removes the user.
func (u *User) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	return change(h, func() error {
		// Others may have been first: a package that makes its user, the group of a user.
		d, err := u.Diff(ctx, h)
		if err != nil {
			return err
		}
		switch d.Action {
		case infra.None:
			return nil
		case infra.Delete:
			return u.remove(ctx, h)
		case infra.Create:
			if err := u.create(ctx, h); err != nil {
				return err
			}
		default:
			if err := u.modify(ctx, h, d); err != nil {
				return err
			}
		}
		forget(h)
		a, ok, err := h.User(u.Name)
		if err != nil || !ok {
			return fmt.Errorf("the user %s is not in /etc/passwd after it was made: %v", u.Name, err)
		}
		if err := u.setPassword(ctx, h); err != nil {
			return err
		}
		if !u.makesHome() {
			return nil
		}
		if missing(a.Home) {
			return makeHome(a)
		}
		if is, err := os.Stat(a.Home); err != nil || !is.IsDir() {
			return fmt.Errorf("%s is no folder, and is to be the home of user %s (move it away, or say create_home: false)", a.Home, a.Name)
		}
		return nil
	})
}

func (u *User) create(ctx context.Context, h *infra.Host) error {
	if err := u.checkGroups(h); err != nil {
		return err
	}
	if err := u.checkFree(h); err != nil {
		return err
	}
	if usesBusybox(h) {
		return u.createBusybox(ctx, h)
	}
	args := []string{"useradd", "-M"} // the home folder is made afterwards: also when this is cut off
	group := u.Group
	if _, taken, _ := h.Group(u.Name); group == "" && taken {
		group = u.Name
	}
	if group == "" {
		args = append(args, "-U")
	}
	if u.System {
		args = append(args, "-r")
	}
	if len(u.Groups) > 0 {
		args = append(args, "-G", strings.Join(u.Groups, ","))
	}
	days, _ := u.expires()
	args = append(args, flags("-u", number(u.UID), "-g", group, "-d", u.Home, "-s", u.Shell, "-c", u.comment(), "-e", date(days))...)
	return must(ctx, h, append(args, u.Name)...)
}

// checkGroups says what to do about groups that nothing made.
func (u *User) checkGroups(h *infra.Host) error {
	for _, g := range append([]string{u.Group}, u.Groups...) {
		if g == "" {
			continue
		}
		if _, ok, err := h.Group(g); err != nil || !ok {
			if err == nil {
				err = fmt.Errorf("there is no group %s (declare it: - group: %s)", g, g)
			}
			return fmt.Errorf("user %s: %w", u.Name, err)
		}
	}
	return nil
}

func (u *User) checkFree(h *infra.Host) error {
	if u.UID == nil {
		return nil
	}
	if other := h.UserName(*u.UID); other != strconv.Itoa(*u.UID) && other != u.Name {
		return fmt.Errorf("uid %d of user %s is that of user %s already (give one of them another)", *u.UID, u.Name, other)
	}
	return nil
}

func (u *User) modify(ctx context.Context, h *infra.Host, d infra.Diff) error {
	if err := u.checkGroups(h); err != nil {
		return err
	}
	var args []string
	if d.Has("uid") {
		if err := u.checkFree(h); err != nil {
			return err
		}
		a, _, err := h.User(u.Name)
		if err == nil {
			err = u.idle(a)
		}
		if err != nil {
			return err
		}
		args = append(args, "-u", number(u.UID))
	}
	for _, f := range [][3]string{{"group", "-g", u.Group}, {"home", "-d", u.Home}, {"shell", "-s", u.Shell}, {"comment", "-c", u.comment()}} {
		if d.Has(f[0]) {
			args = append(args, f[1], f[2])
		}
	}
	if d.Has("expires") {
		days, _ := u.expires()
		args = append(args, "-e", date(days))
	}
	a, _, err := h.User(u.Name)
	if err != nil {
		return err
	}
	if usesBusybox(h) {
		return u.modifyBusybox(ctx, h, a, args)
	}
	if d.Has("groups") {
		_, want, err := u.groups(h, a, true)
		if err != nil {
			return err
		}
		args = append(args, "-G", strings.Join(want, ","))
	}
	if len(args) == 0 {
		return nil
	}
	return must(ctx, h, append(append([]string{"usermod"}, args...), u.Name)...)
}

func (u *User) remove(ctx context.Context, h *infra.Host) error {
	a, ok, err := h.User(u.Name)
	if err != nil || !ok {
		return err
	}
	if err := u.idle(a); err != nil {
		return err
	}
	args := []string{"userdel"}
	if usesBusybox(h) {
		args = []string{"deluser"}
		if u.RemoveHome {
			args = append(args, "--remove-home")
		}
	} else if u.RemoveHome {
		args = append(args, "-r")
	}
	out, err := run(ctx, h, append(args, u.Name)...)
	if err == nil && out.Code != 0 && (out.Code != keptHome || args[0] != "userdel") {
		err = refused(args[0], out)
	}
	return err
}

// keptHome is how userdel(8) ends when the user is gone and the home folder is not,
// since it is not the user's.
const keptHome = 12

// idle fails while the user has processes: they would go on under a number that is
// nobody's, or somebody else's later. The tools look too, and do not see them in
// containers.
func (u *User) idle(a infra.Account) error {
	if found := processes(a.UID); len(found) > 0 {
		return fmt.Errorf("user %s has running processes: %s (stop them first; under way, neither the number can change nor the user go)", u.Name, strings.Join(found, ", "))
	}
	return nil
}

// processes lists some of the processes of a user, without those in containers.
func processes(uid int) []string {
	all, _ := filepath.Glob("/proc/[0-9]*")
	here, _ := os.Stat("/")
	var found []string
	for _, dir := range all {
		b, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue
		}
		if root, err := os.Stat(dir + "/root"); err == nil && !os.SameFile(root, here) {
			continue
		}
		program := ""
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(line, ":")
			switch {
			case key == "Name":
				program = strings.TrimSpace(value)
			case key == "Uid" && slices.Contains(strings.Fields(value), strconv.Itoa(uid)):
				found = append(found, program+" ("+filepath.Base(dir)+")")
			}
		}
		if len(found) == 5 {
			break
		}
	}
	return found
}

// setPassword writes the hash by way of standard input: arguments are for everybody
// to see.
func (u *User) setPassword(ctx context.Context, h *infra.Host) error {
	if u.Password == "" && u.Locked == nil {
		return nil
	}
	all, err := readShadow(h)
	if err != nil {
		return err
	}
	old := all[u.Name].hash
	hash := u.hash(old)
	if hash == old {
		return nil
	}
	_, err = h.RunCommand(ctx, infra.Command{Args: []string{"chpasswd", "-e"}, Stdin: []byte(u.Name + ":" + hash + "\n")})
	return err
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func date(days string) string {
	if days == "" {
		return ""
	}
	return day(days)
}

// flags lists pairs of a flag and its value, without those that have no value.
func flags(pairs ...string) []string {
	var args []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			args = append(args, pairs[i], pairs[i+1])
		}
	}
	return args
}
