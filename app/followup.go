package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/catalog"
	"steer/improve/followup"
	"steer/infra/fleet"
	"steer/monitor/notify"
	"steer/monitor/state"
)

// openFollowups opens what leads incidents to improvements. It looks at all that
// comes before it.
func (a *App) openFollowups(ctx context.Context) (err error) {
	a.learn.followups, err = followup.New(ctx, followup.Options{
		Config: a.o.Followup, DB: a.db, Journal: a.journal, Log: a.log,
		Incident: func(ctx context.Context, number int64) (followup.Incident, error) {
			i, err := a.monitor.checks.Incident(ctx, number)
			if err != nil {
				return followup.Incident{}, err
			}
			return a.followed(ctx, i)
		},
		Checks: a.watched,
		Remind: a.remind,
	})
	if err != nil {
		return err
	}
	a.group.Go("follow-ups", a.learn.followups.Run)
	return nil
}

// followed is what follow-ups have to know of an incident.
func (a *App) followed(ctx context.Context, i state.Incident) (followup.Incident, error) {
	out := followup.Incident{
		Number: i.ID, Title: i.Title, Check: i.Check, ByCheck: i.Query != "", Level: i.Level, Service: i.Service, Environment: i.Environment, Team: i.Team,
		Version: i.Version, Began: i.Began, Opened: i.Opened, ResolvedBy: i.ResolvedBy, Reason: i.ResolveReason, Event: i.Event, Cause: i.Cause, Chain: i.Chain,
	}
	if i.Resolved != nil {
		out.Resolved = *i.Resolved
	}
	if i.Service != "" && i.Version != "" {
		made, err := a.deliver.artifacts.Get(ctx, i.Service, i.Version)
		if err != nil && fault.Of(err) != fault.NotFound {
			return out, err
		}
		out.Commit = made.Commit
	}
	var err error
	if out.Hosts, err = a.hostsOf(ctx, i); err != nil || len(out.Hosts) == 0 {
		return out, err
	}
	d, err := a.keeper.fleet.Detail(ctx, out.Hosts[0])
	if err != nil && fault.Of(err) != fault.NotFound { // it may be gone since
		return out, err
	}
	out.Roles = d.Host.Roles
	return out, nil
}

// mostHosts bounds the hosts of a group whose visits may be evidence.
const mostHosts = 50

// hostsOf names the hosts that an incident is about.
func (a *App) hostsOf(ctx context.Context, i state.Incident) (names []string, err error) {
	kind, rest, _ := strings.Cut(i.Check, "/")
	name, _, _ := strings.Cut(rest, "/")
	switch {
	case i.Service != "":
		return nil, nil
	case i.Query == "" && (kind == "host" || kind == "drift" || kind == "erosion"):
		return []string{name}, nil
	case i.Query == "" && kind == "group":
		visits, err := a.keeper.fleet.Visits(ctx, fleet.Filter{Group: name, Since: i.Began.Add(-time.Hour), Limit: 500})
		for _, v := range visits {
			if !slices.Contains(names, v.Host) && len(names) < mostHosts {
				names = append(names, v.Host)
			}
		}
		return names, err
	case i.Query == "":
		return nil, nil
	}
	// A check of a role: which host has it?
	hosts, err := a.keeper.fleet.Checks(ctx)
	for host, b := range hosts {
		var checks []catalog.Check
		if json.Unmarshal(b, &checks) == nil && slices.ContainsFunc(checks, func(c catalog.Check) bool { return state.Key(c) == i.Check }) {
			return []string{host}, err
		}
	}
	return nil, err
}

// watched are the checks, and how long each needs to see a fault.
func (a *App) watched() (all []followup.Watched) {
	for _, s := range a.monitor.checks.Statuses() {
		all = append(all, followup.Watched{Key: s.Key, Watch: s.Check.Window.Std() + s.Check.For.Std()})
	}
	return all
}

// remind tells a team, once and without alarm, that an incident has open steps.
func (a *App) remind(ctx context.Context, tx *sql.Tx, i followup.Incident, f followup.Followup) error {
	if len(a.contacts(i.Team)) == 0 {
		return nil
	}
	full, err := a.monitor.checks.Incident(ctx, i.Number)
	if err != nil {
		return err
	}
	m := a.message(full, notify.Reminder)
	m.Severity, m.At, m.Reason, m.Changes = "info", time.Now(), f.Next, nil
	m.Summary = "The incident is over, and its cause may be there still. Steps open: " + strings.Join(f.Open(), ", ") + "."
	return a.monitor.notifier.Tell(ctx, tx, m)
}
