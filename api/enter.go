package api

import (
	"context"
	"net/http"

	"steer/base/access"
	"steer/infra/fleet"
)

// Enterer runs commands on hosts that nobody can log in to.
type Enterer interface {
	// EnterHost runs one to its end. It is an operator of the host's environment who may.
	EnterHost(ctx context.Context, who access.Identity, e fleet.Entry) (Entered, error)
}

// EnterRequest runs a command on a host that nobody can log in to.
type EnterRequest struct {
	Command []string `json:"command" minItems:"1" maxItems:"1000" doc:"Program with arguments, which runs as root; sh -c for more. The journal keeps it: no secrets."`
	Reason  string   `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; kept in the journal."`
}

// Entered is how a command ended.
type Entered struct {
	Code   int    `json:"code"`
	Stdout string `json:"stdout" doc:"Its end, at most 1 MiB. It is kept nowhere."`
	Stderr string `json:"stderr" doc:"Its end, at most 1 MiB."`
}

func (a *API) entering() {
	placed(a, http.MethodPost, "/fleet/hosts/{name}/enter", "enter-host", "Run a command on a host that nobody can log in to; it is made anew afterwards", operator,
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
			Body EnterRequest
		}) (Entered, error) {
			who, _ := caller(ctx)
			return a.o.Fleet.EnterHost(ctx, who, fleet.Entry{Host: in.Name, Command: in.Body.Command, Person: person(ctx), Reason: in.Body.Reason})
		})
}
