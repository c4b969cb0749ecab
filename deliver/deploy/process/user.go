package process

import (
	"cmp"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"steer/base/fault"
)

// login is the user of a node.
type login struct {
	credential syscall.Credential
	env        map[string]string // HOME and USER
}

// login finds the user of a node by its name, or as UID or UID:GID; nil: the one
// that this process has.
func (d *Driver) login(name string) (*login, error) {
	if os.Geteuid() != 0 {
		if name == "" {
			return nil, nil
		}
		return nil, fault.New(fault.Denied, "run as user %s: only root can (leave run.user out, or run Steer as root)", name)
	}
	if name = cmp.Or(name, d.o.User); name == "" {
		return nil, nil
	}
	wrong := fault.New(fault.Invalid, "run as user %s: there is none on this host (make it with a role, or name another as run.user)", name)
	first, second, pair := strings.Cut(name, ":")
	u, err := user.Lookup(first)
	if err != nil {
		if _, e := strconv.ParseUint(first, 10, 32); e != nil {
			return nil, wrong
		}
		if u, err = user.LookupId(first); err != nil {
			u = &user.User{Uid: first, Gid: first, Username: first, HomeDir: "/"}
		}
	}
	if pair {
		u.Gid = second
		if g, err := user.LookupGroup(second); err == nil {
			u.Gid = g.Gid
		}
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return nil, wrong
	}
	l := &login{env: map[string]string{"HOME": u.HomeDir, "USER": u.Username}, credential: syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if more, err := u.GroupIds(); err == nil && !pair { // a user without a name has none
		for _, g := range more {
			if n, err := strconv.ParseUint(g, 10, 32); err == nil {
				l.credential.Groups = append(l.credential.Groups, uint32(n))
			}
		}
	}
	return l, nil
}
