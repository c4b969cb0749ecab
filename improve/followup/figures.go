package followup

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"steer/base/fault"
)

// Share is how incidents ended that have ended in a time. Rate is the part that ended
// with all steps of those about which that is known; null if that is none. What came
// back did not.
type Share struct {
	Name      string   `json:"name"` // of a service or a team; "" for all, or for those of none
	Rate      *float64 `json:"rate"` // 0 to 1
	Complete  int      `json:"complete"`
	Without   int      `json:"without"`
	Waived    int      `json:"waived"`
	Returned  int      `json:"returned"`
	Following int      `json:"following"` // still have time
}

// Shares are the figures of a time.
type Shares struct {
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Total    Share     `json:"total"`
	Services []Share   `json:"services"` // by name
	Teams    []Share   `json:"teams"`    // by name
}

// Shares counts how the incidents ended that were resolved in [since, until).
func (f *Followups) Shares(ctx context.Context, since, until time.Time) (Shares, error) {
	if !since.Before(until) {
		return Shares{}, fault.New(fault.Invalid, "shares of incidents: since %s is not before until %s", since.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	var all []Followup
	for q := (Filter{Since: since, Until: until, Limit: page}); ; {
		list, err := f.List(ctx, q)
		if err != nil {
			return Shares{}, err
		}
		if all = append(all, list...); len(list) < page {
			break
		}
		q.Before = list[len(list)-1].Incident
	}
	return share(all, since.UTC(), until.UTC()), nil
}

func share(all []Followup, since, until time.Time) Shares {
	out := Shares{Since: since, Until: until}
	services, teams := map[string]*Share{}, map[string]*Share{}
	of := func(m map[string]*Share, name string) *Share {
		if m[name] == nil {
			m[name] = &Share{Name: name}
		}
		return m[name]
	}
	for _, f := range all {
		for _, s := range []*Share{&out.Total, of(services, string(f.Service)), of(teams, string(f.Team))} {
			s.add(f.State)
		}
	}
	out.Total.rate()
	out.Services, out.Teams = listed(services), listed(teams)
	return out
}

func (s *Share) add(state string) {
	switch state {
	case Complete:
		s.Complete++
	case Without:
		s.Without++
	case Waived:
		s.Waived++
	case Returned:
		s.Returned++
	default:
		s.Following++
	}
}

func (s *Share) rate() {
	if n := s.Complete + s.Without + s.Waived + s.Returned; n > 0 {
		r := float64(s.Complete) / float64(n)
		s.Rate = &r
	}
}

func listed(m map[string]*Share) []Share {
	all := []Share{}
	for _, s := range slices.SortedFunc(maps.Values(m), func(a, b *Share) int { return cmp.Compare(a.Name, b.Name) }) {
		s.rate()
		all = append(all, *s)
	}
	return all
}
