// Package database opens the SQL database that holds the journal, durable work
// and the tables derived from them: SQLite in the data folder, or PostgreSQL.
//
// One SQL text serves both. It uses $1 placeholders by number, RETURNING and
// ON CONFLICT; columns are TEXT, BIGINT, DOUBLE PRECISION and BOOLEAN; times are
// BIGINT microseconds since 1970 (see Micros); JSON is TEXT; identifiers are
// TEXT made by package id, or numbers from Next.
package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/pressly/goose/v3"
	gooseDB "github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // driver "sqlite"

	"steer/base/fault"
)

// Dialect tells the two databases apart where one text cannot serve both.
type Dialect string

// The databases.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// DB is an open database. SQLite has one writer at a time, so all writes go
// through Tx or Write, and a function that holds a Tx must not start another.
type DB struct {
	dialect Dialect
	write   *sql.DB
	read    *sql.DB
}

// Open opens url: "sqlite:PATH" (made when absent) or "postgres://…".
func Open(ctx context.Context, url string) (*DB, error) {
	switch scheme, rest, _ := strings.Cut(url, ":"); scheme {
	case "sqlite":
		return openSQLite(ctx, rest)
	case "postgres", "postgresql":
		return openPostgres(ctx, url)
	}
	return nil, fault.New(fault.Invalid, "open database %q: unknown kind (use sqlite:PATH or postgres://USER@HOST/NAME)", redact(url))
}

// synchronous=FULL: what a transaction acknowledged survives power loss.
const pragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	file := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas
	write, err := sql.Open("sqlite", file+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := write.PingContext(ctx); err != nil {
		write.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	read, err := sql.Open("sqlite", file+"&_pragma=query_only(1)")
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	read.SetMaxOpenConns(4)
	return (&DB{SQLite, write, read}).prepare(ctx)
}

func openPostgres(ctx context.Context, url string) (*DB, error) {
	pool, err := sql.Open("pgx", url)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", redact(url), err)
	}
	pool.SetMaxOpenConns(16)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, fault.New(fault.Unavailable, "open database %s: %w", redact(url), err)
	}
	return (&DB{Postgres, pool, pool}).prepare(ctx)
}

// redact keeps passwords out of error texts.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Redacted()
}

// Dialect says which database this is.
func (d *DB) Dialect() Dialect { return d.dialect }

// Read is the pool for queries outside of transactions.
func (d *DB) Read() *sql.DB { return d.read }

// Write is the pool for single writing statements, and for libraries that bring
// their own transactions.
func (d *DB) Write() *sql.DB { return d.write }

// Tx runs f in a writing transaction, which commits when f returns nil. Under
// SQLite it is the only one, so f must be short and do no other I/O.
func (d *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Migrate brings the tables of one owning package to the newest version. Each
// package keeps its goose files (00001_name.sql, …) in a folder "migrations" and
// its own version table OWNER_version, so that no two packages share a number.
func (d *DB) Migrate(ctx context.Context, owner string, files fs.FS) error {
	dialect := gooseDB.DialectSQLite3
	if d.dialect == Postgres {
		dialect = gooseDB.DialectPostgres
	}
	versions, err := gooseDB.NewStore(dialect, owner+"_version")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	p, err := goose.NewProvider("", d.write, sub, goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	unlock, err := d.lockSchema(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	defer unlock()
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	return nil
}

// lockSchema waits until no other server changes tables. Several that start on
// one PostgreSQL would otherwise make the same table. SQLite has one server.
func (d *DB) lockSchema(ctx context.Context) (unlock func(), err error) {
	if d.dialect != Postgres {
		return func() {}, nil
	}
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	const key = 0x5354454552 // "STEER"
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", key); err != nil {
		conn.Close()
		return nil, fmt.Errorf("wait for other servers that migrate: %w", err)
	}
	return func() {
		// The lock belongs to the session: one that cannot be unlocked must not
		// go back to the pool.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", key); err != nil {
			conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		conn.Close()
	}, nil
}

// Next returns the next number of the named sequence, starting at 1. Numbers
// have no gaps and become visible in order, since the row stays locked until the
// transaction ends.
func Next(ctx context.Context, tx *sql.Tx, sequence string) (int64, error) {
	var n int64
	err := tx.QueryRowContext(ctx, `INSERT INTO sequence (name, value) VALUES ($1, 1)
		ON CONFLICT (name) DO UPDATE SET value = sequence.value + 1 RETURNING value`, sequence).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("number from sequence %s: %w", sequence, err)
	}
	return n, nil
}

// Micros is how times are stored; the zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of Micros, in UTC.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Close waits for running statements and closes the files or connections.
func (d *DB) Close() error {
	err := d.write.Close()
	if d.read != d.write {
		if e := d.read.Close(); err == nil {
			err = e
		}
	}
	return err
}
