package access

import (
	"fmt"

	"steer/base/fault"
	"steer/base/id"
)

// Role is what somebody may do. Each may do all that those before it may; the
// zero role may nothing.
type Role uint8

// The roles.
const (
	Viewer    Role = iota + 1 // look
	Developer                 // push, run pipelines, acknowledge
	Operator                  // deploy, roll back, approve, change definitions
	Admin                     // give and take access
)

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, fault.New(fault.Invalid, "unknown role %q (known: viewer, developer, operator, admin)", s)
}

// String is the name of the role.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Developer:
		return "developer"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "nobody"
}

// MarshalText writes the name of the role.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the name of a role.
func (r *Role) UnmarshalText(s []byte) (err error) {
	*r, err = ParseRole(string(s))
	return err
}

// Identity is somebody who showed a valid token.
type Identity struct {
	Name         id.Person               `json:"name"`
	Role         Role                    `json:"role"`                   // everywhere
	Environments map[id.Environment]Role `json:"environments,omitempty"` // more than Role, there

	token string // id of the token; sessions end with it
}

// MaySomewhere returns nil if the identity has at least the role in one
// environment or everywhere. Whoever lets somebody pass with it must ask May for the
// environment in question afterwards.
func (i Identity) MaySomewhere(role Role) error {
	for _, r := range i.Environments {
		if r >= role {
			return nil
		}
	}
	if i.May(role, "") == nil {
		return nil
	}
	return i.denied(role, "there")
}

// May returns nil if the identity has at least the role in an environment, with
// env "" everywhere, and otherwise an error of kind Denied that says what it takes.
func (i Identity) May(role Role, env id.Environment) error {
	has := i.Role
	if env != "" {
		has = max(has, i.Environments[env])
	}
	if has >= role {
		return nil
	}
	if env != "" {
		return fault.New(fault.Denied, "this needs the role %s in %s, and %s is %s there (ask an admin for a token with that role)", role, env, i.Name, has)
	}
	return i.denied(role, "everywhere")
}

func (i Identity) denied(role Role, where string) error {
	elsewhere := ""
	for _, e := range sorted(i.Environments) {
		elsewhere += fmt.Sprintf(", %s in %s", i.Environments[e], e)
	}
	return fault.New(fault.Denied, "this needs the role %s %s, and %s is %s%s (ask an admin for a token with that role)", role, where, i.Name, i.Role, elsewhere)
}
