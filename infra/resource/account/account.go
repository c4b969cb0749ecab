// Package account keeps the users, groups and login keys of a host.
package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"steer/base/fault"
	"steer/infra"
)

// class of all kinds here: users and groups do not change each other, and who needs
// whom is told by Gives and Needs.
const class = "accounts"

// Kinds lists the kinds of this package.
func Kinds() infra.Kinds {
	return infra.Kinds{userKind(), groupKind(), keyKind()}
}

const (
	present = "present"
	absent  = "absent"
)

func checkState(state string) error {
	if state != present && state != absent {
		return fault.New(fault.Invalid, "state: %q is not known (use present or absent)", state)
	}
	return nil
}

// checkName checks the name of a user or group: what every tool of every system
// takes. A name of digits would be taken for an ID.
func checkName(key, name string) error {
	ok := name != "" && len(name) <= 32 && !strings.ContainsAny(name[:1], "-.0123456789")
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-.", c))
	}
	if !ok {
		return fault.New(fault.Invalid, "%s: %q cannot be a name (use up to 32 of a-z 0-9 _ - . and start with a letter)", key, name)
	}
	return nil
}

// checkID checks a number of a user or group. The largest one means "none".
func checkID(key string, id *int) error {
	if id != nil && (*id < 0 || *id >= 1<<32-1) {
		return fault.New(fault.Invalid, "%s: %d is not from 0 to %d", key, *id, int64(1<<32-2))
	}
	return nil
}

// checkField checks what becomes a field of /etc/passwd.
func checkField(key, value string) error {
	if strings.ContainsAny(value, ":\n\r\x00") {
		return fault.New(fault.Invalid, "%s: a colon or a line break cannot stand in /etc/passwd", key)
	}
	return nil
}

// shadow is a line of /etc/shadow.
type shadow struct {
	hash    string
	expires string // days since 1970, empty: never
}

const shadowKey = "account shadow"

func readShadow(h *infra.Host) (map[string]shadow, error) {
	return infra.Memo(h, shadowKey, func() (map[string]shadow, error) {
		b, err := os.ReadFile("/etc/shadow")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read passwords: %w (comparing them needs root)", err)
		}
		all := map[string]shadow{}
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimRight(line, "\n"), ":")
			if _, twice := all[f[0]]; len(f) >= 8 && !twice {
				all[f[0]] = shadow{f[1], f[7]}
			}
		}
		return all, nil
	})
}

// change runs what changes accounts. One at a time: the tools lock the files, and
// wait a second whenever another has them. What is remembered of accounts is read
// anew before and afterwards.
func change(h *infra.Host, do func() error) error {
	one, err := infra.Memo(h, "account lock", func() (*sync.Mutex, error) { return &sync.Mutex{}, nil })
	if err != nil {
		return err
	}
	one.Lock()
	defer one.Unlock()
	forget(h)
	defer forget(h)
	return do()
}

func forget(h *infra.Host) {
	h.ForgetAccounts()
	h.Forget(shadowKey)
}

// usesBusybox tells whether only the tools of BusyBox are there. They make and
// remove; they change next to nothing.
func usesBusybox(h *infra.Host) bool { return !h.Has("useradd") && h.Has("adduser") }

// run runs one of the tools.
func run(ctx context.Context, h *infra.Host, args ...string) (infra.Output, error) {
	if !h.Has(args[0]) {
		return infra.Output{}, fmt.Errorf("this host has no program %s (install the package passwd, on other systems named shadow or shadow-utils)", args[0])
	}
	// Dates are days in UTC.
	return h.Exec(ctx, infra.Command{Args: args, Env: []string{"TZ=UTC"}})
}

// must is run for what has to end with 0.
func must(ctx context.Context, h *infra.Host, args ...string) error {
	out, err := run(ctx, h, args...)
	if err == nil && out.Code != 0 {
		err = refused(args[0], out)
	}
	return err
}

func refused(program string, out infra.Output) error {
	said := strings.TrimSpace(string(out.Stderr))
	return fmt.Errorf("%s ended with code %d: %s", program, out.Code, strings.TrimPrefix(said, program+": "))
}
