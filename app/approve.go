package app

import (
	"context"
	"slices"
	"strings"

	"steer/base/access"
	"steer/base/fault"
	"steer/base/id"
)

// mayApprove says whether a person may let a stage go on that these teams
// approve: a member of one of them, or an admin. Without teams it takes an
// operator of the environment.
func (a *App) mayApprove(who id.Person, teams []id.Team, env id.Environment) error {
	tokens, err := a.access.List(context.Background())
	if err != nil {
		return err
	}
	var identity access.Identity
	for _, t := range tokens {
		if t.Name == who {
			identity = access.Identity{Name: t.Name, Role: t.Role}
			if len(t.Environments) > 0 {
				identity = access.Identity{Name: t.Name, Role: access.Viewer, Environments: map[id.Environment]access.Role{}}
				for _, e := range t.Environments {
					identity.Environments[e] = t.Role
				}
			}
		}
	}
	if len(teams) == 0 {
		return identity.May(access.Operator, env)
	}
	if identity.May(access.Admin, env) == nil {
		return nil
	}
	var names []string
	for _, t := range teams {
		if slices.Contains(a.catalog.Load().Teams[t].Members, who) {
			return identity.May(access.Developer, env)
		}
		names = append(names, string(t))
	}
	return fault.New(fault.Denied, "%s may not approve this: it takes a member of %s (see teams.yaml) or an admin", who, strings.Join(names, " or "))
}
