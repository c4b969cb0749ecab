package signs

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Patches are how far hosts are behind, now.
type Patches struct {
	Hosts    int          `json:"hosts"`   // declared
	Patched  int          `json:"patched"` // without pending security updates
	Behind   int          `json:"behind"`  // with some
	Unknown  int          `json:"unknown"` // that cannot tell, or were not asked yet
	Reboot   int          `json:"reboot"`  // that wait for a restart
	Share    *float64     `json:"share"`   // patched, of those that are known
	Oldest   *time.Time   `json:"oldest"`  // since when the host that is behind for longest is
	Groups   []PatchGroup `json:"groups"`
	Laggards []Laggard    `json:"laggards"` // hosts that are behind or wait for a restart, the longest first, at most 50
	// Series are the metrics that keep the history of the whole fleet.
	Series []string `json:"series"`
}

// PatchGroup is a group of hosts.
type PatchGroup struct {
	Group   string `json:"group"`
	Hosts   int    `json:"hosts"`
	Patched int    `json:"patched"`
	Unknown int    `json:"unknown"`
	Reboot  int    `json:"reboot"`
}

// Laggard is a host that something is to be done about.
type Laggard struct {
	Host     string    `json:"host"`
	Group    string    `json:"group"`
	Security int       `json:"security"`
	Updates  int       `json:"updates"`
	Since    time.Time `json:"since,omitzero"` // since when it has pending security updates
	Reboot   bool      `json:"reboot"`
}

// Series are the metrics in which the state of patches is kept over time, as counts of
// hosts; see Counts.
func Series() []string {
	return []string{"steer.hosts.total", "steer.hosts.patched", "steer.hosts.behind", "steer.hosts.unknown", "steer.hosts.reboot"}
}

// Counts are the values of Series.
func Counts(hosts []Host) map[string]float64 {
	p := patches(Query{}, hosts)
	values := []int{p.Hosts, p.Patched, p.Behind, p.Unknown, p.Reboot}
	all := map[string]float64{}
	for i, name := range Series() {
		all[name] = float64(values[i])
	}
	return all
}

func patches(q Query, hosts []Host) Patches {
	p := Patches{Groups: []PatchGroup{}, Laggards: []Laggard{}, Series: Series()}
	groups := map[string]*PatchGroup{}
	for _, h := range hosts {
		if !q.asked(h.Owner, h.Environment) {
			continue
		}
		g := groups[h.Group]
		if g == nil {
			g = &PatchGroup{Group: h.Group}
			groups[h.Group] = g
		}
		p.Hosts, g.Hosts = p.Hosts+1, g.Hosts+1
		lag := Laggard{Host: h.Name, Group: h.Group, Since: h.Insecure, Reboot: h.Reboot}
		if h.Updates != nil {
			lag.Updates = *h.Updates
		}
		switch {
		case h.Security == nil:
			p.Unknown, g.Unknown = p.Unknown+1, g.Unknown+1
		case *h.Security == 0:
			p.Patched, g.Patched = p.Patched+1, g.Patched+1
		default:
			lag.Security = *h.Security
			p.Behind++
			if since := h.Insecure; !since.IsZero() && (p.Oldest == nil || since.Before(*p.Oldest)) {
				p.Oldest = &since
			}
		}
		if h.Reboot {
			p.Reboot, g.Reboot = p.Reboot+1, g.Reboot+1
		}
		if lag.Security > 0 || h.Reboot {
			p.Laggards = append(p.Laggards, lag)
		}
	}
	p.Share = rate([2]int{p.Patched, p.Patched + p.Behind})
	for _, g := range groups {
		p.Groups = append(p.Groups, *g)
	}
	slices.SortFunc(p.Groups, func(a, b PatchGroup) int { return strings.Compare(a.Group, b.Group) })
	slices.SortFunc(p.Laggards, func(a, b Laggard) int {
		return cmp.Or(-cmp.Compare(min(1, a.Security), min(1, b.Security)), a.Since.Compare(b.Since), strings.Compare(a.Host, b.Host))
	})
	p.Laggards = p.Laggards[:min(len(p.Laggards), mostOld)]
	return p
}
