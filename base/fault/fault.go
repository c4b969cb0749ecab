// Package fault sorts errors into the few kinds that callers act on, and maps
// each kind once to an HTTP status and to a process exit code.
package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind is what went wrong, as far as a caller can act on it.
type Kind uint8

// The kinds. Internal is every error that carries no kind.
const (
	Internal    Kind = iota // our mistake, or the machine's
	Invalid                 // the input is wrong; sending it again will not help
	NotFound                // the named thing does not exist
	Conflict                // the thing is in a state that forbids this now
	Denied                  // the caller may not do this
	Anonymous               // the caller did not say who they are
	TooMuch                 // a limit was reached
	Unavailable             // something this depends on does not answer; try again
)

var kinds = [...]struct {
	name   string
	status int
}{
	Internal:    {"internal", http.StatusInternalServerError},
	Invalid:     {"invalid", http.StatusBadRequest},
	NotFound:    {"not found", http.StatusNotFound},
	Conflict:    {"conflict", http.StatusConflict},
	Denied:      {"denied", http.StatusForbidden},
	Anonymous:   {"not logged in", http.StatusUnauthorized},
	TooMuch:     {"limit reached", http.StatusTooManyRequests},
	Unavailable: {"unavailable", http.StatusServiceUnavailable},
}

// String names the kind in prose.
func (k Kind) String() string { return kinds[k].name }

// Status is the HTTP status of the kind.
func (k Kind) Status() int { return kinds[k].status }

type fault struct {
	kind Kind
	err  error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// New returns an error of a kind. The text names the action, the object and the
// way out; %w wraps as in fmt.Errorf.
func New(kind Kind, format string, args ...any) error {
	return &fault{kind, fmt.Errorf(format, args...)}
}

// Of returns the kind of err: that of the outermost fault it wraps.
func Of(err error) Kind {
	var f *fault
	if errors.As(err, &f) {
		return f.kind
	}
	return Internal
}

// OfStatus is the kind that an HTTP status stands for, the inverse of Status,
// for clients.
func OfStatus(status int) Kind {
	for k, e := range kinds {
		if e.status == status {
			return Kind(k)
		}
	}
	if status >= 400 && status < 500 {
		return Invalid
	}
	return Internal
}

// Exit codes of the command line.
const (
	ExitOK    = 0
	ExitError = 1
	ExitUsage = 2
)

// Exit is the process exit code for err.
func Exit(err error) int {
	if err == nil {
		return ExitOK
	}
	var u *usage
	if errors.As(err, &u) {
		return ExitUsage
	}
	return ExitError
}

type usage struct{ error }

func (u *usage) Unwrap() error { return u.error }

// Usage marks err as a mistake in how a command was called (exit code 2).
func Usage(err error) error { return &usage{err} }
