package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

//go:embed migrations
var migrations embed.FS

// Prefixes of what a host shows: a token to join with, once, and its credential.
const (
	tokenPrefix      = "join_"
	credentialPrefix = "host_"
)

// Bounds of an invitation.
const (
	Patience        = time.Hour // how long an invitation is good for when nothing else is said
	longestPatience = 30 * 24 * time.Hour
)

// secret makes an unguessable text, and its hash.
func secret(prefix string) (text, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails: the runtime ends the program instead
	text = prefix + hex.EncodeToString(b[:])
	return text, digest(text)
}

// digest needs no salt: what it hashes has 256 random bits.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Invitation lets one host join, once.
type Invitation struct {
	Host    id.Host   `json:"host"`
	Token   string    `json:"token" doc:"Shown only now."`
	Expires time.Time `json:"expires"`
}

// Invite makes an invitation for a host; one from before that was not used ends.
func (r *Registry) Invite(ctx context.Context, actor id.Person, host id.Host, lasts time.Duration) (Invitation, error) {
	if _, err := id.Parse[id.Host]("host", string(host)); err != nil {
		return Invitation{}, fault.New(fault.Invalid, "invite a host: %w", err)
	}
	if lasts = cmp.Or(lasts, Patience); lasts < 0 || lasts > longestPatience {
		return Invitation{}, fault.New(fault.Invalid, "invite %s: %s is no time for an invitation (give up to 720h)", host, lasts)
	}
	token, hash := secret(tokenPrefix)
	now := r.now()
	i := Invitation{Host: host, Token: token, Expires: now.Add(lasts).UTC().Truncate(time.Second)}
	err := r.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM agent_invitation WHERE host = $1 AND used = 0 OR expires < $2`,
			string(host), database.Micros(now.Add(-longestPatience))); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO agent_invitation (hash, host, created, creator, expires, used) VALUES ($1, $2, $3, $4, $5, 0)`,
			hash, string(host), database.Micros(now), string(actor), database.Micros(i.Expires)); err != nil {
			return err
		}
		return r.append(ctx, tx, event.HostInvited, host, actor, fmt.Sprintf("%s may join until %s", host, i.Expires.Format(time.RFC3339)))
	})
	if err != nil {
		return Invitation{}, fmt.Errorf("invite %s: %w", host, err)
	}
	return i, nil
}

func (r *Registry) append(ctx context.Context, tx *sql.Tx, kind string, host id.Host, actor id.Person, summary string) error {
	return r.journal(ctx, tx, &event.Event{Source: "/steer/agent", Type: kind, Subject: Subject(host), Time: r.now(), Summary: summary, Actor: actor})
}

// Subject is what events about a host are about.
func Subject(host id.Host) string { return "host/" + string(host) }

// isMachine tells whether a text can be from /etc/machine-id; "" is a machine without.
func isMachine(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz-") == ""
}

// Joined is what a host gets for its invitation.
type Joined struct {
	Host       id.Host `json:"host"`
	Credential string  `json:"credential"`
}

// Join takes a token for a credential. A host that joined before gets a new one, and
// the old one ends.
func (r *Registry) Join(ctx context.Context, token, machine string) (Joined, error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return Joined{}, fault.New(fault.Anonymous, "join: this is no token to join with (steer host invite NAME makes one)")
	}
	if !isMachine(machine) {
		return Joined{}, fault.New(fault.Invalid, "join: %.80q is no machine id", machine)
	}
	credential, hash := secret(credentialPrefix)
	j := Joined{Credential: credential}
	now := database.Micros(r.now())
	err := r.db.Tx(ctx, func(tx *sql.Tx) error {
		var creator string
		var expires, used int64
		// The update takes the row, so that of two who come at once one is late.
		err := tx.QueryRowContext(ctx, `UPDATE agent_invitation SET created = created WHERE hash = $1 RETURNING host, creator, expires, used`, digest(token)).
			Scan(&j.Host, &creator, &expires, &used)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.New(fault.Anonymous, "the token is not valid: it is mistyped, or a newer one for the host took its place (steer host invite NAME)")
		case err != nil:
			return err
		case used != 0:
			return fault.New(fault.Anonymous, "the token was used already, %s (steer host invite %s makes another; if this host did not use it, revoke %s)",
				database.Time(used).UTC().Format(time.RFC3339), j.Host, j.Host)
		case expires < now:
			return fault.New(fault.Anonymous, "the token was good until %s (steer host invite %s makes another)", database.Time(expires).UTC().Format(time.RFC3339), j.Host)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE agent_invitation SET used = $1 WHERE hash = $2`, now, digest(token)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO agent_host (host, hash, machine, joined, creator, seen, revoked) VALUES ($1, $2, $3, $4, $5, $4, 0)
			ON CONFLICT (host) DO UPDATE SET hash = excluded.hash, machine = excluded.machine, joined = excluded.joined, creator = excluded.creator, seen = excluded.seen, revoked = 0`,
			string(j.Host), hash, machine, now, creator); err != nil {
			return err
		}
		return r.append(ctx, tx, event.HostJoined, j.Host, id.Person(creator), fmt.Sprintf("%s joined, machine %s", j.Host, cmp.Or(machine, "unknown")))
	})
	if err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	r.drop(j.Host)
	return j, nil
}

