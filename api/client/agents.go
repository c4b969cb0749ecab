package client

import (
	"context"
	"net/http"
	"net/url"

	"steer/api"
	"steer/infra/agent"
)

// The records of hosts that come by themselves.
type (
	Invitation = agent.Invitation
	HostAgent  = agent.Info
)

// InviteHost makes a token with which a host can join, once; it is shown only here.
func (c *Client) InviteHost(ctx context.Context, name, lasts string) (Invitation, error) {
	return Post[Invitation](ctx, c, "/api/v1/hosts/invitations", api.InviteRequest{Host: name, For: lasts})
}

// RevokeHost ends the identity of a host.
func (c *Client) RevokeHost(ctx context.Context, name string) error {
	return c.Do(ctx, http.MethodDelete, "/api/v1/hosts/agents/"+url.PathEscape(name), nil, nil)
}

// HostAgents is the hosts that come by themselves.
func (c *Client) HostAgents(ctx context.Context) ([]HostAgent, error) {
	return Get[[]HostAgent](ctx, c, "/api/v1/hosts/agents", nil)
}
