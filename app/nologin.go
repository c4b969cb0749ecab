package app

import (
	"errors"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/account"
	"steer/infra/resource/login"
	"steer/infra/resource/service"
)

// hostKinds are what manifests for hosts may hold: those of roles, and what hosts.yaml
// says by itself.
func hostKinds() infra.Kinds { return append(resourceKinds(), login.Kind()) }

// closed adds to what a host should be that nobody can log in. What its roles declare to
// let people in is an error: one of both is a mistake.
func closed(m infra.Manifest, place string) (infra.Manifest, error) {
	var errs []error
	for _, d := range m.Resources {
		if what := letsIn(d.Resource); what != "" {
			errs = append(errs, fault.New(fault.Invalid, "%s: %s %s, and logging in is switched off (take it out there, or leave login: false and --no-login away)", d.Place, d.Ref(), what))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return m, err
	}
	m.Resources = append(slices.Clip(m.Resources), infra.Declared{Kind: "login", ID: "off", Resource: login.New(), Place: place})
	return m, nil
}

// letsIn says how a resource would let somebody log in, empty if it does not.
func letsIn(r infra.Resource) string {
	switch r := r.(type) {
	case *account.Key:
		if r.Key != "" && r.State != "absent" {
			return "lets a key in"
		}
	case *account.User:
		if strings.HasPrefix(r.Password, "$") && r.State != "absent" && (r.Locked == nil || !*r.Locked) {
			return "has a password"
		}
	case *service.Service:
		name, _, _ := strings.Cut(r.Name, ".")
		if slices.Contains([]string{"ssh", "sshd", "dropbear"}, name) && (r.State == "running" || r.Enabled != nil && *r.Enabled) {
			return "lets people in"
		}
	}
	return ""
}
