package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra/fleet"
)

// Fleet is the unattended convergence of hosts.
type Fleet interface {
	Overview(context.Context) (fleet.Overview, error)
	Detail(ctx context.Context, host string) (fleet.Detail, error)
	Visits(context.Context, fleet.Filter) ([]fleet.Visit, error)
	Visit(ctx context.Context, number int64) (fleet.Visit, error)
	Tonight(ctx context.Context, from, until time.Time) (fleet.Tonight, error)
	Request(ctx context.Context, r fleet.Request, who id.Person, reason string) ([]fleet.Visit, error)
	Pause(context.Context, fleet.Pause) error
	Resume(ctx context.Context, scope, name string, who id.Person, reason string) error
	Propose(ctx context.Context, drift int64, commit bool, who id.Person, reason string) (fleet.Proposal, error)
	Roles(context.Context) ([]fleet.Role, error)
	Decide(ctx context.Context, group, commit string, agree bool, who id.Person, reason string) (fleet.Group, error)
	Lender
	Enterer
}

// VisitRequest asks for visits.
type VisitRequest struct {
	Hosts  []string `json:"hosts" minItems:"1" maxItems:"1000" doc:"Names of hosts or groups."`
	Kind   string   `json:"kind" enum:"plan,converge,heal,rebuild,rollback,stop,kill,freeze,cut,start,restart,destroy" doc:"plan compares only; heal puts the named resources right whatever they say about drift; kill, freeze and cut (off its network) stop a host as a failure would; destroy is for hosts that no definition has any more."`
	Refs   []string `json:"refs,omitempty" maxItems:"1000" doc:"Only these resources, like file:/etc/motd."`
	Commit string   `json:"commit,omitempty" doc:"Of the definitions; default: the one that the group follows."`
	To     int      `json:"to,omitempty" minimum:"0" doc:"Generation to go back to; default: the one before."`
	Reason string   `json:"reason,omitempty" maxLength:"1000" doc:"Why; kept in the journal."`
}

// PauseRequest keeps automation away.
type PauseRequest struct {
	Scope  string `json:"scope" enum:"all,group,host"`
	Name   string `json:"name,omitempty" maxLength:"200" doc:"Of the group or host."`
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; whoever wonders reads it."`
	For    string `json:"for,omitempty" doc:"How long, like 2h; default: until somebody ends it."`
}

