package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"steer/base/event"
	"steer/base/id"
	"steer/infra"
	"steer/infra/agent"
)

// openAgents opens the registry of hosts that come by themselves.
func (a *App) openAgents(ctx context.Context) (err error) {
	program := a.o.Program
	if program == "" {
		program = "/proc/self/exe" // also when the file was replaced by a newer one
		if a.o.Program, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	}
	a.agents, err = agent.New(ctx, agent.Options{DB: a.db, Journal: a.journal.Append, Program: program, Reports: a.reported, Measured: a.monitor.from("agent"), Log: a.log})
	if err == nil {
		a.group.Close("agents", a.agents.Close)
	}
	return err
}

// reported takes what a host tells by itself.
func (a *App) reported(ctx context.Context, host id.Host, all []agent.Report) error {
	var drifts []infra.Drift
	lost := 0
	for _, r := range all {
		lost += r.Lost
		if r.Drift != nil && r.Drift.Action != infra.None { // else it is as declared again
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

// mostDriftData bounds what the journal keeps of one report.
const mostDriftData = 200 << 10

// drifted writes down what differs on a host.
func (a *App) drifted(ctx context.Context, host id.Host, drifts []infra.Drift, lost int) error {
	var refs []string
	for _, d := range drifts[:min(len(drifts), 5)] {
		refs = append(refs, d.Ref)
	}
	summary := fmt.Sprintf("%s drifted: %s", host, strings.Join(refs, ", "))
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
