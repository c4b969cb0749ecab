package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"steer/api"
	"steer/base/access"
	"steer/base/event"
	"steer/deliver/deploy"
	"steer/deliver/pipeline"
	"steer/improve/flow"
	"steer/improve/followup"
	"steer/improve/signs"
	"steer/monitor/state"
)

// The records of the API, under the names that users of the client need.
type (
	Now      = api.Now
	Service  = api.Service
	Artifact = api.Artifact
	Why      = api.Why
	NewToken = api.NewToken
	Event    = event.Event
	Run      = pipeline.Run
	Deploy   = deploy.Deploy
	Incident = state.Incident
	Status   = state.Status
	Figures  = flow.Figures
	Followup = followup.Followup
	Shares   = followup.Shares
	Share    = followup.Share
	Signs    = signs.Signs
	Token    = access.Token
)

// Parts of Signs.
type (
	Failures           = signs.Failures
	Reliability        = signs.Reliability
	EarlierReliability = signs.Earlier
	Element            = signs.Element
	Requests           = signs.Requests
	Changes            = signs.Changes
	MeasuredTimes      = signs.Times
	MeasuredShare      = signs.Share
)

// Now is the state of everything.
func (c *Client) Now(ctx context.Context) (Now, error) { return Get[Now](ctx, c, "/api/v1/now", nil) }

// Service is everything about one service.
func (c *Client) Service(ctx context.Context, name string) (Service, error) {
	return Get[Service](ctx, c, "/api/v1/services/"+url.PathEscape(name), nil)
}

// Deploy asks for a deploy; it goes on after the call returns.
func (c *Client) Deploy(ctx context.Context, artifact, environment, version, reason string, dryRun bool) (Deploy, error) {
	return Post[Deploy](ctx, c, "/api/v1/deploys", api.DeployRequest{Artifact: artifact, Environment: environment, Version: version, Reason: reason, DryRun: dryRun})
}

// DeployByID is the deploy with that number.
func (c *Client) DeployByID(ctx context.Context, id int64) (Deploy, error) {
	return Get[Deploy](ctx, c, "/api/v1/deploys/"+strconv.FormatInt(id, 10), nil)
}

// Deploys are the newest deploys of a service, or of all.
func (c *Client) Deploys(ctx context.Context, service, environment string, limit int) ([]Deploy, error) {
	return Get[[]Deploy](ctx, c, "/api/v1/deploys", url.Values{"service": {service}, "environment": {environment}, "limit": {strconv.Itoa(limit)}})
}

// Rollback goes back to an earlier version; "" is the one before.
func (c *Client) Rollback(ctx context.Context, service, environment, to, reason string) (Deploy, error) {
	return Post[Deploy](ctx, c, "/api/v1/rollbacks", api.RollbackRequest{Service: service, Environment: environment, To: to, Reason: reason})
}

// Upload sends a packed local version and returns its name.
func (c *Client) Upload(ctx context.Context, service string, archive io.Reader) (string, error) {
	body, err := c.send(ctx, http.MethodPost, "/api/v1/services/"+url.PathEscape(service)+"/local", "application/gzip", archive)
	if err != nil {
		return "", err
	}
	var out api.Uploaded
	return string(out.Version), decode(body, &out)
}

// Runs are the newest pipeline runs of a service, or of all.
func (c *Client) Runs(ctx context.Context, service string, limit int) ([]Run, error) {
	return Get[[]Run](ctx, c, "/api/v1/runs", url.Values{"service": {service}, "limit": {strconv.Itoa(limit)}})
}

// Run is the run with that number.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return Get[Run](ctx, c, "/api/v1/runs/"+url.PathEscape(id), nil)
}

// Decide approves or rejects a waiting stage.
func (c *Client) Decide(ctx context.Context, run, stage, verb, reason string) (Run, error) {
	return Post[Run](ctx, c, "/api/v1/runs/"+url.PathEscape(run)+"/stages/"+url.PathEscape(stage)+"/"+verb, api.Decision{Reason: reason})
}

// Retry runs again from the failed stage.
func (c *Client) Retry(ctx context.Context, run string) (Run, error) {
	return Post[Run](ctx, c, "/api/v1/runs/"+url.PathEscape(run)+"/retry", nil)
}

// StageLog is what a stage printed, until it is over with follow.
func (c *Client) StageLog(ctx context.Context, run, stage string, follow bool) (io.ReadCloser, error) {
	return c.Open(ctx, http.MethodGet, "/api/v1/runs/"+url.PathEscape(run)+"/stages/"+url.PathEscape(stage)+"/log"+following(follow), nil)
}

// NodeLog is what a node printed last, and from now on with follow.
func (c *Client) NodeLog(ctx context.Context, node string, follow bool) (io.ReadCloser, error) {
	return c.Open(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(node)+"/log"+following(follow), nil)
}

func following(follow bool) string {
	if follow {
		return "?follow=1"
	}
	return ""
}

