package api

import (
	"context"
	"net/http"
	"strings"

	"steer/base/access"
	"steer/base/fault"
	"steer/base/id"
)

// TokenRequest names a new token's owner and rights.
type TokenRequest struct {
	Name         string   `json:"name" minLength:"1" doc:"Person or program; it is the author in the journal."`
	Role         string   `json:"role" enum:"viewer,developer,operator,admin" doc:"What it may do."`
	Environments []string `json:"environments,omitempty" doc:"Only there; empty: everywhere. Elsewhere it may look."`
}

// NewToken is shown once.
type NewToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

func (a *API) tokens() {
	operation(a, http.MethodGet, "/tokens", "list-tokens", "Who has access", admin,
		func(ctx context.Context, _ *none) ([]access.Token, error) {
			all, err := a.o.Access.List(ctx)
			return list(all), err
		})
	operation(a, http.MethodPost, "/tokens", "create-token", "Give access to a person or program", admin,
		func(ctx context.Context, in *struct{ Body TokenRequest }) (NewToken, error) {
			role, err := access.ParseRole(in.Body.Role)
			if err != nil {
				return NewToken{}, err
			}
			name, err := id.Parse[id.Person]("person", in.Body.Name)
			if err != nil {
				return NewToken{}, fault.New(fault.Invalid, "%w", err)
			}
			var environments []id.Environment
			for _, e := range in.Body.Environments {
				env, err := id.Parse[id.Environment]("environment", strings.TrimSpace(e))
				if err != nil {
					return NewToken{}, fault.New(fault.Invalid, "%w", err)
				}
				environments = append(environments, env)
			}
			token, err := a.o.Access.Create(ctx, person(ctx), name, role, environments...)
			return NewToken{in.Body.Name, token}, err
		})
	operation(a, http.MethodDelete, "/tokens/{name}", "revoke-token", "Take access away", admin,
		func(ctx context.Context, in *struct {
			Name string `path:"name" doc:"Name of the token."`
		}) (Done, error) {
			return Done{true}, a.o.Access.Revoke(ctx, person(ctx), id.Person(in.Name))
		})
}
