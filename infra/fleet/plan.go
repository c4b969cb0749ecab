package fleet

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// World is what Plan looks at.
type World struct {
	Now    time.Time
	Wanted []Wanted
	Groups map[string]Group
	Hosts  map[string]Host // with Running and Paused
	// Looked are the commits that hosts were last compared with, and whether that
	// would change something.
	Looked map[string]Looked
	// Live are resources that hosts found to have drifted, to be put right at once.
	Live   map[string][]string
	Paused *Pause // of everything
}

// Looked is the end of the last visit of kind Look.
type Looked struct {
	Commit  string
	Failed  bool
	Changes int
}

// Timing that nobody had a reason yet to set.
const (
	retry        = 2 * time.Minute // between visits to a host that does not answer
	replaceEvery = time.Hour       // at most one dead host of a group in this time
)

// Plan decides what to do next: groups whose state changes, and visits to make. A
// second call after both were taken over decides nothing.
func Plan(w World) (groups []Group, visits []Visit) {
	for _, want := range w.Wanted {
		old, known := w.Groups[want.Name]
		old.Settings, old.Members = Settings{}, 0
		old.Paused = nil
		p := &planner{World: w, want: want, g: old}
		p.g.Name = want.Name
		if want.Commit == "" && old.Good == "" {
			continue // nothing was deployed to it yet
		}
		if want.Commit != "" { // else its hosts keep to what they were before somebody has to deploy
			p.advance()
		}
		p.repair()
		p.schedule()
		p.live()
		if p.g != old || !known {
			groups = append(groups, p.g)
		}
		visits = append(visits, p.visits...)
	}
	return groups, append(visits, leave(w)...)
}

// planner plans one group.
type planner struct {
	World
	want   Wanted
	g      Group
	visits []Visit
}

// take queues a visit to a host, unless one is under way or somebody paused.
func (p *planner) take(host string, v Visit) bool {
	if h := p.Hosts[host]; h.Running != 0 || p.held(host) || slices.ContainsFunc(p.visits, func(o Visit) bool { return o.Host == host }) {
		return false
	}
	v.Host, v.Group = host, p.want.Name
	p.visits = append(p.visits, v)
	return true
}

// held tells whether automation keeps away: somebody paused it, or stopped the host.
func (p *planner) held(host string) bool {
	h := p.Hosts[host]
	return p.Paused != nil || h.Paused != nil || h.State == Stopped
}

func (p *planner) phase(phase, reason string) {
	p.g.Phase, p.g.Since, p.g.Reason = phase, p.Now, reason
}

// advance brings the newest definitions to the group, step by step.
func (p *planner) advance() {
	switch g := &p.g; {
	case p.want.Digest == g.Digest && g.Phase != "":
	case p.want.Digest == g.GoodWas: // taken back
		g.Good, g.Candidate, g.Digest, g.By = p.want.Commit, p.want.Commit, p.want.Digest, ""
		p.phase(Following, "")
	default:
		g.Candidate, g.Digest, g.By = p.want.Commit, p.want.Digest, ""
		p.phase(p.first(), "")
		if p.want.Settings.Approve {
			p.phase(Planning, "")
		}
	}
	for range 4 { // a phase may be over at once
		before := p.g.Phase
		switch before {
		case Planning:
			p.planning()
		case Canary:
			p.spread(p.canaries(), func() {
				if p.want.Settings.Soak > 0 {
					p.phase(Soaking, "")
				} else {
					p.phase(Following, "")
				}
			})
		case Soaking:
			p.soaking()
		case Following:
			p.spread(p.want.Hosts, func() {
				p.g.Good, p.g.GoodWas = p.g.Candidate, p.g.Digest
				if p.g.Drilled.IsZero() {
					p.g.Drilled = p.Now // the first drill comes after a whole interval
				}
				p.phase(Done, "")
			})
		case Failed:
			p.back()
		}
		if p.g.Phase == before {
			return
		}
	}
}

// first is the phase in which hosts begin to get a change.
func (p *planner) first() string {
	if n := p.want.Settings.Canary; n > 0 && n < len(p.want.Hosts) {
		return Canary
	}
	return Following
}

