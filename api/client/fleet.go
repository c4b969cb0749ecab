package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"steer/api"
	"steer/infra/fleet"
)

// The records of hosts.
type (
	Fleet         = fleet.Overview
	FleetHost     = fleet.Host
	Habits        = fleet.Habits
	Erosion       = fleet.Erosion
	HostDetail    = fleet.Detail
	Visit         = fleet.Visit
	VisitChange   = fleet.Change
	History       = fleet.History
	Tonight       = fleet.Tonight
	FleetGroup    = fleet.Group
	Drift         = fleet.Drift
	Proposal      = fleet.Proposal
	VisitRequest  = api.VisitRequest
	PauseRequest  = api.PauseRequest
	ResumeRequest = api.ResumeRequest
	Offer         = fleet.Offer
	Loan          = fleet.Loan
	ScaleRequest  = api.ScaleRequest
	LoanRequest   = api.LoanRequest
	EnterRequest  = api.EnterRequest
	Entered       = api.Entered
)

// Fleet is all hosts, groups and pauses.
func (c *Client) Fleet(ctx context.Context) (Fleet, error) {
	return Get[Fleet](ctx, c, "/api/v1/fleet", nil)
}

// Host is one host with its drift, tests and history.
func (c *Client) Host(ctx context.Context, name string) (HostDetail, error) {
	return Get[HostDetail](ctx, c, "/api/v1/fleet/hosts/"+url.PathEscape(name), nil)
}

// EnterHost runs a command on a host that nobody can log in to.
func (c *Client) EnterHost(ctx context.Context, name string, r EnterRequest) (Entered, error) {
	return Post[Entered](ctx, c, "/api/v1/fleet/hosts/"+url.PathEscape(name)+"/enter", r)
}

// Visits are the newest visits to a host, or to all.
func (c *Client) Visits(ctx context.Context, host string, limit int) ([]Visit, error) {
	return Get[[]Visit](ctx, c, "/api/v1/fleet/visits", url.Values{"host": {host}, "limit": {strconv.Itoa(limit)}})
}

// Visit is one visit with its changes and tests.
func (c *Client) Visit(ctx context.Context, id string) (Visit, error) {
	return Get[Visit](ctx, c, "/api/v1/fleet/visits/"+url.PathEscape(id), nil)
}

// RequestVisits asks for visits, which go on after the call returns.
func (c *Client) RequestVisits(ctx context.Context, r VisitRequest) ([]Visit, error) {
	return Post[[]Visit](ctx, c, "/api/v1/fleet/visits", r)
}

// Tonight is what was done to hosts since a time.
func (c *Client) Tonight(ctx context.Context, from time.Time) (Tonight, error) {
	return Get[Tonight](ctx, c, "/api/v1/fleet/tonight", url.Values{"from": {from.UTC().Format(time.RFC3339)}})
}

// Pause keeps automation away from hosts.
func (c *Client) Pause(ctx context.Context, r PauseRequest) error {
	_, err := Post[api.Done](ctx, c, "/api/v1/fleet/pauses", r)
	return err
}

// Resume lets automation go on.
func (c *Client) Resume(ctx context.Context, r ResumeRequest) error {
	_, err := Post[api.Done](ctx, c, "/api/v1/fleet/resumes", r)
	return err
}

// DecideGroup agrees to a change of a group that waits, or refuses it.
func (c *Client) DecideGroup(ctx context.Context, group, commit string, agree bool, reason string) (FleetGroup, error) {
	return Post[FleetGroup](ctx, c, "/api/v1/fleet/decisions", api.DecisionRequest{Group: group, Commit: commit, Agree: agree, Reason: reason})
}

// AcceptDrift makes a drift the declaration; dryRun only shows the commit.
func (c *Client) AcceptDrift(ctx context.Context, id string, dryRun bool, reason string) (Proposal, error) {
	return Post[Proposal](ctx, c, "/api/v1/fleet/drifts/"+url.PathEscape(id)+"/accept", api.AcceptRequest{DryRun: dryRun, Reason: reason})
}

// Offers are the hosts of which people decide by themselves how many there are.
func (c *Client) Offers(ctx context.Context) ([]Offer, error) {
	return Get[[]Offer](ctx, c, "/api/v1/fleet/offers", nil)
}

// Scale sets how many hosts an entry has.
func (c *Client) Scale(ctx context.Context, r ScaleRequest) (Offer, error) {
	return Post[Offer](ctx, c, "/api/v1/fleet/scale", r)
}

// RequestHosts asks for hosts for a time.
func (c *Client) RequestHosts(ctx context.Context, r LoanRequest) (Loan, error) {
	return Post[Loan](ctx, c, "/api/v1/fleet/loans", r)
}

// ReturnHosts gives them back before.
func (c *Client) ReturnHosts(ctx context.Context, name, reason string) error {
	_, err := Post[api.Done](ctx, c, "/api/v1/fleet/returns", api.ReturnRequest{Name: name, Reason: reason})
	return err
}
