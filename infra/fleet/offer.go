package fleet

import (
	"time"

	"steer/base/id"
)

// Offer is what people who are no operators may decide about hosts of an entry of
// hosts.yaml: its key self_service.
type Offer struct {
	Entry       string         `json:"entry"`
	Group       string         `json:"group"`
	Environment id.Environment `json:"environment,omitempty"`
	Number      int            `json:"number"` // of hosts that stay
	Least       int            `json:"least"`
	Most        int            `json:"most"`    // with those that are there for a time
	Removed     string         `json:"removed"` // what happens to hosts that are too many: keep or destroy
	Teams       []id.Team      `json:"teams"`   // who may
	Hosts       []string       `json:"hosts"`   // that stay
	Loans       []Loan         `json:"loans"`   // under way
	May         bool           `json:"may"`     // whoever asks
	Why         string         `json:"why,omitempty"`
}

// Loan is hosts that are there for a time.
type Loan struct {
	Name   string    `json:"name"`
	Entry  string    `json:"entry"` // that they are like
	Hosts  []string  `json:"hosts"`
	Until  time.Time `json:"until"`
	By     id.Person `json:"requested_by,omitempty"`
	Why    string    `json:"why,omitempty"`
	Commit string    `json:"commit,omitempty"` // that made it, in answers to who asked for it
}

// Lending is the wish for hosts for a time.
type Lending struct {
	Entry  string
	Name   string // empty: one is made up; that of a loan under way changes it
	Number int
	For    time.Duration
	Reason string
}
