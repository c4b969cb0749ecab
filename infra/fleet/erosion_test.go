package fleet

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
)

// TestErosion: what breaks by itself opens an incident of its own and fails no visit; what
// comes anew is told again, and what is well ends it.
func TestErosion(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		s.rest()
		disk := Breakdown{Of: "sda", Kind: "failing", Text: "sda: it fails (replace it)"}
		kill := func(pid string) Breakdown {
			return Breakdown{Of: "mysqld[" + pid + "]", Kind: "killed", Text: "mysqld[" + pid + "]: the kernel killed it"}
		}
		found := func(disks, oom []Breakdown, severity string) []Erosion {
			return []Erosion{{Look: "disks", Findings: disks, Severity: severity, Note: "looked at sda"}, {Look: "oom", Findings: oom, Severity: "ticket"}}
		}
		visit := func(e []Erosion) (incidents, over []string, told int) {
			t.Helper()
			s.set(func() {
				s.now = s.now.Add(time.Second)
				s.answer = func(v Task) (Outcome, error) {
					o := s.same()
					if v.Host == "a" {
						o.Erosion = e
					}
					return o, nil
				}
			})
			v := s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
			if v.State != Passed || s.detail("a").Host.State != AsDeclared {
				t.Errorf("the visit has nothing to do with it: %+v", v)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, e := range s.events {
				if e.Type == event.HostEroded {
					told++
				}
			}
			return s.trouble, s.over, told
		}
		const disks, oom = "erosion/a/disks", "erosion/a/oom"
		for _, c := range []struct {
			name            string
			found           []Erosion
			incidents, over []string
			told            int
		}{
			{"all is well", found(nil, nil, "ticket"), nil, nil, 0},
			{"a disk fails", found([]Breakdown{disk}, nil, "ticket"), []string{disks}, nil, 1},
			{"it still does", found([]Breakdown{disk}, nil, "ticket"), nil, nil, 0},
			{"nobody looked", nil, nil, nil, 0},
			{"it is worse to people now", found([]Breakdown{disk}, nil, "page"), []string{disks}, nil, 0},
			{"less is no news", found([]Breakdown{disk}, nil, "ticket"), nil, nil, 0},
			{"a process is killed", found([]Breakdown{disk}, []Breakdown{kill("1")}, "ticket"), []string{oom}, nil, 1},
			{"another one", found([]Breakdown{disk}, []Breakdown{kill("1"), kill("2")}, "ticket"), []string{oom}, nil, 1},
			{"the first is long ago", found([]Breakdown{disk}, []Breakdown{kill("2")}, "ticket"), nil, nil, 0},
			{"the disk could not be looked at", []Erosion{{Look: "disks", Error: "not done within 1m0s", Severity: "ticket"}, {Look: "oom"}}, nil, []string{oom}, 0},
			{"it is still the same", found([]Breakdown{disk}, nil, "ticket"), nil, nil, 0},
			{"it was replaced", found(nil, nil, "ticket"), nil, []string{disks}, 0},
			{"it fails again", found([]Breakdown{disk}, nil, "ticket"), []string{disks}, nil, 1},
			{"nobody looks any more", []Erosion{{Look: "disks", Off: "rented"}}, nil, []string{disks}, 0},
		} {
			incidents, over, told := visit(c.found)
			if !slices.Equal(incidents, c.incidents) || !slices.Equal(over, c.over) || told != c.told {
				t.Errorf("%s: incidents %q, ended %q, told %d", c.name, incidents, over, told)
			}
		}
		first := s.now.Add(time.Second)
		visit(found([]Breakdown{disk, {Of: "sdb", Kind: "worn", Text: "sdb: is worn"}}, nil, "ticket"))
		visit(found([]Breakdown{disk}, nil, "ticket"))
		want := []Erosion{{Look: "disks", Findings: []Breakdown{{"sda", "failing", "sda: it fails (replace it)", first}}, Severity: "ticket", Note: "looked at sda"}, {Look: "oom"}}
		if d := cmp.Diff(want, s.detail("a").Host.Erosion); d != "" {
			t.Error(d)
		}
		if got := s.opened[disks]; got.Title != "a: sda: it fails, and 1 more" || got.Summary != "sda: it fails (replace it)\nsdb: is worn" || got.Severity != "ticket" || got.Owner != "ops" || got.Env != "ci" || got.Host != "a" {
			t.Errorf("%+v", got)
		}
		s.set(func() { s.wanted.Settings.Severity = "page" })
		if visit(found([]Breakdown{disk}, nil, "info")); s.opened[disks].Severity != "page" {
			t.Errorf("the group wants a page: %+v", s.opened[disks])
		}
		o, err := s.Overview(t.Context())
		if err != nil || len(o.Hosts[0].Erosion) != 1 || o.Hosts[0].Erosion[0].Look != "disks" {
			t.Errorf("lists have what is wrong: %+v %v", o.Hosts[0].Erosion, err)
		}

		// The server dies after it wrote down that all is well, and before the incidents ended.
		visit(found(nil, nil, "ticket"))
		s.set(func() { s.over = nil })
		if err := s.closeAgain(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if want := []string{"host/a", disks, oom}; !slices.Equal(s.over, want) {
			t.Errorf("%q", s.over)
		}
	})
}
