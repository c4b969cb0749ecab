package signs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/id"
)

// Requests are how long people wait for what they ask of Steer, and whether they need
// the infrastructure team for it. A request is
//   - deploys: a person asked for a deploy or a way back, until the version serves. One
//     that follows an approval counts from when the approval was wanted.
//   - hosts: a commit of the definitions that concerns a group of hosts, until all of
//     the group follow it or a later one. A commit is one request for each group.
//   - rebuilds: a person asked for a host to be made anew, until it is.
//   - environments, services: the last commit of environments.yaml or services.yaml
//     before the first deploy to an environment or of a service, until that deploy.
//   - definitions: any other commit, like one of checks, teams or secrets. It is in
//     force once it is accepted, so its time is 0.
//
// A request went without the infrastructure team when nobody of it asked or agreed.
// With infra.teams in server.yaml these are the members of those teams, and requests of
// their own are told apart. Without, a request needed others when somebody agreed who is
// in no team of the person who asked, or (if that person has none) not in the team that
// owns the thing. Where no teams are declared nobody can tell, and the share is of none.
//
// What people asked for elsewhere, such as a token for a new colleague, is not known
// before somebody makes it, and is not counted.
type Requests struct {
	Kinds   []RequestKind `json:"kinds"`
	Alone   Share         `json:"alone"`   // fulfilled without the infrastructure team, of those whose help is known
	Own     int           `json:"own"`     // fulfilled ones of the infrastructure team itself
	Waiting Times         `json:"waiting"` // for a person who agrees or refuses
	Waits   []Wait        `json:"waits"`   // that go on, the longest first, at most 50
	Helped  []Sample      `json:"helped"`  // newest fulfilled ones that needed the infrastructure team, at most 50
}

// RequestKind is one kind of requests.
type RequestKind struct {
	Kind   string `json:"kind"`
	Times  Times  `json:"times"` // of those that were fulfilled
	Alone  Share  `json:"alone"`
	Open   int    `json:"open"`   // asked in the period, and not fulfilled yet
	Failed int    `json:"failed"` // of the same, those that failed or were refused
}

// Wait is something that waits for a person.
type Wait struct {
	Since time.Time `json:"since"`
	What  string    `json:"what"`
	Ref   string    `json:"ref"`
	Event string    `json:"event"`
}

var requestKinds = []string{"deploys", "hosts", "rebuilds", "environments", "services", "definitions"}

// request is one of them.
type request struct {
	kind, what, ref string
	asked, done     time.Time // done is zero while it is not fulfilled
	failed          bool
	author          id.Person // "" if only those who agreed are known
	deciders        []id.Person
	owner           id.Team
	environment     id.Environment
	events          []string
}

func (r *request) end(n *note) {
	r.done, r.events = n.at, append(r.events, n.id)
}

// asker follows requests through the journal.
type asker struct {
	known    *known
	all      []*request
	commits  map[string]*note
	used     map[string]bool       // commits that became another kind of request
	groups   map[string][]*request // on their way to a group
	deploys  map[string]*request   // by deploy/12
	visits   map[int64]*request
	waits    map[string]*note // what waits for a person, by group or run and stage
	waited   []waited
	approved map[string]approval // by chain and environment
	first    map[string]bool     // services and environments that had a deploy
	files    map[string]*note    // newest commit of a file
}

// waited is how long something waited for a person.
type waited struct {
	Sample
	owner       id.Team
	environment id.Environment
}

type approval struct {
	wanted time.Time
	event  string
	by     id.Person
}

func (s *story) follow(k *known) *asker {
	a := &asker{known: k, commits: map[string]*note{}, used: map[string]bool{}, groups: map[string][]*request{}, deploys: map[string]*request{}, visits: map[int64]*request{},
		waits: map[string]*note{}, approved: map[string]approval{}, first: map[string]bool{}, files: map[string]*note{}}
	for _, n := range s.notes { // hosts may hear of a commit before the journal does
		if n.kind == event.DefinitionsChanged {
			a.commits[n.SHA] = n
		}
	}
	for _, n := range s.notes {
		switch n.kind {
		case event.DefinitionsChanged:
			a.commit(n)
		case event.GroupBegins, event.GroupAsks, event.GroupApproved, event.GroupRefused, event.GroupFailed, event.GroupFollows:
			a.group(n)
		case event.ApprovalCreated, event.ApprovalClosed:
			a.approval(n)
		case event.DeployStarted, event.DeployFailed, event.Deployed, event.Upgraded, event.RolledBack:
			a.deploy(n)
		case event.HostAsked, event.HostRebuilt, event.HostFailed:
			a.visit(n)
		}
	}
	for _, n := range a.commits {
		if n.person() && !a.used[n.SHA] {
			a.all = append(a.all, &request{kind: "definitions", what: cmp.Or(n.Message, short(n.SHA)), ref: n.subject, asked: n.at, done: n.at, author: n.actor, events: []string{n.id}})
		}
	}
	return a
}