// Incidents are the newest incidents.
func (c *Client) Incidents(ctx context.Context, open bool, limit int) ([]Incident, error) {
	return Get[[]Incident](ctx, c, "/api/v1/incidents", url.Values{"open": {strconv.FormatBool(open)}, "limit": {strconv.Itoa(limit)}})
}

// Incident is the incident with that number.
func (c *Client) Incident(ctx context.Context, id string) (Incident, error) {
	return Get[Incident](ctx, c, "/api/v1/incidents/"+url.PathEscape(id), nil)
}

// Acknowledge says that the caller takes care.
func (c *Client) Acknowledge(ctx context.Context, id, comment string) (Incident, error) {
	return Post[Incident](ctx, c, "/api/v1/incidents/"+url.PathEscape(id)+"/ack", api.Acknowledgement{Comment: comment})
}

// Followup is how far an incident is on the way to an improvement.
func (c *Client) Followup(ctx context.Context, id string) (Followup, error) {
	return Get[Followup](ctx, c, "/api/v1/incidents/"+url.PathEscape(id)+"/followup", nil)
}

// Followups are those in a state.
func (c *Client) Followups(ctx context.Context, state string, limit int) ([]Followup, error) {
	return Get[[]Followup](ctx, c, "/api/v1/followups", url.Values{"state": {state}, "limit": {strconv.Itoa(limit)}})
}

// Shares tell how the incidents of the last days ended.
func (c *Client) Shares(ctx context.Context, days int) (Shares, error) {
	return Get[Shares](ctx, c, "/api/v1/followups/shares", url.Values{"days": {strconv.Itoa(days)}})
}

// Learn gives or confirms the evidence of a step.
func (c *Client) Learn(ctx context.Context, id, step, ref, reason string) (Followup, error) {
	return Post[Followup](ctx, c, "/api/v1/incidents/"+url.PathEscape(id)+"/steps/"+url.PathEscape(step)+"/learn", api.Learned{Ref: ref, Reason: reason})
}

// Doubt says that what stands for a step is none.
func (c *Client) Doubt(ctx context.Context, id, step, reason string) (Followup, error) {
	return Post[Followup](ctx, c, "/api/v1/incidents/"+url.PathEscape(id)+"/steps/"+url.PathEscape(step)+"/doubt", api.Because{Reason: reason})
}

// Waive says that steps are not worth it.
func (c *Client) Waive(ctx context.Context, id string, steps []string, reason string) (Followup, error) {
	return Post[Followup](ctx, c, "/api/v1/incidents/"+url.PathEscape(id)+"/waive", api.Waiver{Steps: steps, Reason: reason})
}

// Why is the chain of events that a thing is part of: "incident/7", "catalog/b12".
func (c *Client) Why(ctx context.Context, ref string) (Why, error) {
	return Get[Why](ctx, c, "/api/v1/why?ref="+url.QueryEscape(ref), nil)
}

// Events reads the journal; see the API's reference for the query.
func (c *Client) Events(ctx context.Context, query url.Values) ([]Event, error) {
	return Get[[]Event](ctx, c, "/api/v1/events", query)
}

// Checks is the state of every check.
func (c *Client) Checks(ctx context.Context) ([]Status, error) {
	return Get[[]Status](ctx, c, "/api/v1/checks", nil)
}

// Flow is how changes flow and how failures are repaired.
func (c *Client) Flow(ctx context.Context, service, environment string, days int) (Figures, error) {
	return Get[Figures](ctx, c, "/api/v1/flow", url.Values{"service": {service}, "environment": {environment}, "days": {strconv.Itoa(days)}})
}

// Signs are the signs of doing well.
func (c *Client) Signs(ctx context.Context, team, environment string, days int) (Signs, error) {
	return Get[Signs](ctx, c, "/api/v1/signs", url.Values{"team": {team}, "environment": {environment}, "days": {strconv.Itoa(days)}})
}

// Tokens is who has access.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return Get[[]Token](ctx, c, "/api/v1/tokens", nil)
}

// CreateToken gives access; the token is shown only here.
func (c *Client) CreateToken(ctx context.Context, name, role string, environments []string) (NewToken, error) {
	return Post[NewToken](ctx, c, "/api/v1/tokens", api.TokenRequest{Name: name, Role: role, Environments: environments})
}

// RevokeToken takes access away.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.Do(ctx, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(name), nil, nil)
}

// Artifact is what was built of a version, which may be "latest".
func (c *Client) Artifact(ctx context.Context, service, version string) (Artifact, error) {
	return Get[Artifact](ctx, c, "/api/v1/artifacts/"+url.PathEscape(service)+"/"+url.PathEscape(version), nil)
}

// ArtifactFile is one of the files of an artifact.
func (c *Client) ArtifactFile(ctx context.Context, service, version, file string) (io.ReadCloser, error) {
	return c.Open(ctx, http.MethodGet, "/api/v1/artifacts/"+url.PathEscape(service)+"/"+url.PathEscape(version)+"/"+url.PathEscape(file), nil)
}
