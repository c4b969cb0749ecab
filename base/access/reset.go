package access

import (
	"context"
	"database/sql"
	"fmt"

	"steer/base/database"
	"steer/base/event"
)

// Reset is for when no admin's token is left in anybody's hands: it makes a new
// one of firstName, whose old token and sessions end, and writes it to path as
// First does. Whoever calls it must have shown that they may in another way.
func (a *Access) Reset(ctx context.Context, path string) error {
	text, hash := secret(tokenPrefix)
	if err := write(path, text+"\n"); err != nil {
		return fmt.Errorf("reset token %s: %w", firstName, err)
	}
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM access_session WHERE token IN (SELECT id FROM access_token WHERE name = $1)`, string(firstName)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE access_token SET revoked = $1 WHERE name = $2 AND revoked = 0`, database.Micros(a.now()), string(firstName)); err != nil {
			return err
		}
		if err := a.append(ctx, tx, event.TokenRevoked, event.Steer, firstName, fmt.Sprintf("The token of %s is replaced on the server's machine", firstName)); err != nil {
			return err
		}
		return a.insert(ctx, tx, Token{Name: firstName, Role: Admin, Creator: event.Steer}, hash)
	})
	if err != nil {
		return fmt.Errorf("reset token %s: %w", firstName, err)
	}
	return nil
}