// canaries are the hosts that get a change first: those that answer, by name.
func (p *planner) canaries() []Declared {
	var some []Declared
	for _, h := range p.want.Hosts {
		if p.Hosts[h.Name].Silent.IsZero() && !p.held(h.Name) && len(some) < p.want.Settings.Canary {
			some = append(some, h)
		}
	}
	return some
}

func (p *planner) planning() {
	changes, over := 0, true
	for _, h := range p.want.Hosts {
		l := p.Looked[h.Name]
		switch {
		case l.Commit == p.g.Candidate && l.Failed && p.Hosts[h.Name].Silent.IsZero():
			p.phase(Failed, "it cannot be planned for "+h.Name)
			return
		case l.Commit == p.g.Candidate:
			changes += l.Changes
		case p.held(h.Name):
		default:
			over = false
			p.take(h.Name, Visit{Kind: Look, Cause: "change", Commit: p.g.Candidate})
		}
	}
	switch {
	case !over:
	case changes == 0:
		p.phase(p.first(), "it changes nothing on the hosts")
	default:
		p.phase(Asking, "")
	}
}

// spread brings the candidate to hosts; then is called when all have it. Hosts that
// do not answer, or are paused, get it later.
func (p *planner) spread(hosts []Declared, then func()) {
	over, some := true, false
	for _, d := range p.want.Hosts {
		if h := p.Hosts[d.Name]; h.Commit == p.g.Candidate && p.differs(d) && away(h) {
			p.phase(Failed, d.Name+" could not be made anew: "+h.Error) // of the good ones it may
			p.back()
			return
		}
	}
	for _, d := range hosts {
		h := p.Hosts[d.Name]
		switch {
		case h.Commit == p.g.Candidate && p.differs(d) && !p.held(d.Name):
			over = false
			p.renew(d.Name, Visit{Kind: Rebuild, Cause: "change", Commit: p.g.Candidate})
		case h.Digest == p.g.Digest && h.State != HasFailed:
			some = true
		case h.Commit == p.g.Candidate && h.State == HasFailed && h.Running == 0:
			p.phase(Failed, d.Name+" failed: "+cmp.Or(h.Error, "see its last visit"))
			p.back()
			return
		case !h.Silent.IsZero() || p.held(d.Name):
		default:
			over = false
			p.take(d.Name, Visit{Kind: Converge, Cause: "change", Commit: p.g.Candidate})
		}
	}
	if over && (some || len(p.want.Hosts) == 0) {
		then()
	}
}

func (p *planner) soaking() {
	for _, d := range p.want.Hosts {
		h := p.Hosts[d.Name]
		if h.Commit != p.g.Candidate {
			continue
		}
		if h.State == HasFailed || !h.Silent.IsZero() {
			p.phase(Failed, d.Name+" "+h.State+" while it was watched: "+h.Error)
			p.back()
			return
		}
	}
	if p.Now.Sub(p.g.Since) >= p.want.Settings.Soak {
		p.phase(Following, "")
	}
}

// back returns hosts that got a candidate that went wrong to the good commit.
func (p *planner) back() {
	if p.g.Good == "" || p.g.Good == p.g.Candidate {
		return
	}
	for _, d := range p.want.Hosts {
		if h := p.Hosts[d.Name]; h.Commit == p.g.Candidate && h.Silent.IsZero() {
			p.take(d.Name, Visit{Kind: Converge, Cause: "back", Commit: p.g.Good})
		}
	}
}

// follows is the commit that a host has to follow right now; empty: none yet.
func (p *planner) follows(h Host) string {
	switch p.g.Phase {
	case Canary, Soaking, Following:
		if h.Commit == p.g.Candidate || p.g.Phase == Following && h.Digest == p.g.Digest {
			return p.g.Candidate
		}
	}
	return p.g.Good
}

