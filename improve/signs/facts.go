package signs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

// Facts are what the journal does not tell, as it is now.
type Facts struct {
	Hosts    []Host                 // that are declared
	Services map[id.Service]id.Team // with the team that owns each
	Teams    map[id.Team]catalog.Team
	Hours    catalog.Hours // where a team has none
	Open     []Open        // incidents that are not resolved

	Environments []id.Environment
	// Infrastructure are the teams that own the infrastructure; empty: whoever agrees
	// is compared with the team of who asked.
	Infrastructure []id.Team
}

// Host is what is known of a host.
type Host struct {
	Name, Group string
	Owner       id.Team
	Environment id.Environment
	Made        bool      // Steer can make it anew
	Seen        time.Time // first time
	Rebuilt     time.Time // last time that Steer made it; zero: never
	Updates     *int      // pending; nil: unknown
	Security    *int      // of those, for security; nil: unknown
	Insecure    time.Time // since when there are some
	Reboot      bool
}

// Open is an incident that is open now.
type Open struct {
	Ref, Event, Check, Severity, Title string
	Service                            id.Service
	Environment                        id.Environment
	Team                               id.Team
	Opened                             time.Time
}

// known answers questions about the facts.
type known struct {
	Facts
	hosts    map[string]Host
	groups   map[string]Host // one of each
	teams    map[id.Person][]id.Team
	worked   map[id.Team]catalog.Worked
	usual    catalog.Worked
	prefixes []prefix // the longest first
}

// prefix is how the names of the checks of a host's roles begin.
type prefix struct{ text, host string }

func (f Facts) known() *known {
	k := &known{Facts: f, hosts: map[string]Host{}, groups: map[string]Host{}, teams: map[id.Person][]id.Team{}, worked: map[id.Team]catalog.Worked{}, usual: f.Hours.Worked()}
	for _, h := range f.Hosts {
		k.hosts[h.Name], k.groups[h.Group] = h, h
		k.prefixes = append(k.prefixes, prefix{strings.ReplaceAll(h.Name, ".", "-") + "-", h.Name})
	}
	slices.SortFunc(k.prefixes, func(a, b prefix) int {
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), cmp.Compare(a.text, b.text))
	})
	for name, t := range f.Teams {
		k.worked[name] = t.Hours.Or(f.Hours).Worked()
		for _, p := range t.Members {
			k.teams[p] = append(k.teams[p], name)
		}
	}
	return k
}

// hours are those of a team, or the usual ones.
func (k *known) hours(t id.Team) catalog.Worked {
	if w, ok := k.worked[t]; ok {
		return w
	}
	return k.usual
}

// home is the only team of a person; "" for several or none.
func (k *known) home(p id.Person) id.Team {
	if t := k.teams[p]; len(t) == 1 {
		return t[0]
	}
	return ""
}

// infrastructure tells whether a person belongs to the infrastructure teams.
func (k *known) infrastructure(p id.Person) bool {
	return slices.ContainsFunc(k.teams[p], func(t id.Team) bool { return slices.Contains(k.Infrastructure, t) })
}

// group finds the group of hosts that a check or an incident is about: host/NAME,
// erosion/NAME/LOOK, group/NAME, or a check of a host's roles, whose name begins with the host's.
func (k *known) group(check string) string {
	if g, ok := strings.CutPrefix(check, "group/"); ok {
		return g
	}
	if name, ok := strings.CutPrefix(check, "host/"); ok {
		return k.hosts[name].Group
	}
	if rest, ok := strings.CutPrefix(check, "erosion/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		return k.hosts[name].Group
	}
	for _, p := range k.prefixes {
		if strings.HasPrefix(check, p.text) {
			return k.hosts[p.host].Group
		}
	}
	return ""
}

// names are those of teams and environments that can be asked about.
func (f Facts) names() (teams, environments []string) {
	teams, environments = []string{}, []string{}
	for t := range f.Teams {
		teams = append(teams, string(t))
	}
	for _, e := range f.Environments {
		environments = append(environments, string(e))
	}
	for _, h := range f.Hosts {
		if h.Owner != "" {
			teams = append(teams, string(h.Owner))
		}
		if h.Environment != "" {
			environments = append(environments, string(h.Environment))
		}
	}
	slices.Sort(teams)
	slices.Sort(environments)
	return slices.Compact(teams), slices.Compact(environments)
}

// check says what is wrong with a query: a slip of the keyboard must not look like
// a place where nothing happens.
func (f Facts) check(q Query) error {
	teams, environments := f.names()
	if q.Team != "" && !slices.Contains(teams, string(q.Team)) {
		return fault.New(fault.NotFound, "measure team %s: there is no such team in teams.yaml%s", q.Team, config.Suggest(string(q.Team), teams))
	}
	if q.Environment != "" && !slices.Contains(environments, string(q.Environment)) {
		return fault.New(fault.NotFound, "measure environment %s: there is no such environment%s", q.Environment, config.Suggest(string(q.Environment), environments))
	}
	return nil
}

// asked tells whether something of a team and an environment was asked for.
func (q Query) asked(team id.Team, environment id.Environment) bool {
	return (q.Team == "" || q.Team == team) && (q.Environment == "" || q.Environment == environment)
}

// team is who owns what an event is about; of a commit, the team of who made it.
func (k *known) team(n *note) id.Team {
	if n.service != "" {
		return k.Services[n.service]
	}
	if host, ok := strings.CutPrefix(n.subject, "host/"); ok {
		return k.hosts[host].Owner
	}
	if group, ok := strings.CutPrefix(n.subject, "group/"); ok {
		return k.groups[group].Owner
	}
	return k.home(n.actor)
}
