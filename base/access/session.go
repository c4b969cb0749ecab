package access

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steer/base/database"
	"steer/base/fault"
)

// longest is how long a session lasts at most, however much it is used.
const longest = 30 * 24 * time.Hour

// NewSession starts a session of who, which Verify returned, and returns the value
// of its cookie and when it ends at the latest. It ends earlier when it is not used
// for the time of Options.Idle, when it is ended, and when the token is revoked.
func (a *Access) NewSession(ctx context.Context, who Identity) (value string, until time.Time, err error) {
	value, hash := secret("")
	now := a.now()
	err = a.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM access_session WHERE seen < $1 OR created < $2`,
			database.Micros(now.Add(-a.idle)), database.Micros(now.Add(-longest))); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO access_session (hash, token, created, seen)
			SELECT $1, id, CAST($2 AS BIGINT), CAST($2 AS BIGINT) FROM access_token WHERE id = $3 AND revoked = 0`,
			hash, database.Micros(now), who.token)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return fault.New(fault.Anonymous, "the token was revoked")
		}
		return nil
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("log in %s: %w", who.Name, err)
	}
	return value, now.Add(longest), nil
}

// Session returns whose session it is, or an error of kind Anonymous.
func (a *Access) Session(ctx context.Context, value string) (Identity, error) {
	hash, now := digest(value), a.now()
	who, stored, seen, err := a.identity(ctx, `SELECT t.id, t.name, t.role, t.environments, s.hash, s.seen
		FROM access_session s JOIN access_token t ON t.id = s.token
		WHERE s.hash = $1 AND t.revoked = 0 AND s.seen >= $2 AND s.created >= $3`,
		hash, database.Micros(now.Add(-a.idle)), database.Micros(now.Add(-longest)))
	if errors.Is(err, sql.ErrNoRows) || err == nil && subtle.ConstantTimeCompare([]byte(stored), []byte(hash)) != 1 {
		return Identity{}, fault.New(fault.Anonymous, "the session has ended: log in again")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up session: %w", err)
	}
	a.touch(ctx, seen, `UPDATE access_session SET seen = $1 WHERE hash = $2`, hash)
	return who, nil
}

// EndSession ends a session; one that is over is no error.
func (a *Access) EndSession(ctx context.Context, value string) error {
	if _, err := a.db.Write().ExecContext(ctx, `DELETE FROM access_session WHERE hash = $1`, digest(value)); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}
