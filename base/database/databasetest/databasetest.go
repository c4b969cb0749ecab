// Package databasetest runs a test on each database that Steer supports.
package databasetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/database"
	"steer/base/id"
)

// Each runs f on a fresh SQLite database and on a fresh PostgreSQL database. The
// server for the latter is named by STEER_TEST_POSTGRES, a URL of a user who may
// create databases.
func Each(t *testing.T, f func(t *testing.T, db *database.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, open(t, PostgresURL(t))) })
}

// SQLite opens a fresh SQLite database that goes with the test.
func SQLite(t *testing.T) *database.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "steer.db"))
}

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// PostgresURL makes a database on the test server that goes with the test. The
// test is skipped without a server, or fails if STEER_REQUIRE_ALL is set.
func PostgresURL(t *testing.T) string {
	t.Helper()
	server := os.Getenv("STEER_TEST_POSTGRES")
	if server == "" {
		const why = "no PostgreSQL: set STEER_TEST_POSTGRES to the URL of a user who may create databases"
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "steer_test_" + strings.ReplaceAll(id.New(), "-", "")
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		admin.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
