package infra

import (
	"context"
	"errors"
)

// Claimant is a resource that looks after things which others could look after too. Two
// that want one thing to be different would undo each other in every run, so that such
// roles are refused.
type Claimant interface {
	Claims() []Claim
}

// Claim is one such thing: its name, as in Related, and what the resource makes of it.
type Claim struct {
	Name string
	As   Share
}

// Share says who may look after the same thing.
type Share int

// The shares.
const (
	Alone  Share = iota // nobody else
	Folder              // a folder, as such: what is in it is a matter of others
	Tree                // a folder with much in it that has no names here: a checkout, an archive
	Rights              // a file, of which only owner and mode count
	Part                // lines of a file
)

// Beside tells whether two resources may have one thing.
func (s Share) Beside(other Share) bool {
	a, b := min(s, other), max(s, other)
	switch {
	case b == Part:
		return a == Part || a == Rights
	case b == Tree:
		return a == Tree || a == Folder
	}
	return a == Folder && b == Folder
}

// Contender is a resource that sees in others whether both would undo each other, where
// names of claims do not tell it: whether a list has somebody.
type Contender interface {
	// Contends finds the first such one among all resources of the host: its index, and
	// the thing about which they do, which is empty for none.
	Contends(all []Declared) (with int, thing string)
}

// Purger is a resource that removes from a folder what nobody declares. It has to know
// what others declare, also those that are not looked at in a run, and therefore is told
// where roles are compiled.
type Purger interface {
	// Purges is the folder, empty when nothing is removed.
	Purges() string
	// Spare tells the paths that others declare. Some lead into it by way of links.
	Spare(paths []string)
	// Gone lists the paths that are removed now, what is in a folder before the folder.
	// Before that each is captured, as a resource of the kind "file".
	Gone(ctx context.Context, h *Host) ([]string, error)
}

// ErrPurged is the error of Capture of a resource that is about to remove what nobody
// declares: there is no single declaration for all of it.
var ErrPurged = errors.New("what is removed because nobody declares it has no place in one declaration")
