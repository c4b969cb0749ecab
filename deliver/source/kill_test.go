package source

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"steer/base/database"
	"steer/base/event"
	"steer/base/journal"
	"steer/catalog"
)

// The test binary is also a server that gets killed, see TestKill.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "as server" {
		if err := server(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// server follows the repositories in dir and prints each commit before its
// transaction ends.
func server(dir string) error {
	ctx := context.Background()
	db, err := database.Open(ctx, "sqlite:"+filepath.Join(dir, "steer.db"))
	if err != nil {
		return err
	}
	j, err := journal.New(ctx, db)
	if err != nil {
		return err
	}
	if _, err := db.Write().Exec(`CREATE TABLE IF NOT EXISTS taken (n INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT)`); err != nil {
		return err
	}
	s, err := New(ctx, Options{
		DB: db, Journal: j, Dir: dir, Services: func() []catalog.Service { return nil },
		Commit: func(ctx context.Context, tx *sql.Tx, c Commit) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO taken (message) VALUES ($1)`, c.Message)
			fmt.Println(c.Message)
			return err
		},
	})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// A server that is killed again and again in the middle of a commit hands on
// each of them once, in order.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(dir, "steer.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Options{DB: db, Journal: j, Dir: dir, Services: func() []catalog.Service { return nil },
		Commit: func(context.Context, *sql.Tx, Commit) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := s.Repository("catalog", true)
	if err != nil {
		t.Fatal(err)
	}
	work := workCopy(t, numbers(1, 20)...)
	must(t, work, "push", "-q", repo, "main")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		cmd := exec.Command(exe, "as server", dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == round%4 || lines.Text() == "20" {
				break
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	var count, ordered int
	var messages string
	rows, err := db.Read().Query(`SELECT message FROM taken ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var m string
		if err := rows.Scan(&m); err != nil {
			t.Fatal(err)
		}
		count++
		messages += m + " "
		if m == fmt.Sprint(count) {
			ordered++
		}
	}
	events, err := j.Read(t.Context(), journal.Query{Types: []string{event.ChangeMerged}, Limit: 1000})
	if err != nil || count < 5 || ordered != count || len(events) != count {
		t.Errorf("%d taken, %d events, %v: %s", count, len(events), err, messages)
	}
}
