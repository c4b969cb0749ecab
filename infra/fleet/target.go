package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"steer/base/database"
	"steer/base/fault"
	"steer/base/id"
)

// Target is what the hosts of an environment that have a role follow, since a deploy
// said so.
type Target struct {
	Deploy      int64 // number of the deploy; the newest of a role in an environment counts
	Role        string
	Environment id.Environment
	Commit      string // of the definitions
	Version     id.Version
	Who         id.Person
	At          time.Time
}

// Targets are those that count, oldest first.
func (f *Fleet) Targets(ctx context.Context) ([]Target, error) {
	all := []Target{}
	return all, each(ctx, f.o.DB.Read(), func(r *sql.Rows) error {
		var t Target
		var at int64
		err := r.Scan(&t.Deploy, &t.Role, &t.Environment, &t.Commit, &t.Version, &t.Who, &at)
		t.At = database.Time(at)
		all = append(all, t)
		return err
	}, `SELECT deploy, role, environment, commit_sha, version, person, at FROM fleet_target
		WHERE deploy IN (SELECT max(deploy) FROM fleet_target GROUP BY role, environment) ORDER BY deploy`)
}

// Follow has the hosts of an environment that have a role follow a target. To say it
// again changes nothing. Groups whose last change failed try again, also if it is the same.
func (f *Fleet) Follow(ctx context.Context, t Target) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return err
	}
	groups, err := readGroups(ctx, f.o.DB.Read())
	if err != nil {
		return err
	}
	defer f.Wake()
	return f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO fleet_target (deploy, role, environment, commit_sha, version, person, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (deploy) DO NOTHING`, t.Deploy, t.Role, string(t.Environment), t.Commit, string(t.Version), string(t.Who), database.Micros(f.o.Now()))
		if err != nil {
			return fmt.Errorf("have hosts follow %s %s: %w", t.Role, t.Version, err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, w := range t.groups(wanted) {
			g := groups[w.Name]
			if g.Phase != Failed {
				continue
			}
			g.Phase, g.Reason = "", ""
			if err := forgive(ctx, tx, g); err != nil {
				return err
			}
			if err := writeGroup(ctx, tx, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// Withdraw takes back what deploys of a role in an environment said after the one
// with the number keep (0: all of them): they failed, and all hosts go back.
func (f *Fleet) Withdraw(ctx context.Context, role string, e id.Environment, keep int64) error {
	defer f.Wake()
	return f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		return exec(ctx, tx, `DELETE FROM fleet_target WHERE role = $1 AND environment = $2 AND deploy > $3`, role, string(e), keep)
	})
}

// groups are those with hosts that the target is for.
func (t Target) groups(wanted []Wanted) (some []Wanted) {
	for _, w := range wanted {
		if slices.ContainsFunc(w.Hosts, func(d Declared) bool { return d.Environment == t.Environment && slices.Contains(d.Piped, t.Role) }) {
			some = append(some, w)
		}
	}
	return some
}

// Followed tells how far the hosts of a target are: Running with what is done right
// now, Passed, or Broken with the reason.
func (f *Fleet) Followed(ctx context.Context, t Target) (state, text string, err error) {
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return "", "", err
	}
	groups, err := readGroups(ctx, f.o.DB.Read())
	if err != nil {
		return "", "", err
	}
	hosts, err := f.known(ctx, wanted)
	if err != nil {
		return "", "", err
	}
	some := t.groups(wanted)
	if len(some) == 0 {
		return Broken, fmt.Sprintf("no host of %s has the role %s any more", t.Environment, t.Role), nil
	}
	for _, w := range some {
		g := groups[w.Name]
		switch {
		case w.Commit == "":
			return Broken, w.Waits, nil
		case g.Digest != w.Digest:
			text = w.Name + " has yet to begin"
		case g.Phase == Failed:
			return Broken, fmt.Sprintf("%s: %s", w.Name, g.Reason), nil
		case g.Phase != Done:
			text = fmt.Sprintf("%s: %s", w.Name, phases(g.Phase))
		default:
			continue
		}
		state = Running
		if why := mute(w, hosts, f.o.Now()); why != "" {
			return Broken, why, nil
		}
		if p := hosts[w.Hosts[0].Name].Paused; p != nil {
			text = fmt.Sprintf("%s: %s paused automation (%s)", w.Name, p.Person, p.Reason)
		}
	}
	if state == "" {
		state = Passed
	}
	return state, text, nil
}

// phases says in words what a group does.
func phases(phase string) string {
	switch phase {
	case Planning:
		return "the change is compared with its hosts"
	case Asking:
		return "somebody has to agree (steer fleet approve)"
	case Canary:
		return "the first host gets it"
	case Soaking:
		return "the first host is watched"
	case Following:
		return "the other hosts get it"
	}
	return phase
}

// mute says that no host of a group has answered for as long as makes one dead: a
// deploy would wait forever.
func mute(w Wanted, hosts map[string]Host, now time.Time) string {
	for _, d := range w.Hosts {
		if h := hosts[d.Name]; h.Silent.IsZero() || now.Sub(h.Silent) < w.Settings.Dead {
			return ""
		}
	}
	return fmt.Sprintf("%s: none of its hosts answers (%s)", w.Name, hosts[w.Hosts[0].Name].Error)
}

// Following lists the hosts of an environment that have a role.
func (f *Fleet) Following(ctx context.Context, role string, e id.Environment) ([]Host, error) {
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := f.known(ctx, wanted)
	if err != nil {
		return nil, err
	}
	var some []Host
	for _, w := range wanted {
		for _, d := range w.Hosts {
			if d.Environment == e && slices.Contains(d.Piped, role) {
				some = append(some, hosts[d.Name])
			}
		}
	}
	return some, nil
}

// forgive gives hosts of a group that failed its candidate another chance.
func forgive(ctx context.Context, tx *sql.Tx, g Group) error {
	hosts, err := readHosts(ctx, tx)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		if h.Group == g.Name && h.State == HasFailed && h.Commit == g.Candidate {
			h.State, h.Commit = Waiting, ""
			if err := writeHost(ctx, tx, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// waits says why hosts have no commit to follow.
func waits(wanted []Wanted, group string) error {
	for _, w := range wanted {
		if w.Name == group && w.Waits != "" {
			return fault.New(fault.Conflict, "%s", w.Waits)
		}
	}
	return fault.New(fault.Unavailable, "the definitions are not read yet (try again)")
}
