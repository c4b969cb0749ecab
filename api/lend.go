package api

import (
	"context"
	"net/http"
	"time"

	"steer/base/access"
	"steer/base/fault"
	"steer/infra/fleet"
)

// Lender lets people decide how many hosts there are.
type Lender interface {
	// May tells whether somebody may ask for visits of a kind; unusual: to another commit
	// than the one that the hosts follow.
	May(ctx context.Context, who access.Identity, kind string, unusual bool, hosts []string) error
	Offers(ctx context.Context, who access.Identity) ([]fleet.Offer, error)
	Scale(ctx context.Context, who access.Identity, entry string, number int, reason string) (fleet.Offer, error)
	Lend(ctx context.Context, who access.Identity, r fleet.Lending) (fleet.Loan, error)
	Return(ctx context.Context, who access.Identity, name, reason string) error
}

// ScaleRequest sets how many hosts an entry has.
type ScaleRequest struct {
	Entry  string `json:"entry" minLength:"1" maxLength:"60" doc:"Of hosts.yaml, with self_service."`
	Number int    `json:"number" minimum:"0" maximum:"1000"`
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; it becomes the message of the commit."`
}

// LoanRequest asks for hosts for a time.
type LoanRequest struct {
	Entry  string `json:"entry" minLength:"1" maxLength:"60" doc:"Of hosts.yaml, with self_service: they are like its hosts."`
	Name   string `json:"name,omitempty" maxLength:"60" doc:"Their names begin with ENTRY-NAME; default: made up. The name of a request under way changes that one."`
	Number int    `json:"number,omitempty" minimum:"1" maximum:"1000" default:"1"`
	For    string `json:"for" doc:"How long, like 8h; at most 720h."`
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; it becomes the message of the commit."`
}

// ReturnRequest gives hosts back before their time is over.
type ReturnRequest struct {
	Name   string `json:"name" minLength:"1" maxLength:"60" doc:"Of the loan."`
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

func (a *API) lending() {
	f := a.o.Fleet
	operation(a, http.MethodGet, "/fleet/offers", "list-offers", "Hosts of which people decide by themselves how many there are", viewer,
		func(ctx context.Context, _ *none) ([]fleet.Offer, error) {
			who, _ := caller(ctx)
			return f.Offers(ctx, who)
		})
	placed(a, http.MethodPost, "/fleet/scale", "scale", "Set how many hosts an entry has, by a commit", developer,
		func(ctx context.Context, in *struct{ Body ScaleRequest }) (fleet.Offer, error) {
			who, _ := caller(ctx)
			return f.Scale(ctx, who, in.Body.Entry, in.Body.Number, in.Body.Reason)
		})
	placed(a, http.MethodPost, "/fleet/loans", "request-hosts", "Ask for hosts for a time, by a commit", developer,
		func(ctx context.Context, in *struct{ Body LoanRequest }) (fleet.Loan, error) {
			who, _ := caller(ctx)
			b := in.Body
			d, err := time.ParseDuration(b.For)
			if err != nil {
				return fleet.Loan{}, fault.New(fault.Invalid, "for: %q is no length of time (write 90m or 8h)", b.For)
			}
			return f.Lend(ctx, who, fleet.Lending{Entry: b.Entry, Name: b.Name, Number: b.Number, For: d, Reason: b.Reason})
		})
	placed(a, http.MethodPost, "/fleet/returns", "return-hosts", "Give hosts back before their time is over", developer,
		func(ctx context.Context, in *struct{ Body ReturnRequest }) (Done, error) {
			who, _ := caller(ctx)
			return Done{true}, f.Return(ctx, who, in.Body.Name, in.Body.Reason)
		})
}
