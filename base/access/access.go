// Package access knows who may do what: tokens with a role, and the sessions of
// browsers that logged in with one. Only hashes of both are stored. A token that
// is revoked fails at once, and so do its sessions.
package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// Append writes an event to the journal in the caller's transaction.
type Append func(ctx context.Context, tx *sql.Tx, e *event.Event) error

// Options is what the server hands in.
type Options struct {
	DB      *database.DB
	Journal Append
	Idle    time.Duration    // a session that is not used for so long ends; 0: 12 hours
	Now     func() time.Time // nil: the system's clock
}

// Access is safe for concurrent use.
type Access struct {
	db      *database.DB
	journal Append
	idle    time.Duration
	now     func() time.Time
	failed  limiter
}

// New makes the tables where they are missing.
func New(ctx context.Context, o Options) (*Access, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Idle < 0 {
		return nil, fault.New(fault.Invalid, "sessions cannot end after %s without use (give a positive time)", o.Idle)
	}
	if err := o.DB.Migrate(ctx, "access", migrations); err != nil {
		return nil, err
	}
	return &Access{db: o.DB, journal: o.Journal, idle: cmp.Or(o.Idle, 12*time.Hour), now: o.Now}, nil
}

// Token is what is known of a valid token.
type Token struct {
	Name         id.Person        `json:"name"`
	Role         Role             `json:"role"`
	Environments []id.Environment `json:"environments,omitempty"` // only there, elsewhere viewer; none: everywhere
	Created      time.Time        `json:"created"`
	Creator      id.Person        `json:"creator"`
	Used         time.Time        `json:"used,omitzero"` // last time, to the minute; zero: never
}

// secret makes a new unguessable text, and its hash.
func secret(prefix string) (text, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails: the runtime ends the program instead
	text = prefix + hex.EncodeToString(b[:])
	return text, digest(text)
}

// digest needs no salt and no slowness, since what it hashes has 256 random bits.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

const tokenPrefix = "steer_"

// Create makes a token for a person or program and returns it; it cannot be read
// again. With environments the role holds only there, and the token may look
// elsewhere. A name has one valid token at a time.
func (a *Access) Create(ctx context.Context, actor, name id.Person, role Role, environments ...id.Environment) (string, error) {
	t := Token{Name: name, Role: role, Environments: environments, Creator: actor}
	if err := t.check(); err != nil {
		return "", err
	}
	text, hash := secret(tokenPrefix)
	if err := a.db.Tx(ctx, func(tx *sql.Tx) error { return a.insert(ctx, tx, t, hash) }); err != nil {
		return "", fmt.Errorf("create token %s: %w", name, err)
	}
	return text, nil
}

func (t Token) check() error {
	if _, err := id.Parse[id.Person]("person", string(t.Name)); err != nil {
		return fault.New(fault.Invalid, "create token: %w", err)
	}
	if t.Name == event.Steer {
		return fault.New(fault.Invalid, "create token %s: this is the name that Steer itself acts under (choose another)", t.Name)
	}
	if _, err := id.Parse[id.Person]("actor", string(t.Creator)); err != nil {
		return fault.New(fault.Invalid, "create token %s: %w", t.Name, err)
	}
	if _, err := ParseRole(t.Role.String()); err != nil {
		return fault.New(fault.Invalid, "create token %s: %w", t.Name, err)
	}
	for _, e := range t.Environments {
		if _, err := id.Parse[id.Environment]("environment", string(e)); err != nil {
			return fault.New(fault.Invalid, "create token %s: %w", t.Name, err)
		}
	}
	return nil
}

