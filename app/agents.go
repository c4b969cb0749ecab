package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
	"steer/infra/agent"
	"steer/infra/converge"
	"steer/infra/fleet"
)

// openAgents opens the registry of hosts that come by themselves.
func (a *App) openAgents(ctx context.Context) (err error) {
	program := cmp.Or(a.o.Program, "/proc/self/exe") // also when the file was replaced by a newer one
	a.agents, err = agent.New(ctx, agent.Options{DB: a.db, Journal: a.journal.Append, Program: program, Paused: a.paused, Reports: a.reported, Measured: a.monitor.from("agent"), Log: a.log})
	if err != nil {
		return err
	}
	a.group.Close("agents", a.agents.Close)
	a.group.Go("pauses of agents", a.agents.Run)
	return nil
}

// paused tells whether automation keeps away from a host.
func (a *App) paused(host id.Host) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	yes, err := a.keeper.fleet.Paused(ctx, string(host))
	if err != nil {
		a.log.Error("is a host paused", "host", host, "error", err)
	}
	return yes
}

// reported takes what a host tells by itself.
func (a *App) reported(ctx context.Context, host id.Host, all []agent.Report) error {
	var drifts []infra.Drift
	lost := 0
	for _, r := range all {
		lost += r.Lost
		if r.Drift != nil {
			drifts = append(drifts, *r.Drift)
		}
		if r.Run == nil {
			continue
		}
		data, err := json.Marshal(r.Run)
		if err != nil {
			return err
		}
		how := "is as declared"
		if r.Run.Failed {
			how = "is not as declared: " + strings.TrimSpace(r.Run.Error)
		}
		if _, err := a.journal.Record(ctx, event.Event{Source: "/steer/agent", Type: event.HostConvergedAlone, Subject: agent.Subject(host), Time: r.At, Data: data,
			Summary: fmt.Sprintf("%s converged by itself, since the server was gone, and %s", host, strings.TrimSuffix(how, ": "))}); err != nil {
			return err
		}
	}
	if len(drifts) == 0 && lost == 0 {
		return nil
	}
	return a.drifted(ctx, host, drifts, lost)
}

// saw lets the fleet heal what its policy says. NotFound: hosts.yaml does not have the
// host.
func (a *App) saw(ctx context.Context, host id.Host, d infra.Drift) error {
	if d.Action == infra.None {
		return a.keeper.fleet.Passed(ctx, string(host), d.Ref)
	}
	c := fleet.Change{Ref: d.Ref, Role: d.Role, Place: d.Place, Status: string(converge.Drifted), Action: string(d.Action), Drift: true}
	for _, hint := range d.Hints[:min(len(d.Hints), 10)] {
		c.Hints = append(c.Hints, strings.ToValidUTF8(hint[:min(len(hint), 1000)], ""))
	}
	for _, f := range d.Fields[:min(len(d.Fields), 50)] {
		c.Fields = append(c.Fields, fleet.Field{Name: f.Name, Old: cutText(f.Old), New: cutText(f.New), Text: cutText(f.Text)})
	}
	return a.keeper.fleet.Saw(ctx, string(host), c, d.Heal == "" || d.Heal == infra.HealDrift)
}

// mostDriftData bounds what the journal keeps of one report.
const mostDriftData = 200 << 10

// drifted tells the fleet what differs on a host, and writes it down of a host that is none of
// the fleet's.
func (a *App) drifted(ctx context.Context, host id.Host, drifts []infra.Drift, lost int) error {
	unknown := drifts[:0:0]
	for _, d := range drifts {
		switch err := a.saw(ctx, host, d); {
		case fault.Of(err) == fault.NotFound && d.Action == infra.None: // nobody knows of it
		case fault.Of(err) == fault.NotFound:
			unknown = append(unknown, d)
		case err != nil:
			return err
		}
	}
	if drifts = unknown; len(drifts) == 0 && lost == 0 {
		return nil
	}
	var refs []string
	for _, d := range drifts[:min(len(drifts), 5)] {
		refs = append(refs, d.Ref)
	}
	summary := fmt.Sprintf("%s drifted: %s", host, cmp.Or(strings.Join(refs, ", "), "nothing new is known"))
	if n := len(drifts) - len(refs); n > 0 {
		summary += fmt.Sprintf(" and %d more", n)
	}
	if lost > 0 {
		summary += fmt.Sprintf(" (%d earlier reports were lost while the server was gone)", lost)
	}
	data, err := json.Marshal(drifts)
	if err == nil && len(data) > mostDriftData {
		for i := range drifts { // the names of what differs have to do
			drifts[i].Fields = nil
		}
		if data, err = json.Marshal(drifts); len(data) > mostDriftData {
			data = nil
		}
	}
	if err != nil {
		return err
	}
	_, err = a.journal.Record(ctx, event.Event{Source: "/steer/agent", Type: event.HostDrifted, Subject: agent.Subject(host), Summary: summary, Data: data})
	return err
}
