package database

import (
	"context"
	"database/sql/driver"
	"fmt"

	"steer/base/fault"
)

// Copy writes the SQLite database as it is at one moment to a new file at path,
// while others read and write. The copy is one file, without free space, and not
// synced. For PostgreSQL, which has tools of its own, the error is fault.Invalid.
func (d *DB) Copy(ctx context.Context, path string) error {
	if d.dialect != SQLite {
		return fault.New(fault.Invalid, "copy database: it is PostgreSQL's to copy (use pg_dump)")
	}
	conn, err := d.read.Conn(ctx)
	if err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	defer conn.Close()
	// VACUUM INTO reads in one transaction, but counts as writing.
	defer func() {
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA query_only(1)`); err != nil {
			conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // it must not go back to the pool
		}
	}()
	if _, err := conn.ExecContext(ctx, `PRAGMA query_only(0)`); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `VACUUM INTO $1`, path); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return nil
}
