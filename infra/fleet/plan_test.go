package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// sim is a fleet in memory: what Plan decides is carried out at once.
type sim struct {
	World
	bad    map[string]bool // commit@host that fails there
	down   map[string]bool
	log    []string
	visits int64
}

func newSim(s Settings, hosts ...string) *sim {
	w := Wanted{Name: "web", Settings: s, Digest: "d1", Commit: "commit-1"}
	m := &sim{bad: map[string]bool{}, down: map[string]bool{}}
	m.World = World{Now: noon, Groups: map[string]Group{}, Hosts: map[string]Host{}, Looked: map[string]Looked{}}
	for _, h := range hosts {
		w.Hosts = append(w.Hosts, Declared{Name: h, Group: "web", Made: true})
		m.Hosts[h] = Host{Name: h, Group: "web", State: Waiting, Seen: noon}
	}
	m.Wanted = []Wanted{w}
	return m
}

func (m *sim) push(n int) {
	m.Wanted[0].Commit, m.Wanted[0].Digest = fmt.Sprintf("commit-%d", n), fmt.Sprintf("d%d", n)
}

func (m *sim) digest(commit string) string {
	switch g := m.Groups["web"]; commit {
	case g.Candidate:
		return g.Digest
	case g.Good:
		return g.GoodWas
	}
	return ""
}

// step plans once and carries it out; it tells whether there was something to do.
func (m *sim) step() bool {
	groups, visits := Plan(m.World)
	for _, g := range groups {
		if was := m.Groups[g.Name]; was.Phase != g.Phase {
			m.log = append(m.log, g.Phase)
		}
		m.Groups[g.Name] = g
	}
	for _, v := range visits {
		h := m.Hosts[v.Host]
		m.log = append(m.log, fmt.Sprintf("%s %s %s %s", v.Kind, v.Host, v.Commit, v.Cause))
		m.visits++
		if v.Kind == Look {
			m.Looked[v.Host] = Looked{Commit: v.Commit, Changes: 1, Failed: m.bad[v.Commit+"@plan"]}
			continue
		}
		h.Visited = m.Now
		switch {
		case m.down[v.Host] && v.Kind != Rebuild:
			h.State = Unreachable
			if h.Silent.IsZero() {
				h.Silent = m.Now
			}
		case m.bad[v.Commit+"@"+v.Host]:
			h.State, h.Commit, h.Error, h.Silent = HasFailed, v.Commit, "broken", time.Time{}
		default:
			h.State, h.Commit, h.Digest, h.Silent = AsDeclared, v.Commit, m.digest(v.Commit), time.Time{}
			if v.Kind == Rebuild {
				m.down[v.Host] = false
				h.Rebuilt = m.Now
			}
		}
		m.Hosts[v.Host] = h
	}
	return len(groups)+len(visits) > 0
}

func (m *sim) settle(t interface{ Fatalf(string, ...any) }) {
	for n := 0; m.step(); n++ {
		if n > 50 {
			t.Fatalf("it does not come to rest: %q", m.log[max(0, len(m.log)-10):])
		}
	}
}

func (m *sim) took() string {
	s := strings.Join(m.log, "; ")
	m.log = nil
	return s
}