// Verify returns the host that has a credential, or an error of kind Anonymous.
func (r *Registry) Verify(ctx context.Context, credential string) (id.Host, error) {
	var host id.Host
	var seen int64
	hash := digest(credential)
	err := r.db.Read().QueryRowContext(ctx, `SELECT host, seen FROM agent_host WHERE hash = $1 AND revoked = 0`, hash).Scan(&host, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fault.New(fault.Anonymous, "this identity of a host is not valid: it was revoked, or the host joined again elsewhere (steer host invite NAME; on the host steer agent leave, then join)")
	}
	if err != nil {
		return "", fmt.Errorf("verify a host: %w", err)
	}
	if now := r.now(); now.Sub(database.Time(seen)) >= time.Minute {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // a later request notes it
		defer cancel()
		_, _ = r.db.Write().ExecContext(ctx, `UPDATE agent_host SET seen = $1 WHERE hash = $2`, database.Micros(now), hash)
	}
	return host, nil
}

// Revoke ends the identity of a host, with its connections. The reason is for the
// journal; a host that leaves by itself is revoked by Steer.
func (r *Registry) Revoke(ctx context.Context, actor id.Person, host id.Host, reason string) error {
	err := r.db.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE agent_host SET revoked = $1 WHERE host = $2 AND revoked = 0`, database.Micros(r.now()), string(host))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		result, err = tx.ExecContext(ctx, `DELETE FROM agent_invitation WHERE host = $1 AND used = 0`, string(host))
		if err != nil {
			return err
		}
		if invited, err := result.RowsAffected(); err != nil {
			return err
		} else if n+invited == 0 {
			return fault.New(fault.NotFound, "no host of this name has joined or is invited (steer host agents)")
		}
		return r.journal(ctx, tx, &event.Event{Source: "/steer/agent", Type: event.HostLeft, Subject: Subject(host), Time: r.now(),
			Summary: fmt.Sprintf("%s is no longer joined", host), Reason: reason, Actor: actor})
	})
	if err != nil {
		return fmt.Errorf("revoke %s: %w", host, err)
	}
	r.drop(host)
	return nil
}

// Info is what is known of a host that joined.
type Info struct {
	Host      id.Host   `json:"host"`
	Joined    time.Time `json:"joined"`
	Creator   id.Person `json:"creator" doc:"Who invited it."`
	Seen      time.Time `json:"seen" doc:"Last request, to the minute."`
	Machine   string    `json:"machine,omitempty" doc:"Its /etc/machine-id."`
	Connected bool      `json:"connected"`
	Version   string    `json:"version,omitempty" doc:"Of its agent, when connected."`
	Paused    bool      `json:"paused"`
}

// List returns the joined hosts by name.
func (r *Registry) List(ctx context.Context) ([]Info, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT host, joined, creator, seen, machine FROM agent_host WHERE revoked = 0`)
	if err != nil {
		return nil, fmt.Errorf("list hosts that joined: %w", err)
	}
	defer rows.Close()
	var all []Info
	for rows.Next() {
		var i Info
		var joined, seen int64
		if err := rows.Scan(&i.Host, &joined, &i.Creator, &seen, &i.Machine); err != nil {
			return nil, fmt.Errorf("list hosts that joined: %w", err)
		}
		i.Joined, i.Seen = database.Time(joined), database.Time(seen)
		i.Version, i.Connected = r.connected(i.Host)
		i.Paused = r.paused(i.Host)
		all = append(all, i)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list hosts that joined: %w", err)
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.Host, b.Host) })
	return all, nil
}
