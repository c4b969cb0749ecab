package database_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
)

func TestNextHasNoGapsUnderConcurrency(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		seen := make([]bool, 41)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 10 {
					err := db.Tx(ctx, func(tx *sql.Tx) error {
						n, err := database.Next(ctx, tx, "run")
						mu.Lock()
						defer mu.Unlock()
						if err == nil && (n > 40 || seen[n]) {
							t.Errorf("number %d twice", n)
						} else if err == nil {
							seen[n] = true
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for n, ok := range seen[1:] {
			if !ok {
				t.Errorf("number %d missing", n+1)
			}
		}
	})
}

func TestTxRollsBackOnError(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		wrong := errors.New("wrong")
		if err := db.Tx(ctx, func(tx *sql.Tx) error {
			if _, err := database.Next(ctx, tx, "x"); err != nil {
				return err
			}
			return wrong
		}); err != wrong {
			t.Fatal(err)
		}
		var n int
		if err := db.Read().QueryRow(`SELECT count(*) FROM sequence WHERE name = $1`, "x").Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d rows, %v", n, err)
		}
	})
}

func TestServersThatStartTogetherMigrateOnce(t *testing.T) {
	url := databasetest.PostgresURL(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := database.Open(context.Background(), url)
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	wg.Wait()
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"mysql://u:secret@h/d":                                "use sqlite:PATH or postgres://",
		"postgres://u:secret@127.0.0.1:1/d?connect_timeout=1": "open database postgres://u:xxxxx@127.0.0.1:1",
	} {
		_, err := database.Open(context.Background(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v, want %q and no password", url, err, want)
		}
	}
}

func TestTimeRoundTrip(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	if !database.Time(database.Micros(now)).Equal(now) || !database.Time(database.Micros(time.Time{})).IsZero() {
		t.Fatal("time changed")
	}
}
