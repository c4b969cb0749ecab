package deploy

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/base/id"
)

// herd is hosts in memory: what was said to them, newest last, by deploy.
type herd struct {
	mu   sync.Mutex
	said []Deploy
	bad  map[id.Version]string // why hosts cannot follow
	slow int                   // looks until hosts are done
}

func (h *herd) Follow(_ context.Context, y Deploy, commit string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if commit != "c0ffee" {
		return fault.New(fault.Invalid, "commit %s", commit)
	}
	if !slices.ContainsFunc(h.said, func(o Deploy) bool { return o.ID == y.ID }) {
		h.said, h.slow = append(h.said, y), 2
	}
	return nil
}

func (h *herd) Followed(_ context.Context, y Deploy, _ string) (bool, string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slow--; h.slow > 0 {
		return false, "the first host gets it", nil
	}
	if why := h.bad[y.Version]; why != "" {
		return false, "", fault.New(fault.Conflict, "%s", why)
	}
	return true, "", nil
}

func (h *herd) Withdraw(_ context.Context, _ id.Environment, _ id.Service, after int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = slices.DeleteFunc(h.said, func(y Deploy) bool { return y.ID > after })
	return nil
}

func (h *herd) Nodes(_ context.Context, _ id.Environment, _ id.Service, v id.Version, _ string) ([]Node, error) {
	return []Node{{ID: "a", Version: v, State: "healthy", Serving: true}, {ID: "b", Version: h.follows(), State: "healthy", Serving: true}}, nil
}

func (h *herd) follows() id.Version {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.said) == 0 {
		return ""
	}
	return h.said[len(h.said)-1].Version
}

// A role is deployed to hosts, which follow it by themselves: there are no nodes, and
// the rest is as with services.
func TestRolesAreFollowedByHosts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m, h := newMachine(), &herd{bad: map[id.Version]string{"b3": "web: a failed", "b4": "web: b failed"}}
		s := start(t, db, m, func(o *Options, _ *steer) {
			artifact := o.Artifact
			o.Hosts = h
			o.Artifact = func(ctx context.Context, s id.Service, v id.Version) (Artifact, error) {
				a, err := artifact(ctx, s, v)
				a.Role, a.Manifest.Run.Command = true, ""
				return a, err
			}
		})
		plan, err := s.DryRun(t.Context(), Request{Service: "shop", Environment: "production", Version: "b1"})
		if err != nil || len(plan.Steps) != 1 || plan.Steps[0].Name != "have 2 hosts follow b1 (definitions c0ffee)" || h.follows() != "" {
			t.Errorf("%+v %v", plan, err)
		}
		y := s.deploy("b1")
		if len(y.Steps) != 2 || y.Steps[1].Name != "the first host gets it" || y.Steps[1].State != Passed || h.follows() != "b1" {
			t.Errorf("%+v", y)
		}
		y = s.deploy("b2")
		if y.Previous != "b1" || h.follows() != "b2" {
			t.Errorf("%+v", y)
		}
		p := s.placement()
		if p.State != Serving || p.Number != 2 || p.Version != "b2" || p.Previous != "b1" || len(p.Nodes) != 2 || p.Watch == nil || p.Warm != nil {
			t.Errorf("%+v", p)
		}
		// One that hosts cannot follow is taken back, and b2 counts again.
		y = s.ended(s.request("b3").ID)
		if y.State != Failed || y.Failure.Message != "web: a failed" || h.follows() != "b2" || s.placement().Version != "b2" {
			t.Errorf("%+v follows %s", y, h.follows())
		}
		back, err := s.Rollback(t.Context(), "shop", "production", "", "ada", "slow")
		if err != nil {
			t.Fatal(err)
		}
		if back = s.ended(back.ID); back.State != Passed || h.follows() != "b1" {
			t.Errorf("%+v", back)
		}
		// An incident soon after a deploy takes that back.
		s.deploy("b5")
		err = db.Tx(t.Context(), func(tx *sql.Tx) error {
			var why string
			back, why, err = s.AutoRollback(t.Context(), tx, Incident{Service: "shop", Environment: "production", Ref: "incident/1", Check: "down"})
			if why != "" {
				t.Error(why)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if back = s.ended(back.ID); back.State != Passed || h.follows() != "b1" {
			t.Errorf("%+v", back)
		}
		// Nobody starts nodes for it, also not who looks after services.
		if m.starts != 0 {
			t.Errorf("%d nodes were started", m.starts)
		}
		var kinds []string
		for _, e := range s.events() {
			kinds = append(kinds, e.Summary)
		}
		if text := strings.Join(kinds, "\n"); !strings.Contains(text, "shop b2 serves in production (before: b1)") || !strings.Contains(text, "Deploy of shop b3 to production failed: web: a failed; b2 serves on") {
			t.Error(text)
		}
	})
}

// The first deploy of all that fails leaves the hosts to nobody.
func TestFirstRoleThatFailsIsWithdrawn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := &herd{bad: map[id.Version]string{"b1": "web: a failed"}}
		s := start(t, db, newMachine(), func(o *Options, _ *steer) {
			artifact := o.Artifact
			o.Hosts = h
			o.Artifact = func(ctx context.Context, s id.Service, v id.Version) (Artifact, error) {
				a, err := artifact(ctx, s, v)
				a.Role = true
				return a, err
			}
		})
		if y := s.ended(s.request("b1").ID); y.State != Failed || len(h.said) != 0 {
			t.Errorf("%+v %v", y, h.said)
		}
		_, err := s.Rollback(t.Context(), "shop", "production", "", "ada", "")
		if fault.Of(err) != fault.Conflict {
			t.Error(err)
		}
	})
}
