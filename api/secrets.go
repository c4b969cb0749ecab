package api

import (
	"context"
	"net/http"
)

// Recipient is the server's public key.
type Recipient struct {
	Recipient string `json:"recipient" doc:"age1…: whoever has it, or the age command with it, can encrypt a secret that only this server reads."`
}

// secrets tells what it takes to encrypt one. Plain ones never come to the server:
// they are files of the definitions, secrets/ENVIRONMENT/NAME.age.
func (a *API) secrets() {
	operation(a, http.MethodGet, "/secrets/recipient", "get-recipient", "The public key that secrets are encrypted for", viewer,
		func(context.Context, *none) (Recipient, error) { return Recipient{a.o.Recipient}, nil })
}