func (a *asker) commit(n *note) {
	for _, file := range []string{"environments.yaml", "services.yaml"} {
		if n.touches(file) && n.person() {
			a.files[file] = n
		}
	}
}

func (a *asker) group(n *note) {
	group := strings.TrimPrefix(n.subject, "group/")
	switch n.kind {
	case event.GroupBegins, event.GroupAsks:
		delete(a.waits, n.subject)
		if n.kind == event.GroupAsks {
			a.waits[n.subject] = n
		}
		c, ok := a.commits[n.Candidate]
		if !ok || slices.ContainsFunc(a.groups[group], func(r *request) bool { return r.ref == c.subject }) {
			return
		}
		a.used[c.SHA] = true
		if c.person() {
			r := &request{kind: "hosts", what: cmp.Or(c.Message, short(c.SHA)) + " to " + group, ref: c.subject, asked: c.at, author: c.actor,
				owner: a.known.groups[group].Owner, environment: a.known.groups[group].Environment, events: []string{c.id}}
			a.groups[group] = append(a.groups[group], r)
			a.all = append(a.all, r)
		}
	case event.GroupApproved, event.GroupRefused:
		a.decided(n.subject, n, "a change of "+group, a.known.groups[group].Owner, a.known.groups[group].Environment)
		for _, r := range a.groups[group] {
			r.deciders = append(r.deciders, n.actor)
			r.failed = n.kind == event.GroupRefused
		}
	case event.GroupFailed:
		delete(a.waits, n.subject)
		for _, r := range a.groups[group] {
			r.failed = true
		}
	case event.GroupFollows:
		for _, r := range a.groups[group] {
			r.end(n)
		}
		delete(a.groups, group)
	}
}

// decided ends a wait by a person.
func (a *asker) decided(key string, n *note, what string, owner id.Team, environment id.Environment) {
	if w, ok := a.waits[key]; ok {
		a.waited = append(a.waited, waited{Sample{n.at, what, n.subject, max(0, n.at.Sub(w.at).Seconds()), []string{w.id, n.id}}, owner, environment})
		delete(a.waits, key)
	}
}

func (a *asker) approval(n *note) {
	key := n.subject + " " + n.Stage
	if n.kind == event.ApprovalCreated {
		a.waits[key] = n
		return
	}
	w, ok := a.waits[key]
	if n.Decision != "approved" && n.Decision != "rejected" {
		delete(a.waits, key) // a newer version took its place: nobody decided
		return
	}
	a.decided(key, n, string(n.service)+" "+string(n.version)+", stage "+n.Stage, a.known.Services[n.service], n.environment)
	if ok && n.Decision == "approved" && n.environment != "" {
		a.approved[n.chain+" "+string(n.environment)] = approval{w.at, w.id, n.actor}
	}
}

func (a *asker) deploy(n *note) {
	if n.served() {
		a.firsts(n)
	}
	r := a.deploys[n.subject]
	switch {
	case n.kind == event.DeployStarted:
		if !n.person() {
			return
		}
		r := &request{kind: "deploys", what: string(n.service) + " " + string(n.version) + " in " + string(n.environment), ref: n.subject, asked: n.at, author: n.actor,
			owner: a.known.Services[n.service], environment: n.environment, events: []string{n.id}}
		if !n.Asked.IsZero() {
			r.asked = n.Asked
		}
		key := n.chain + " " + string(n.environment)
		if by, ok := a.approved[key]; ok && n.chain != "" && by.by == n.actor {
			r.asked, r.author, r.deciders, r.events = by.wanted, "", []id.Person{by.by}, []string{by.event, n.id}
			delete(a.approved, key)
		}
		a.deploys[n.subject] = r
		a.all = append(a.all, r)
	case r == nil:
	case n.kind == event.DeployFailed:
		r.failed = true
	default:
		r.end(n) // also when it served already
	}
}

// firsts looks whether a deploy is the first of its service or environment.
func (a *asker) firsts(n *note) {
	for _, f := range []struct{ kind, file, name string }{
		{"environments", "environments.yaml", string(n.environment)}, {"services", "services.yaml", string(n.service)},
	} {
		key := f.kind + " " + f.name
		c, ok := a.files[f.file]
		if !a.first[key] && ok {
			a.used[c.SHA] = true
			r := &request{kind: f.kind, what: f.name, ref: c.subject, asked: c.at, author: c.actor, owner: a.known.Services[n.service], environment: n.environment, events: []string{c.id}}
			if n.person() {
				r.deciders = append(r.deciders, n.actor)
			}
			r.end(n)
			a.all = append(a.all, r)
		}
		a.first[key] = true
	}
}