func (a *Access) insert(ctx context.Context, tx *sql.Tx, t Token, hash string) error {
	environments, err := json.Marshal(append([]id.Environment{}, t.Environments...))
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO access_token (id, name, hash, role, environments, created, creator, used, revoked)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0) ON CONFLICT DO NOTHING`,
		id.New(), string(t.Name), hash, t.Role.String(), string(environments), database.Micros(a.now()), string(t.Creator))
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return fault.New(fault.Conflict, "%s has a token (revoke it first, or choose another name)", t.Name)
	}
	where := "everywhere"
	if len(t.Environments) > 0 {
		where = "in " + strings.Join(texts(t.Environments), ", ")
	}
	return a.append(ctx, tx, event.TokenCreated, t.Creator, t.Name, fmt.Sprintf("%s may enter as %s %s", t.Name, t.Role, where))
}

func (a *Access) append(ctx context.Context, tx *sql.Tx, kind string, actor, name id.Person, summary string) error {
	return a.journal(ctx, tx, &event.Event{Source: "/steer/access", Type: kind, Subject: "token/" + string(name),
		Time: a.now(), Summary: summary, Actor: actor})
}

// Revoke makes a person's token and its sessions invalid. The last admin's token
// stays, since nobody could make another.
func (a *Access) Revoke(ctx context.Context, actor, name id.Person) error {
	if _, err := id.Parse[id.Person]("actor", string(actor)); err != nil {
		return fault.New(fault.Invalid, "revoke token %s: %w", name, err)
	}
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		// Writing first takes the rows, so that of two admins who revoke each
		// other at once the second sees what the first did.
		if _, err := tx.ExecContext(ctx, `UPDATE access_token SET revoked = 0 WHERE revoked = 0 AND role = $1`, Admin.String()); err != nil {
			return err
		}
		var token, role, environments string
		err := tx.QueryRowContext(ctx, `UPDATE access_token SET revoked = $1 WHERE name = $2 AND revoked = 0 RETURNING id, role, environments`,
			database.Micros(a.now()), string(name)).Scan(&token, &role, &environments)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotFound, "there is no valid token of this name (steer token list)")
		} else if err != nil {
			return err
		}
		var admins int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_token WHERE revoked = 0 AND role = $1 AND environments = '[]'`, Admin.String()).Scan(&admins); err != nil {
			return err
		}
		if admins == 0 && role == Admin.String() && environments == "[]" {
			return fault.New(fault.Conflict, "it is the last token of an admin (make another one first)")
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM access_session WHERE token = $1`, token); err != nil {
			return err
		}
		return a.append(ctx, tx, event.TokenRevoked, actor, name, fmt.Sprintf("%s may no longer enter", name))
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", name, err)
	}
	return nil
}

// List returns the valid tokens by name.
func (a *Access) List(ctx context.Context) ([]Token, error) {
	rows, err := a.db.Read().QueryContext(ctx, `SELECT name, role, environments, created, creator, used FROM access_token WHERE revoked = 0 ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	defer rows.Close()
	var all []Token
	for rows.Next() {
		var t Token
		var role, environments string
		var created, used int64
		if err := rows.Scan(&t.Name, &role, &environments, &created, &t.Creator, &used); err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		if t.Role, t.Environments, err = rights(role, environments); err != nil {
			return nil, fmt.Errorf("list tokens: %s: %w", t.Name, err)
		}
		t.Created, t.Used = database.Time(created), database.Time(used)
		all = append(all, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	slices.SortFunc(all, func(x, y Token) int { return cmp.Compare(x.Name, y.Name) }) // databases sort differently
	return all, nil
}

// rights reads what insert stored.
func rights(role, environments string) (r Role, in []id.Environment, err error) {
	if r, err = ParseRole(role); err != nil {
		return 0, nil, err
	}
	err = json.Unmarshal([]byte(environments), &in)
	return r, in, err
}

// Verify returns who has the token, or an error of kind Anonymous.
func (a *Access) Verify(ctx context.Context, token string) (Identity, error) {
	refused := fault.New(fault.Anonymous, "the token is not valid: it is mistyped or was revoked")
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(rest) != 64 {
		return Identity{}, refused
	}
	hash := digest(token)
	who, stored, used, err := a.identity(ctx, `SELECT t.id, t.name, t.role, t.environments, t.hash, t.used FROM access_token t
		WHERE t.hash = $1 AND t.revoked = 0`, hash)
	if errors.Is(err, sql.ErrNoRows) || err == nil && subtle.ConstantTimeCompare([]byte(stored), []byte(hash)) != 1 {
		return Identity{}, refused
	}
	if err != nil {
		return Identity{}, fmt.Errorf("verify token: %w", err)
	}
	a.touch(ctx, used, `UPDATE access_token SET used = $1 WHERE hash = $2`, hash)
	return who, nil
}

// identity runs a query for the columns of a token, and the hash and last use of
// what was shown.
func (a *Access) identity(ctx context.Context, query string, args ...any) (who Identity, stored string, used int64, err error) {
	var role, environments string
	if err := a.db.Read().QueryRowContext(ctx, query, args...).Scan(&who.token, &who.Name, &role, &environments, &stored, &used); err != nil {
		return Identity{}, "", 0, err
	}
	r, in, err := rights(role, environments)
	if err != nil {
		return Identity{}, "", 0, err
	}
	if who.Role = r; len(in) > 0 {
		who.Role, who.Environments = Viewer, map[id.Environment]Role{}
		for _, e := range in {
			who.Environments[e] = r
		}
	}
	return who, stored, used, nil
}

// touch notes a use, at most once a minute. It must not hold up or fail a request
// when the database is busy writing: then a later request notes it.
func (a *Access) touch(ctx context.Context, used int64, update, hash string) {
	now := a.now()
	if now.Sub(database.Time(used)) < time.Minute {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = a.db.Write().ExecContext(ctx, update, database.Micros(now), hash)
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func texts[T ~string](all []T) []string {
	var out []string
	for _, t := range all {
		out = append(out, string(t))
	}
	return out
}
