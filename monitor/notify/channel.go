package notify

import (
	"context"
	"errors"
	"time"

	"steer/catalog"
)

// Channel delivers messages to addresses of one kind. Deliver returns nil when
// the receiver has taken the message. An error is tried again later, unless
// Refused says that this is of no use. Deliver is called concurrently.
type Channel interface {
	Deliver(ctx context.Context, d Delivery) error
}

// Delivery is one message on its way to one address.
type Delivery struct {
	ID      string // the same at each attempt
	Thread  string // ID of the message that opened the incident for this address
	Address string
	Message Message
	Attempt int // 1 is the first
}

// Kind is one way of telling people.
type Kind struct {
	Name string // "webhook", as in the journal
	Doc  string // what it does, for the reference

	// Address returns the address of this kind in a contact, "" if it has none.
	Address func(catalog.Contact) string
	// Show is the address as it may stand in the journal and in logs: webhook
	// addresses often hold a secret.
	Show    func(address string) string
	Channel Channel
}

type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// Refused marks an error after which trying again is of no use.
func Refused(err error) error { return refused{err} }

type later struct {
	error
	after time.Duration
}

func (l later) Unwrap() error { return l.error }

// Later marks an error after which the receiver asked to wait for so long.
func Later(after time.Duration, err error) error { return later{err, after} }

// IsRefused says whether err was marked by Refused.
func IsRefused(err error) bool {
	var r refused
	return errors.As(err, &r)
}

// Asked returns the time that Later marked err with.
func Asked(err error) (time.Duration, bool) {
	var l later
	ok := errors.As(err, &l)
	return l.after, ok
}