func (m *sim) is(t *testing.T, want string) {
	t.Helper()
	m.settle(t)
	if got := m.took(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRollout(t *testing.T) {
	s := Settings{Every: time.Hour, Canary: 1, Dead: 10 * time.Minute}
	m := newSim(s, "a", "b", "c")
	m.is(t, "canary; converge a commit-1 change; following; converge b commit-1 change; converge c commit-1 change; done")
	// Nothing to do until their time comes, each a little later than the hour.
	m.Now = m.Now.Add(59 * time.Minute)
	m.is(t, "")
	m.Now = m.Now.Add(8 * time.Minute)
	m.is(t, "converge a commit-1 schedule; converge b commit-1 schedule; converge c commit-1 schedule")
	// A commit that is about other hosts changes nothing here.
	m.Wanted[0].Commit = "commit-2"
	m.is(t, "")
	// One that breaks the first host goes no further, and is taken back.
	m.bad["commit-3@a"] = true
	m.push(3)
	m.is(t, "canary; converge a commit-3 change; failed; converge a commit-1 back")
	m.Now = m.Now.Add(70 * time.Minute)
	m.is(t, "converge a commit-1 schedule; converge b commit-1 schedule; converge c commit-1 schedule")
	// The next one is tried again, and stops where it fails.
	m.bad["commit-4@b"] = true
	m.push(4)
	m.is(t, "canary; converge a commit-4 change; following; converge b commit-4 change; converge c commit-4 change; failed; converge a commit-1 back; converge b commit-1 back; converge c commit-1 back")
	// Going back in the definitions is no change at all.
	m.Wanted[0].Commit, m.Wanted[0].Digest = "commit-5", "d1"
	m.is(t, "done")
}

func TestSoakAndApproval(t *testing.T) {
	m := newSim(Settings{Every: time.Hour, Canary: 1, Soak: 10 * time.Minute, Approve: true, Dead: time.Hour}, "a", "b")
	m.is(t, "planning; plan a commit-1 change; plan b commit-1 change; asking")
	g := m.Groups["web"]
	g.Phase, g.Since = Canary, m.Now // somebody agreed
	m.Groups["web"] = g
	m.is(t, "converge a commit-1 change; soaking")
	m.Now = m.Now.Add(5 * time.Minute)
	m.is(t, "")
	m.Now = m.Now.Add(5 * time.Minute)
	m.is(t, "following; converge b commit-1 change; done")
	m.push(2)
	m.bad["commit-2@plan"] = true
	m.is(t, "planning; plan a commit-2 change; plan b commit-2 change; failed")
	// The first host gets ill while it is watched.
	m.push(3)
	m.settle(t)
	g = m.Groups["web"]
	g.Phase, g.Since = Canary, m.Now
	m.Groups["web"] = g
	m.settle(t)
	m.took()
	h := m.Hosts["a"]
	h.State, h.Error = HasFailed, "tests fail"
	m.Hosts["a"] = h
	m.is(t, "failed; converge a commit-1 back")
}

func TestPauseAndSilence(t *testing.T) {
	m := newSim(Settings{Every: time.Hour, Canary: 1, Dead: 10 * time.Minute}, "a", "b", "c")
	m.Paused = &Pause{Scope: "all"}
	m.is(t, "canary")
	m.Paused = nil
	h := m.Hosts["a"]
	h.Paused = &Pause{Scope: "host", Name: "a"}
	m.Hosts["a"] = h
	m.down["b"] = true
	// The first host that answers goes first; those that are paused or silent get it later.
	m.is(t, "converge b commit-1 change; converge c commit-1 change; done")
	m.Now = m.Now.Add(2 * time.Minute)
	m.is(t, "converge b commit-1 schedule")
	h.Paused = nil
	m.Hosts["a"] = h
	m.is(t, "converge a commit-1 schedule")
	m.down["b"] = false
	m.Now = m.Now.Add(2 * time.Minute)
	m.is(t, "converge b commit-1 schedule")
}

func TestRepairAndDrill(t *testing.T) {
	m := newSim(Settings{Every: 20 * time.Minute, Canary: 0, Dead: 10 * time.Minute, Replace: true, Drill: 24 * time.Hour}, "a", "b")
	m.is(t, "following; converge a commit-1 change; converge b commit-1 change; done")
	m.down["a"], m.down["b"] = true, true
	m.Now = m.Now.Add(30 * time.Minute)
	m.settle(t)
	m.took()
	m.Now = m.Now.Add(9 * time.Minute)
	m.settle(t)
	if log := m.took(); strings.Contains(log, Rebuild) {
		t.Errorf("too early: %s", log)
	}
	m.Now = m.Now.Add(time.Minute)
	m.settle(t)
	if log := m.took(); strings.Count(log, "rebuild a commit-1 dead") != 1 || strings.Contains(log, "rebuild b") {
		t.Errorf("got %s; one at a time", log)
	}
	m.Now = m.Now.Add(time.Hour)
	m.settle(t)
	if log := m.took(); strings.Count(log, "rebuild b commit-1 dead") != 1 {
		t.Errorf("got %s", log)
	}
	m.Now = noon.Add(23 * time.Hour)
	m.settle(t)
	if log := m.took(); strings.Contains(log, Rebuild) {
		t.Errorf("got %s", log)
	}
	m.Now = noon.Add(24 * time.Hour)
	m.settle(t)
	if log := m.took(); strings.Count(log, "rebuild a commit-1 drill") != 1 || strings.Contains(log, "rebuild b") {
		t.Errorf("got %s; the one that was made longest ago", log)
	}
	// Not while one is ill, or somebody said stop.
	m.Now = noon.Add(49 * time.Hour)
	m.Paused = &Pause{Scope: "all"}
	m.settle(t)
	m.Paused = nil
	m.down["b"] = true
	h := m.Hosts["b"]
	h.State, h.Silent = Unreachable, m.Now
	m.Hosts["b"] = h
	m.settle(t)
	if log := m.took(); strings.Contains(log, Rebuild) {
		t.Errorf("got %s", log)
	}
}

// Whatever happens, a commit that failed on a host reaches no further host of the
// group after the ones that were first, nothing is visited while it is paused, and
// planning comes to rest.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := []string{"a", "b", "c", "d"}[:rapid.IntRange(1, 4).Draw(t, "hosts")]
		canary := rapid.IntRange(0, 3).Draw(t, "canary")
		m := newSim(Settings{Every: time.Hour, Canary: canary, Soak: time.Duration(rapid.IntRange(0, 1).Draw(t, "soak")) * 10 * time.Minute, Dead: 10 * time.Minute, Replace: rapid.Bool().Draw(t, "replace")}, hosts...)
		for n := range rapid.IntRange(1, 12).Draw(t, "steps") {
			host := rapid.SampledFrom(hosts).Draw(t, "host")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				m.push(n + 2)
				if rapid.Bool().Draw(t, "bad") {
					for _, h := range hosts {
						m.bad[m.Wanted[0].Commit+"@"+h] = true
					}
				}
			case 1:
				m.down[host] = !m.down[host]
			case 2:
				h := m.Hosts[host]
				if h.Paused == nil {
					h.Paused = &Pause{Scope: "host"}
				} else {
					h.Paused = nil
				}
				m.Hosts[host] = h
			case 3:
				m.Now = m.Now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
			case 4:
				m.Paused = map[bool]*Pause{true: nil, false: {Scope: "all"}}[m.Paused != nil]
			}
			paused := map[string]bool{}
			for _, h := range hosts {
				paused[h] = m.Paused != nil || m.Hosts[h].Paused != nil
			}
			m.settle(t)
			reached := map[string]map[string]bool{}
			for _, line := range m.log {
				f := strings.Fields(line)
				if len(f) < 4 {
					continue
				}
				if paused[f[1]] {
					t.Fatalf("%s, and it is paused", line)
				}
				if m.bad[f[2]+"@"+f[1]] && !m.down[f[1]] {
					if reached[f[2]] == nil {
						reached[f[2]] = map[string]bool{}
					}
					reached[f[2]][f[1]] = true
				}
			}
			for commit, some := range reached {
				if canary > 0 && canary < len(hosts) && len(some) > canary {
					t.Fatalf("%s, which is bad, reached %d hosts; %d go first", commit, len(some), canary)
				}
			}
			m.log = nil
		}
	})
}

// TestLive: what a host tells is put right at once, unless somebody said stop.
func TestLive(t *testing.T) {
	m := newSim(Settings{Every: time.Hour, Dead: time.Hour}, "a", "b")
	m.is(t, "following; converge a commit-1 change; converge b commit-1 change; done")
	m.Live = map[string][]string{"a": {"file:/x"}, "b": {"file:/y"}}
	h := m.Hosts["b"]
	h.Paused = &Pause{Scope: "host"}
	m.Hosts["b"] = h
	_, visits := Plan(m.World)
	if len(visits) != 1 || visits[0].Host != "a" || visits[0].Cause != "drift" || len(visits[0].Refs) != 1 || visits[0].Commit != "commit-1" {
		t.Errorf("%+v", visits)
	}
}
