package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"steer/base/access"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/infra/fleet"
	"steer/infra/host"
)

// lender is the fleet for people: who may do what, and what they decide by commits.
type lender struct {
	*fleet.Fleet
	k *keeper
}

func (s lender) newest(ctx context.Context) (*declared, error) {
	commit, _ := s.k.definitions.Current()
	return s.k.at(ctx, commit)
}

// entry finds one by name; of further hosts for a time, the one that they are like.
func (d *declared) entry(name string) (host.Named, bool) {
	i := slices.IndexFunc(d.entries, func(e host.Named) bool { return e.Name == name && e.Like == "" })
	if i < 0 {
		return host.Named{}, false
	}
	return d.entries[i], true
}

// loans are the hosts of an entry that are there for a time.
func (d *declared) loans(entry string) (all []fleet.Loan) {
	for _, e := range d.entries {
		if e.Like != entry || e.Over(time.Now()) {
			continue
		}
		all = append(all, fleet.Loan{Name: e.Name, Entry: entry, Hosts: e.Hosts(), Until: e.Until, By: e.RequestedBy, Why: e.Reason})
	}
	return all
}

// allowed tells whether somebody may do something with hosts of an entry: an operator
// of their environment, or a developer there who is in one of the teams of self_service.
func (s lender) allowed(who access.Identity, d *declared, entry string, env id.Environment, byThemselves bool) error {
	operator := who.May(access.Operator, env)
	e, ok := d.entry(entry)
	if operator == nil || !ok || e.Service == nil || !byThemselves {
		return operator
	}
	if err := who.May(access.Developer, env); err != nil {
		return err
	}
	teams := s.k.catalog.Load().Teams
	var names []string
	for _, t := range e.Service.By {
		if slices.Contains(teams[t].Members, who.Name) {
			return nil
		}
		names = append(names, string(t))
	}
	return fault.New(fault.Denied, "%s may not do this with hosts of %s: it takes a member of %s (see teams.yaml) or an operator", who.Name, entry, strings.Join(names, " or "))
}

// May tells whether somebody may ask for visits of a kind to hosts or groups.
// unusual says that another commit is wanted than the one that they follow.
func (s lender) May(ctx context.Context, who access.Identity, kind string, unusual bool, names []string) error {
	d, err := s.newest(ctx)
	if err != nil {
		return err
	}
	byThemselves := !unusual && kind != fleet.Heal && kind != fleet.Back
	for _, name := range names {
		found := false
		for _, h := range d.hosts {
			if h.Name == name || h.Group == name {
				found = true
				if err := s.allowed(who, d, h.Item, h.Environment, byThemselves); err != nil {
					return err
				}
			}
		}
		if found {
			continue
		}
		var of fleet.Host // one that no definition has any more
		if detail, err := s.Detail(ctx, name); err == nil {
			of = detail.Host
		}
		if err := s.allowed(who, d, of.Entry, of.Environment, byThemselves); err != nil {
			return err
		}
	}
	return nil
}

// Offers are what whoever asks may decide, and what others may.
func (s lender) Offers(ctx context.Context, who access.Identity) ([]fleet.Offer, error) {
	d, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	all := []fleet.Offer{}
	for _, e := range d.entries {
		if e.Service != nil {
			all = append(all, s.offer(who, d, e))
		}
	}
	return all, nil
}

func (s lender) offer(who access.Identity, d *declared, e host.Named) fleet.Offer {
	o := fleet.Offer{Entry: e.Name, Group: e.Group, Environment: e.Environment, Number: e.Number, Least: e.Service.Least, Most: e.Service.Most, Removed: e.Removed, Teams: e.Service.By,
		Hosts: append([]string{}, e.Hosts()...), Loans: append([]fleet.Loan{}, d.loans(e.Name)...)}
	err := s.allowed(who, d, e.Name, e.Environment, true)
	if o.May = err == nil; err != nil {
		o.Why = err.Error()
	}
	return o
}

// mine finds an entry with self_service about which somebody may decide.
func (s lender) mine(who access.Identity, d *declared, name string) (host.Named, error) {
	e, ok := d.entry(name)
	switch {
	case !ok:
		return e, fault.New(fault.NotFound, "hosts.yaml has no entry %q", name)
	case e.Service == nil:
		return e, fault.New(fault.Invalid, "nobody may change by a command how many hosts %s has (add self_service: to its entry in hosts.yaml, or change number there)", name)
	}
	return e, s.allowed(who, d, name, e.Environment, true)
}

// change makes a commit to hosts.yaml; a push that comes between is no matter. edit
// returns no text when there is nothing to change.
func (s lender) change(ctx context.Context, who id.Person, edit func(d *declared, text []byte) (changed []byte, title string, err error), reason string) (commit string, err error) {
	for try := 1; ; try++ {
		sha, _ := s.k.definitions.Current()
		d, err := s.k.at(ctx, sha)
		if err != nil {
			return "", err
		}
		text, err := fs.ReadFile(d.files, host.InventoryFile)
		if err != nil {
			return "", fmt.Errorf("read hosts: %w", err)
		}
		changed, title, err := edit(d, text)
		if err != nil || changed == nil {
			return "", err
		}
		message := title
		if reason != "" {
			message += "\n\n" + reason
		}
		commit, err = s.k.definitions.Change(ctx, git.Change{Author: who, Message: message, Base: sha, Files: map[string][]byte{host.InventoryFile: changed}})
		if fault.Of(err) != fault.Conflict || try == 3 {
			return commit, err
		}
	}
}

