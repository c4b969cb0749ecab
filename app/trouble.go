package app

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra/fleet"
	"steer/monitor/state"
)

// open opens an incident about a host or a group, unless one is open.
// One after a deploy of a role, of which it is then an incident, may take that back.
func (k *keeper) open(ctx context.Context, tx *sql.Tx, t fleet.Trouble) error {
	i := state.Incident{Check: t.Key, Team: t.Owner, Environment: t.Env, Severity: t.Severity, Level: "CRITICAL", Title: t.Title, Summary: t.Summary, Cause: t.Cause}
	if len(t.Roles) > 0 {
		targets, err := k.fleet.Targets(ctx)
		if err != nil {
			return err
		}
		if deploys, _ := follows([]fleet.Declared{{Environment: t.Env, Piped: t.Roles}}, targets); len(deploys) > 0 {
			last := deploys[len(deploys)-1]
			i.Service, i.Version, i.Rollback = id.Service(last.Role), last.Version, t.Rollback
		}
	}
	_, err := k.monitor.checks.Open(ctx, tx, i)
	if fault.Of(err) == fault.Conflict {
		return nil
	}
	return err
}

// followed are incidents of a host, its group or its environment that were opened in
// some time.
func (k *keeper) followed(ctx context.Context, p fleet.Place, from, until time.Time) (numbers []int64, err error) {
	all, err := k.monitor.checks.Incidents(ctx, state.Filter{From: from, Until: until, Limit: 100})
	for _, i := range all {
		host := i.Check == "host/"+p.Host || strings.HasPrefix(i.Check, "drift/"+p.Host+"/") || strings.HasPrefix(i.Check, "erosion/"+p.Host+"/") || strings.HasPrefix(i.Check, strings.ReplaceAll(p.Host, ".", "-")+"-")
		if host || i.Check == "group/"+p.Group || p.Environment != "" && i.Environment == p.Environment {
			numbers = append(numbers, i.ID)
		}
	}
	return numbers, err
}

// close ends the incident about a host or a group, if there is one.
func (k *keeper) close(ctx context.Context, key, reason string) {
	all, err := k.monitor.checks.Incidents(ctx, state.Filter{State: state.Active, Check: key})
	for _, i := range all {
		_, err2 := k.monitor.checks.Resolve(ctx, i.ID, "steer", reason)
		err = errors.Join(err, err2)
	}
	if err != nil {
		k.log.Error("end incident", "about", key, "error", err)
	}
}
