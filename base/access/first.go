package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"steer/base/event"
	"steer/base/id"
)

// firstName is who the first token belongs to.
const firstName id.Person = "admin"

var errNotFirst = errors.New("there has been a token already")

// First makes the first token, of an admin, if the database never had one, and
// writes it to path, readable by the owner only. It tells whether it did. The file
// is written before the token counts: a crash in between leaves a token that does
// not work, and the next start replaces it.
func (a *Access) First(ctx context.Context, path string) (created bool, err error) {
	var n int
	if err := a.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM access_token`).Scan(&n); err != nil {
		return false, fmt.Errorf("make first token: %w", err)
	}
	if n > 0 {
		return false, nil
	}
	text, hash := secret(tokenPrefix)
	if err := write(path, text+"\n"); err != nil {
		return false, fmt.Errorf("make first token: %w", err)
	}
	err = a.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := a.insert(ctx, tx, Token{Name: firstName, Role: Admin, Creator: event.Steer}, hash); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_token`).Scan(&n); err != nil {
			return err
		}
		if n > 1 {
			return errNotFirst // another server on this database was faster
		}
		return nil
	})
	if err == nil {
		return true, nil
	}
	if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	if errors.Is(err, errNotFirst) || conflict(err) {
		return false, nil
	}
	return false, fmt.Errorf("make first token: %w", err)
}

// write replaces a file at once and durably, so that it never holds half a token.
func write(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".token-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.WriteString(text)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
