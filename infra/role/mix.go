package role

import (
	"maps"
	"strings"

	"steer/base/config"
	"steer/base/fault"
)

// Part is a role that comes from other definitions.
type Part struct {
	Role string
	From *Library
}

// With is the library with some roles as other definitions have them, each with what it
// includes and its files. What goes through a pipeline itself does not come with one that
// includes it; of what several include, the last counts. The error, of kind Invalid, tells what
// does not fit together.
func (l *Library) With(parts []Part) (*Library, error) {
	own := map[string]bool{}
	for _, p := range parts {
		own[p.Role] = true
	}
	mixed := &Library{l.files, l.kinds, maps.Clone(l.roles), maps.Clone(l.docs)}
	for _, p := range parts {
		var take func(n string)
		taken := map[string]bool{}
		take = func(n string) {
			r := p.From.roles[n]
			if r == nil || taken[n] || n != p.Role && (len(r.Pipeline) > 0 || l.roles[n] != nil && len(l.roles[n].Pipeline) > 0) {
				return
			}
			taken[n] = true
			mixed.roles[n], mixed.docs[n] = r, p.From.docs[n]
			for _, in := range r.Include {
				take(in.Role)
			}
		}
		take(p.Role)
	}
	var errs []error
	for n, r := range mixed.roles {
		if ring := mixed.ring(r, nil); ring != nil {
			return nil, fault.New(fault.Invalid, "roles of several commits include each other: %s", strings.Join(ring, " → "))
		}
		if own[n] {
			errs = append(errs, mixed.check(r))
		}
	}
	if err := config.Join(errs...); err != nil {
		return nil, err
	}
	return mixed, nil
}
