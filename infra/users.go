package infra

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Account is a line of /etc/passwd.
type Account struct {
	Name        string
	UID, GID    int
	Gecos, Home string
	Shell       string
}

// Group is a line of /etc/group.
type Group struct {
	Name    string
	GID     int
	Members []string
}

// accountsKey is for Memo and Forget.
const accountsKey = "accounts"

type accounts struct {
	users  map[string]Account
	groups map[string]Group
}

// Accounts of the host are read from its files, not asked from a name service: what
// a role declares is local.
func (h *Host) accounts() (accounts, error) {
	return Memo(h, accountsKey, readAccounts)
}

// ForgetAccounts is for those that changed users or groups.
func (h *Host) ForgetAccounts() { h.Forget(accountsKey) }

// User finds a user; ok is false when there is none.
func (h *Host) User(name string) (a Account, ok bool, err error) {
	all, err := h.accounts()
	a, ok = all.users[name]
	return a, ok, err
}

// Group finds a group; ok is false when there is none.
func (h *Host) Group(name string) (g Group, ok bool, err error) {
	all, err := h.accounts()
	g, ok = all.groups[name]
	return g, ok, err
}

// UserName is the name of a user ID, or the number when no user has it.
func (h *Host) UserName(uid int) string {
	all, _ := h.accounts()
	best := strconv.Itoa(uid)
	for _, a := range all.users {
		if a.UID == uid && (best == strconv.Itoa(uid) || a.Name < best) {
			best = a.Name
		}
	}
	return best
}

// GroupName is the name of a group ID, or the number when no group has it.
func (h *Host) GroupName(gid int) string {
	all, _ := h.accounts()
	best := strconv.Itoa(gid)
	for _, g := range all.groups {
		if g.GID == gid && (best == strconv.Itoa(gid) || g.Name < best) {
			best = g.Name
		}
	}
	return best
}

// Groups lists the groups that have a user as a member, besides their own one.
func (h *Host) Groups(user string) ([]string, error) {
	all, err := h.accounts()
	var names []string
	for _, g := range all.groups {
		for _, m := range g.Members {
			if m == user {
				names = append(names, g.Name)
				break // a line may have somebody twice
			}
		}
	}
	return names, err
}

func readAccounts() (accounts, error) {
	all := accounts{map[string]Account{}, map[string]Group{}}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil && !os.IsNotExist(err) {
		return all, fmt.Errorf("read users: %w", err)
	}
	for line := range strings.Lines(string(passwd)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) != 7 {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if _, twice := all.users[f[0]]; err1 == nil && err2 == nil && !twice {
			all.users[f[0]] = Account{f[0], uid, gid, f[4], f[5], f[6]}
		}
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil && !os.IsNotExist(err) {
		return all, fmt.Errorf("read groups: %w", err)
	}
	for line := range strings.Lines(string(group)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) != 4 {
			continue
		}
		gid, err := strconv.Atoi(f[2])
		if _, twice := all.groups[f[0]]; err == nil && !twice {
			g := Group{Name: f[0], GID: gid}
			if f[3] != "" {
				g.Members = strings.Split(f[3], ",")
			}
			all.groups[f[0]] = g
		}
	}
	return all, nil
}

// lookUp finds what a program needs to run as a user.
func lookUp(name string) (*syscall.Credential, string, error) {
	all, err := readAccounts()
	if err != nil {
		return nil, "", err
	}
	a, ok := all.users[name]
	if !ok {
		return nil, "", fmt.Errorf("there is no user %q", name)
	}
	c := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	for _, g := range all.groups {
		for _, m := range g.Members {
			if m == name {
				c.Groups = append(c.Groups, uint32(g.GID))
			}
		}
	}
	return c, a.Home, nil
}