// repair replaces a dead host, or rebuilds one for practice.
func (p *planner) repair() {
	s := p.want.Settings
	settled := p.g.Phase == Done || p.g.Phase == Failed && p.g.Good != ""
	if !settled || p.Paused != nil {
		return
	}
	well, made := true, []Host{}
	for _, d := range p.want.Hosts {
		h := p.Hosts[d.Name]
		if d.Made && s.Replace && !h.Silent.IsZero() && p.Now.Sub(h.Silent) >= s.Dead && p.Now.Sub(p.g.Repaired) >= replaceEvery {
			if p.take(d.Name, Visit{Kind: Rebuild, Cause: "dead", Commit: p.g.Good}) {
				p.g.Repaired = p.Now
				return
			}
		}
		switch {
		case h.Touched != nil && d.Immutable && d.Made:
			p.renew(d.Name, Visit{Kind: Rebuild, Cause: "entered", Commit: p.g.Good, Reason: fmt.Sprintf("%s was on it: %s", h.Touched.By, h.Touched.Reason)})
		case p.differs(d):
			p.renew(d.Name, Visit{Kind: Rebuild, Cause: "drift", Commit: p.g.Good, Reason: h.Stray})
		}
		if h.State != AsDeclared || h.Running != 0 || p.held(d.Name) {
			well = false
		}
		if d.Made {
			made = append(made, h)
		}
	}
	if s.Drill <= 0 || !well || p.g.Phase != Done || len(made) < 2 || len(p.visits) > 0 || p.g.Drilled.IsZero() || p.Now.Sub(p.g.Drilled) < s.Drill {
		return
	}
	oldest := slices.MinFunc(made, func(a, b Host) int { return cmp.Or(a.Rebuilt.Compare(b.Rebuilt), cmp.Compare(a.Name, b.Name)) })
	if p.take(oldest.Name, Visit{Kind: Rebuild, Cause: "drill", Commit: p.g.Good}) {
		p.g.Drilled = p.Now
	}
}

// differs tells whether a host cannot be changed, and has to be made anew since it is
// not as it should be.
func (p *planner) differs(d Declared) bool {
	return d.Immutable && d.Made && (d.NoLogin || p.want.Settings.Replace) && p.Hosts[d.Name].Stray != ""
}

// away tells of a host that was to be made anew that this went wrong.
func away(h Host) bool { return h.State == HasFailed || h.State == Unreachable }

// renew makes a host anew, one of the group at a time, and none that runs while another
// could not be, or is of an image that is no good.
func (p *planner) renew(host string, v Visit) {
	h := p.Hosts[host]
	if away(h) && p.Now.Sub(h.Visited) < retry {
		return
	}
	for _, d := range p.want.Hosts {
		o := p.Hosts[d.Name]
		lost := away(o) && o.Stray != "" && !away(h)
		if d.Name != host && (o.Running != 0 || lost || o.State == HasFailed && len(o.Unfit) > 0 && o.Commit == v.Commit) {
			return
		}
	}
	if !slices.ContainsFunc(p.visits, func(o Visit) bool { return o.Kind == Rebuild }) {
		p.take(host, v)
	}
}

// schedule visits hosts whose time has come.
func (p *planner) schedule() {
	for _, d := range p.want.Hosts {
		h := p.Hosts[d.Name]
		commit := p.follows(h)
		if next := Next(h, p.want.Settings); commit == "" || next.IsZero() || next.After(p.Now) {
			continue
		}
		p.take(d.Name, Visit{Kind: Converge, Cause: "schedule", Commit: commit})
	}
}

// live puts right what hosts told of.
func (p *planner) live() {
	for _, d := range p.want.Hosts {
		if refs, commit := p.Live[d.Name], p.follows(p.Hosts[d.Name]); len(refs) > 0 && commit != "" {
			p.take(d.Name, Visit{Kind: Converge, Cause: "drift", Commit: commit, Refs: refs})
		}
	}
}

// Next is when a host is visited by itself; zero: only when somebody asks.
func Next(h Host, s Settings) time.Time {
	if h.Visited.IsZero() {
		return h.Seen // also one that came to its group later
	}
	if s.Every <= 0 {
		return time.Time{}
	}
	if !h.Silent.IsZero() {
		return h.Visited.Add(min(retry, s.Every))
	}
	// Hosts that were visited together do not come back together: each has its own
	// up to a tenth more.
	f := fnv.New32a()
	f.Write([]byte(h.Name))
	return h.Visited.Add(s.Every + s.Every*time.Duration(f.Sum32()%1000)/10000)
}
