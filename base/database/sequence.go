package database

import (
	"context"
	"embed"
)

//go:embed migrations
var migrations embed.FS

// prepare makes the tables that this package owns.
func (d *DB) prepare(ctx context.Context) (*DB, error) {
	if err := d.Migrate(ctx, "database", migrations); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}
