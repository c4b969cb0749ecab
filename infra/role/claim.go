package role

import (
	"path"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// claimed is what a resource claims.
type claimed struct {
	by infra.Declared
	as infra.Share
}

// claims refuses resources that would undo each other, and tells those that purge a
// folder what is declared in it.
func (c *compiler) claims() error {
	first := map[string]infra.Declared{}
	all := map[string][]claimed{}
	for _, d := range c.out.Resources {
		if one, twice := first[d.Ref()]; twice {
			return fault.New(fault.Invalid, "%s: %s is declared twice, first at %s (a host has each thing once; make it a role that both include)", d.Place, d.Ref(), one.Place)
		}
		first[d.Ref()] = d
		claimant, ok := d.Resource.(infra.Claimant)
		if !ok {
			continue
		}
		for _, claim := range claimant.Claims() {
			for _, other := range all[claim.Name] {
				if !claim.As.Beside(other.as) {
					return refuse(claim.Name, other, claimed{d, claim.As})
				}
			}
			// Of many lines in one file one is enough to compare with.
			if !slices.ContainsFunc(all[claim.Name], func(o claimed) bool { return o.as == claim.As }) {
				all[claim.Name] = append(all[claim.Name], claimed{d, claim.As})
			}
		}
	}
	if err := c.contend(); err != nil {
		return err
	}
	return c.purge(all)
}

// contend asks those who look into others.
func (c *compiler) contend() error {
	for _, d := range c.out.Resources {
		contender, ok := d.Resource.(infra.Contender)
		if !ok {
			continue
		}
		if with, thing := contender.Contends(c.out.Resources); thing != "" {
			other := c.out.Resources[with]
			return fault.New(fault.Invalid, "%s: %s keeps %s as it is listed there, and %s at %s wants it otherwise: each would undo the other (write it into that list, or leave exact out)", d.Place, d.Ref(), thing, other.Ref(), other.Place)
		}
	}
	return nil
}

func refuse(name string, a, b claimed) error {
	_, thing, _ := strings.Cut(name, ":")
	if a.as == infra.Part || b.as == infra.Part {
		whole, part := a, b
		if a.as == infra.Part {
			whole, part = b, a
		}
		return fault.New(fault.Invalid, "%s: %s changes a part of %s, which %s at %s looks after as a whole: each would undo the other (write it into that, or leave the content out there)",
			part.by.Place, part.by.Ref(), thing, whole.by.Ref(), whole.by.Place)
	}
	return fault.New(fault.Invalid, "%s: %s wants %s for itself, as does %s at %s (keep one of them)", b.by.Place, b.by.Ref(), thing, a.by.Ref(), a.by.Place)
}

// purge tells purgers what to spare.
func (c *compiler) purge(all map[string][]claimed) error {
	for _, d := range c.out.Resources {
		purger, ok := d.Resource.(infra.Purger)
		if !ok || purger.Purges() == "" {
			continue
		}
		folder := purger.Purges()
		for above := folder; ; above = path.Dir(above) {
			for _, o := range all["path:"+above] {
				if o.as == infra.Tree {
					return fault.New(fault.Invalid, "%s: %s would purge what %s at %s puts there (leave purge out, or let that have a folder of its own)", d.Place, d.Ref(), o.by.Ref(), o.by.Place)
				}
			}
			if above == path.Dir(above) {
				break
			}
		}
		purger.Spare(c.paths(d))
	}
	return nil
}

// paths lists what resources declare but for one, whether it shall be there or not. Links
// that only the host knows may lead from anywhere into its folder.
func (c *compiler) paths(but infra.Declared) []string {
	var names []string
	for _, d := range c.out.Resources {
		if d.Ref() == but.Ref() {
			continue
		}
		if r, ok := d.Resource.(infra.Related); ok {
			names = append(names, r.Gives()...)
		}
		if r, ok := d.Resource.(infra.Claimant); ok {
			for _, claim := range r.Claims() {
				names = append(names, claim.Name)
			}
		}
	}
	var found []string
	for _, name := range names {
		if p, ok := strings.CutPrefix(name, "path:"); ok {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
