package place

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
)

// Access is who may do what. What is left empty is left as it is.
type Access struct {
	Owner string `yaml:"owner,omitempty" doc:"User that owns it, by name or number. A new one belongs to who runs Steer: root."`
	Group string `yaml:"group,omitempty" doc:"Group that owns it, by name or number."`
	Mode  Mode   `yaml:"mode,omitempty" doc:"Permissions as octal digits, like 0644. A new file gets 0644, a new folder 0755."`
}

// Mode is permissions as four octal digits, or empty.
type Mode string

// UnmarshalText reads three or four octal digits.
func (m *Mode) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "" {
		return nil
	}
	digits := strings.TrimPrefix(s, "0o")
	n, err := strconv.ParseUint(digits, 8, 12)
	if err != nil || len(digits) < 3 || len(digits) > 4 {
		way := "write four octal digits, like 0644"
		if strings.ContainsAny(s, "=+-rwx") {
			way = "rights as letters depend on what was there before: " + way + " for rw-r--r--"
		}
		return fmt.Errorf("%q are no permissions (%s)", s, way)
	}
	*m = modeOf(uint32(n))
	return nil
}

// AccessOf is who may do what with something that is there.
func AccessOf(h *infra.Host, st unix.Stat_t) Access {
	return Access{h.UserName(int(st.Uid)), h.GroupName(int(st.Gid)), modeOf(st.Mode)}
}

func modeOf(bits uint32) Mode { return Mode(fmt.Sprintf("%04o", bits&0o7777)) }

// bits are the permissions as a number; fallback when there are none.
func (m Mode) bits(fallback uint32) uint32 {
	if n, err := strconv.ParseUint(string(m), 8, 12); err == nil {
		return uint32(n)
	}
	return fallback
}

// Accounts names the owners as resources.
func (a Access) Accounts() []string {
	var all []string
	if a.Owner != "" {
		all = append(all, "user:"+a.Owner)
	}
	if a.Group != "" {
		all = append(all, "group:"+a.Group)
	}
	return all
}

// Same is the number of an owner or group that is left as it is.
const Same = -1

// owner is the number of a declared user; ok is false when there is none of the name.
func owner(h *infra.Host, name string) (uid int, ok bool, err error) {
	if name == "" {
		return Same, true, nil
	}
	a, ok, err := h.User(name)
	if ok || err != nil {
		return a.UID, ok, err
	}
	return number(name)
}

func group(h *infra.Host, name string) (gid int, ok bool, err error) {
	if name == "" {
		return Same, true, nil
	}
	g, ok, err := h.Group(name)
	if ok || err != nil {
		return g.GID, ok, err
	}
	return number(name)
}

// number reads an ID; -1 means none to the kernel.
func number(s string) (int, bool, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n < 1<<32-1, nil
}

// IDs are the numbers of the owners. Who is not there by now is an error.
func (a Access) IDs(h *infra.Host) (uid, gid int, err error) {
	uid, ok, err := owner(h, a.Owner)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "owner: there is no user %s (declare it: user: %s)", a.Owner, a.Owner)
	}
	if err != nil {
		return 0, 0, err
	}
	gid, ok, err = group(h, a.Group)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "group: there is no group %s (declare it: group: %s)", a.Group, a.Group)
	}
	return uid, gid, err
}

// Compare adds how what is there differs.
func (a Access) Compare(h *infra.Host, st unix.Stat_t, d *infra.Diff) error {
	uid, ok, err := owner(h, a.Owner)
	if err != nil {
		return err
	}
	if !ok || uid != Same && uid != int(st.Uid) {
		d.Set("owner", h.UserName(int(st.Uid)), a.Owner)
	}
	gid, ok, err := group(h, a.Group)
	if err != nil {
		return err
	}
	if !ok || gid != Same && gid != int(st.Gid) {
		d.Set("group", h.GroupName(int(st.Gid)), a.Group)
	}
	if is := st.Mode & 0o7777; a.Mode != "" && is != a.Mode.bits(0) {
		d.Set("mode", string(modeOf(is)), string(a.Mode))
	}
	return nil
}

// Declare adds what something new will have.
func (a Access) Declare(d *infra.Diff) {
	for _, f := range [][2]string{{"owner", a.Owner}, {"group", a.Group}, {"mode", string(a.Mode)}} {
		if f[1] != "" {
			d.Set(f[0], "", f[1])
		}
	}
}

// Give gives them to what stands at a place and is still the same as in st.
func (a Access) Give(h *infra.Host, p Place, st unix.Stat_t) error {
	uid, gid, err := a.IDs(h)
	if err != nil {
		return fmt.Errorf("change %s: %w", p.Path, err)
	}
	fd, err := unix.Openat(p.folder, p.name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return p.Failed("change", err)
	}
	defer unix.Close(fd)
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil {
		return p.Failed("change", err)
	}
	if now.Mode&unix.S_IFMT != st.Mode&unix.S_IFMT {
		return fault.New(fault.Conflict, "change %s: it became a %s in the meantime (run it again)", p.Path, TypeOf(now))
	}
	if uid != Same && uid != int(now.Uid) || gid != Same && gid != int(now.Gid) {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return p.Failed("change the owner of", err)
		}
	}
	// A change of the owner clears the set-user-ID bit, so the mode comes after it. A
	// descriptor without rights to read takes no fchmod, but its name in /proc does.
	if a.Mode != "" {
		if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), a.Mode.bits(0)); err != nil {
			return p.Failed("change the mode of", err)
		}
	}
	return nil
}
