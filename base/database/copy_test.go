package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/fault"
)

// A copy made while transactions go on holds whole ones only, all that ended
// before it, and nobody waits for it.
func TestCopy(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		path := filepath.Join(t.TempDir(), "copy.db")
		if db.Dialect() == database.Postgres {
			if err := db.Copy(ctx, path); fault.Of(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := db.Write().ExecContext(ctx, `CREATE TABLE pair (a BIGINT, b BIGINT, filling TEXT)`); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		progress := make(chan int, 1000)
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 0; ; n++ {
				err := db.Tx(ctx, func(tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, `INSERT INTO pair VALUES ($1, 0, hex(zeroblob(2000)))`, n)
					if err == nil {
						_, err = tx.ExecContext(ctx, `UPDATE pair SET b = $1 WHERE a = $1`, n)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				select {
				case progress <- n:
				case <-done:
					return
				}
			}
		})
		defer wg.Wait()
		defer close(done)
		newest := 0
		for newest < 200 {
			newest = <-progress
		}
		if err := db.Copy(ctx, path); err != nil {
			t.Fatal(err)
		}
		for len(progress) > 0 { // the writer went on
			<-progress
		}
		<-progress

		twin, err := database.Open(ctx, "sqlite:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer twin.Close()
		var rows, high, torn int
		if err := twin.Read().QueryRowContext(ctx, `SELECT count(*), max(a), sum(a <> b) FROM pair`).Scan(&rows, &high, &torn); err != nil {
			t.Fatal(err)
		}
		if high < newest || rows != high+1 || torn != 0 {
			t.Errorf("%d rows up to %d, %d of them torn; %d was there before", rows, high, torn, newest)
		}
		var ok string
		if err := twin.Read().QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&ok); err != nil || ok != "ok" {
			t.Errorf("%s %v", ok, err)
		}
		if err := db.Copy(ctx, path); err == nil {
			t.Error("it writes over a file that is there")
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := db.Copy(gone, path+"2"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := db.Copy(ctx, filepath.Join(path, "nowhere")); err == nil {
			t.Error("it writes to a folder that is not there")
		}
		if _, err := os.Stat(path + "2"); err == nil {
			t.Error("a copy that was not made is there")
		}
		for range 4 { // as many as there may be
			conn, err := db.Read().Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.ExecContext(ctx, `INSERT INTO pair VALUES (-1, -1, '')`); err == nil {
				t.Error("a connection for reading can write")
			}
		}
	})
}