// ResumeRequest ends a pause.
type ResumeRequest struct {
	Scope  string `json:"scope" enum:"all,group,host"`
	Name   string `json:"name,omitempty" maxLength:"200"`
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

// DecisionRequest agrees to a change that waits, or refuses it.
type DecisionRequest struct {
	Group  string `json:"group" minLength:"1"`
	Commit string `json:"commit" minLength:"7" doc:"That the plan was made for: another one is a conflict."`
	Agree  bool   `json:"agree"`
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

// AcceptRequest makes a drift the declaration.
type AcceptRequest struct {
	DryRun bool   `json:"dry_run,omitempty" doc:"Only show the commit."`
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it becomes the message of the commit."`
}

func (a *API) fleet() {
	f := a.o.Fleet
	operation(a, http.MethodGet, "/fleet", "get-fleet", "All hosts, groups and pauses", viewer,
		func(ctx context.Context, _ *none) (fleet.Overview, error) { return f.Overview(ctx) })
	operation(a, http.MethodGet, "/fleet/hosts/{name}", "get-host", "One host with its drift, tests and history", viewer,
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (fleet.Detail, error) {
			return f.Detail(ctx, in.Name)
		})
	operation(a, http.MethodGet, "/fleet/visits", "list-visits", "Visits to hosts, newest first", viewer,
		func(ctx context.Context, in *struct {
			Host  string    `query:"host" doc:"Only this host."`
			Group string    `query:"group" doc:"Only this group."`
			Kind  string    `query:"kind" doc:"Only this kind."`
			Since time.Time `query:"since" doc:"Only those since then."`
			Limit int       `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"At most so many."`
		}) ([]fleet.Visit, error) {
			all, err := f.Visits(ctx, fleet.Filter{Host: in.Host, Group: in.Group, Kind: in.Kind, Since: in.Since, Limit: in.Limit})
			return list(all), err
		})
	operation(a, http.MethodGet, "/fleet/visits/{id}", "get-visit", "One visit with its changes and tests", viewer,
		func(ctx context.Context, in *runInput) (fleet.Visit, error) { return f.Visit(ctx, in.ID) })
	operation(a, http.MethodGet, "/fleet/tonight", "get-tonight", "What was done to hosts in some time", viewer,
		func(ctx context.Context, in *struct {
			From  time.Time `query:"from" doc:"Default: twelve hours ago."`
			Until time.Time `query:"until" doc:"Default: now."`
		}) (fleet.Tonight, error) {
			if in.Until.IsZero() {
				in.Until = time.Now()
			}
			if in.From.IsZero() {
				in.From = in.Until.Add(-12 * time.Hour)
			}
			return f.Tonight(ctx, in.From, in.Until)
		})
	placed(a, http.MethodPost, "/fleet/visits", "visit", "Visit hosts now", developer,
		func(ctx context.Context, in *struct{ Body VisitRequest }) ([]fleet.Visit, error) {
			b := in.Body
			who, _ := caller(ctx)
			if err := f.May(ctx, who, b.Kind, b.Commit != "", b.Hosts); err != nil {
				return nil, err
			}
			return f.Request(ctx, fleet.Request{Hosts: b.Hosts, Kind: b.Kind, Refs: b.Refs, Commit: b.Commit, To: b.To}, person(ctx), b.Reason)
		})
	operation(a, http.MethodPost, "/fleet/pauses", "pause", "Keep automation away from hosts", operator,
		func(ctx context.Context, in *struct{ Body PauseRequest }) (Done, error) {
			p := fleet.Pause{Scope: in.Body.Scope, Name: in.Body.Name, Reason: strings.TrimSpace(in.Body.Reason), Person: person(ctx)}
			if in.Body.For != "" {
				d, err := time.ParseDuration(in.Body.For)
				if err != nil || d <= 0 {
					return Done{}, fault.New(fault.Invalid, "for: %q is no length of time (write 90m or 2h)", in.Body.For)
				}
				p.Until = time.Now().Add(d)
			}
			return Done{true}, f.Pause(ctx, p)
		})
	operation(a, http.MethodPost, "/fleet/resumes", "resume", "Let automation go on", operator,
		func(ctx context.Context, in *struct{ Body ResumeRequest }) (Done, error) {
			return Done{true}, f.Resume(ctx, in.Body.Scope, in.Body.Name, person(ctx), in.Body.Reason)
		})
	operation(a, http.MethodPost, "/fleet/decisions", "decide", "Agree to a change of hosts that waits, or refuse it", operator,
		func(ctx context.Context, in *struct{ Body DecisionRequest }) (fleet.Group, error) {
			b := in.Body
			return f.Decide(ctx, b.Group, b.Commit, b.Agree, person(ctx), b.Reason)
		})
	operation(a, http.MethodPost, "/fleet/drifts/{id}/accept", "accept-drift", "Change the definitions to what a host is", operator,
		func(ctx context.Context, in *struct {
			ID   int64 `path:"id"`
			Body AcceptRequest
		}) (fleet.Proposal, error) {
			return f.Propose(ctx, in.ID, !in.Body.DryRun, person(ctx), in.Body.Reason)
		})
	a.lending()
	a.entering()
	operation(a, http.MethodGet, "/fleet/roles", "list-roles", "Roles with their description and hosts", viewer,
		func(ctx context.Context, _ *none) ([]fleet.Role, error) {
			all, err := f.Roles(ctx)
			return list(all), err
		})
}