// Scale sets how many hosts an entry has.
func (s lender) Scale(ctx context.Context, who access.Identity, entry string, number int, reason string) (fleet.Offer, error) {
	_, err := s.change(ctx, who.Name, func(d *declared, text []byte) ([]byte, string, error) {
		e, err := s.mine(who, d, entry)
		if err != nil {
			return nil, "", err
		}
		lent := 0
		for _, l := range d.loans(entry) {
			lent += len(l.Hosts)
		}
		switch {
		case number == e.Number:
			return nil, "", nil
		case number < e.Service.Least:
			return nil, "", fault.New(fault.Invalid, "scale %s to %d: at least %d stay (self_service of its entry in hosts.yaml)", entry, number, e.Service.Least)
		case number+lent > e.Service.Most:
			return nil, "", fault.New(fault.Invalid, "scale %s to %d: %s", entry, number, atMost(e, lent))
		}
		changed, err := host.SetNumber(text, entry, number)
		return changed, fmt.Sprintf("Scale %s from %d to %d", entry, e.Number, number), err
	}, reason)
	if err != nil {
		return fleet.Offer{}, err
	}
	d, err := s.newest(ctx)
	if err != nil {
		return fleet.Offer{}, err
	}
	e, err := s.mine(who, d, entry)
	if err != nil {
		return fleet.Offer{}, err
	}
	return s.offer(who, d, e), nil
}

func atMost(e host.Named, lent int) string {
	return fmt.Sprintf("there may be %d hosts at most; now %d stay, and %d are there for a time (self_service of its entry in hosts.yaml)", e.Service.Most, e.Number, lent)
}

// longest is how long hosts may be lent.
const longest = 30 * 24 * time.Hour

// Lend makes further hosts of an entry for a time, or changes those of the same name.
func (s lender) Lend(ctx context.Context, who access.Identity, r fleet.Lending) (loan fleet.Loan, err error) {
	if r.For < time.Minute || r.For > longest {
		return loan, fault.New(fault.Invalid, "request %s for %s: write a time from 1m to 720h", r.Entry, r.For)
	}
	if r.Name == "" {
		r.Name = strings.ToLower(rand.Text()[:5])
	} else if r.Name = strings.TrimPrefix(r.Name, r.Entry+"-"); !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,29}$`).MatchString(r.Name) {
		return loan, fault.New(fault.Invalid, "request %s: %q is no name (write up to 30 small letters, digits and -)", r.Entry, r.Name)
	}
	name := r.Entry + "-" + r.Name
	until := time.Now().Add(r.For).UTC().Truncate(time.Second)
	commit, err := s.change(ctx, who.Name, func(d *declared, text []byte) ([]byte, string, error) {
		e, err := s.mine(who, d, r.Entry)
		if err != nil {
			return nil, "", err
		}
		there, title := e.Number, fmt.Sprintf("Request %d of %s until %s", r.Number, r.Entry, until.Format("2006-01-02 15:04 MST"))
		for _, other := range d.entries {
			same := other.Name == name
			if same && other.Like != r.Entry {
				return nil, "", fault.New(fault.Conflict, "request %s: hosts.yaml has an entry %s already (choose another name)", r.Entry, name)
			}
			if other.Like == r.Entry && !same && !other.Over(time.Now()) {
				there += other.Number
			}
			if same || other.Like != "" && other.Over(time.Now()) { // those that are over are forgotten
				if text, err = host.RemoveEntry(text, other.Name); err != nil {
					return nil, "", err
				}
			}
		}
		if there+r.Number > e.Service.Most {
			return nil, "", fault.New(fault.Invalid, "request %d of %s: %s", r.Number, r.Entry, atMost(e, there-e.Number))
		}
		text, err = host.AddLoan(text, host.Loan{Name: name, Like: r.Entry, Number: r.Number, Until: until, RequestedBy: who.Name, Reason: r.Reason})
		return text, title, err
	}, r.Reason)
	if err != nil {
		return loan, err
	}
	d, err := s.newest(ctx)
	if err != nil {
		return loan, err
	}
	for _, l := range d.loans(r.Entry) {
		if l.Name == name {
			loan = l
		}
	}
	loan.Commit = commit
	return loan, nil
}

// Return ends a loan before its time.
func (s lender) Return(ctx context.Context, who access.Identity, name, reason string) error {
	_, err := s.change(ctx, who.Name, func(d *declared, text []byte) ([]byte, string, error) {
		i := slices.IndexFunc(d.entries, func(e host.Named) bool { return e.Name == name && e.Like != "" })
		if i < 0 {
			return nil, "", fault.New(fault.NotFound, "no hosts called %q are there for a time (steer fleet offers)", name)
		}
		e := d.entries[i]
		if err := s.allowed(who, d, e.Like, e.Environment, true); err != nil {
			return nil, "", err
		}
		changed, err := host.RemoveEntry(text, name)
		return changed, fmt.Sprintf("Return %s", name), err
	}, reason)
	return err
}