func (a *asker) visit(n *note) {
	switch r := a.visits[n.Visit]; {
	case n.kind == event.HostAsked:
		if n.Kind == "rebuild" && n.Visit != 0 && n.person() {
			host := strings.TrimPrefix(n.subject, "host/")
			r := &request{kind: "rebuilds", what: host, ref: n.subject, asked: n.at, author: n.actor, owner: a.known.hosts[host].Owner, environment: n.environment, events: []string{n.id}}
			a.visits[n.Visit] = r
			a.all = append(a.all, r)
		}
	case r == nil:
	case n.kind == event.HostRebuilt:
		r.end(n)
	default:
		r.failed = true
	}
}

// The ways in which a request may have gone.
const (
	unknown = iota
	alone
	helped
	own
)

// help tells whether a request needed the infrastructure team.
func (k *known) help(r *request) int {
	if len(k.teams) == 0 {
		return unknown
	}
	if len(k.Infrastructure) > 0 {
		switch {
		case r.author != "" && k.infrastructure(r.author):
			return own
		case slices.ContainsFunc(r.deciders, k.infrastructure):
			return helped
		}
		return alone
	}
	home := k.teams[r.author]
	if len(home) == 0 && r.owner != "" {
		home = []id.Team{r.owner}
	}
	if len(home) == 0 {
		return unknown
	}
	for _, p := range r.deciders {
		if p != r.author && !slices.ContainsFunc(k.teams[p], func(t id.Team) bool { return slices.Contains(home, t) }) {
			return helped
		}
	}
	return alone
}

func (s *story) requests(sp span, q Query, k *known) Requests {
	a := s.follow(k)
	total, answer := share{}, Requests{Kinds: []RequestKind{}, Waits: []Wait{}, Helped: []Sample{}}
	samples, shares, counts := map[string][]Sample{}, map[string]*share{}, map[string]*RequestKind{}
	for _, kind := range requestKinds {
		shares[kind], counts[kind] = &share{}, &RequestKind{Kind: kind}
	}
	for _, r := range a.all {
		if !q.asked(cmp.Or(k.home(r.author), r.owner), r.environment) {
			continue
		}
		if r.done.IsZero() {
			if sp.now(r.asked) {
				counts[r.kind].Open++
				if r.failed {
					counts[r.kind].Failed++
				}
			}
			continue
		}
		one := Sample{r.done, r.what, r.ref, max(0, r.done.Sub(r.asked).Seconds()), r.events}
		samples[r.kind] = append(samples[r.kind], one)
		switch help := k.help(r); {
		case help == own && sp.now(r.done):
			answer.Own++
		case help == alone || help == helped:
			total.add(sp, r.done, help == alone)
			shares[r.kind].add(sp, r.done, help == alone)
			if help == helped && sp.now(r.done) {
				answer.Helped = append(answer.Helped, one)
			}
		}
	}
	for _, kind := range requestKinds {
		c := counts[kind]
		c.Times, c.Alone = sp.times(samples[kind]), shares[kind].share()
		answer.Kinds = append(answer.Kinds, *c)
	}
	answer.Alone = total.share()
	var waits []Sample
	for _, w := range a.waited {
		if q.asked(w.owner, w.environment) {
			waits = append(waits, w.Sample)
		}
	}
	answer.Waiting = sp.times(waits)
	for _, n := range a.waits {
		if team := k.team(n); q.asked(team, cmp.Or(n.environment, k.groups[strings.TrimPrefix(n.subject, "group/")].Environment)) {
			what := strings.TrimSpace("a change of " + strings.TrimPrefix(n.subject, "group/"))
			if n.kind == event.ApprovalCreated {
				what = string(n.service) + " " + string(n.version) + ", stage " + n.Stage
			}
			answer.Waits = append(answer.Waits, Wait{n.at, what, n.subject, n.id})
		}
	}
	slices.SortFunc(answer.Waits, func(a, b Wait) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Ref, b.Ref)) })
	answer.Waits = answer.Waits[:min(len(answer.Waits), mostOld)]
	slices.SortStableFunc(answer.Helped, func(a, b Sample) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(a.Ref, b.Ref)) })
	answer.Helped = answer.Helped[:min(len(answer.Helped), mostOld)]
	return answer
}
