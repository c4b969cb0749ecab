package host

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// SelfService lets people who are no operators decide about hosts of an entry.
type SelfService struct {
	By    []id.Team `yaml:"by" json:"by" doc:"Teams whose members may do it, if they are developers of the environment."`
	Least int       `yaml:"least" json:"least" doc:"Fewest hosts that number may be set to." default:"1"`
	Most  int       `yaml:"most" json:"most" doc:"Most hosts that there may be, together with those that are there for a time."`
}

// Check says what is wrong.
func (s *SelfService) Check() error {
	switch {
	case len(s.By) == 0:
		return fault.New(fault.Invalid, "by: is missing (name the teams, like [storefront])")
	case s.Least < 0 || s.Most < max(s.Least, 1) || s.Most > 1000:
		return fault.New(fault.Invalid, "least: %d and most: %d are no bounds (0 or more, then at most 1000)", s.Least, s.Most)
	}
	return nil
}

// like is an entry that is another one for a time.
func (e *Entry) like(name string, of Entry) *Entry {
	of.Number, of.Service, of.Removed = e.Number, nil, "destroy"
	of.Like, of.Until, of.RequestedBy, of.Reason = e.Like, e.Until, e.RequestedBy, e.Reason
	of.Group = cmp.Or(of.Group, name)
	return &of
}

// Named is an entry with its name. Those that are like another one are complete.
type Named struct {
	Name string
	Entry
}

// Hosts are the names of its hosts.
func (n Named) Hosts() []string { return n.names(n.Name) }

func (e *Entry) names(name string) (all []string) {
	if e.Number == 1 && e.Service == nil {
		return []string{name}
	}
	for i := range e.Number {
		all = append(all, fmt.Sprintf("%s-%d", name, i+1))
	}
	return all
}

// ReadEntries reads the entries of hosts.yaml, by name, also those without hosts.
func ReadEntries(files fs.FS) ([]Named, error) {
	_, entries, err := readInventory(files)
	return named(entries), err
}

func named(entries map[string]*Entry) (all []Named) {
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		all = append(all, Named{name, *entries[name]})
	}
	return all
}

// Over tells that the time of an entry is over.
func (e Entry) Over(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// Lasting are the hosts whose time is not over.
func Lasting(all []Host, now time.Time) []Host {
	return slices.DeleteFunc(slices.Clone(all), func(h Host) bool { return h.Over(now) })
}
