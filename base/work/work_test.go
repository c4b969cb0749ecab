package work_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/base/work"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t *testing.T, o work.Options) *work.Queue {
	t.Helper()
	if o.Instance == "" {
		o.Instance = "here"
	}
	o.Log = quiet
	q, err := work.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// start runs the queue; the returned function ends it and waits. The test's end
// does so too.
func start(t *testing.T, q *work.Queue) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := q.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func add(t *testing.T, db *database.DB, q *work.Queue, items ...work.Item) {
	t.Helper()
	if err := db.Tx(t.Context(), func(tx *sql.Tx) error {
		for _, i := range items {
			if err := q.Add(t.Context(), tx, i); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened for 20 s")
		panic("unreachable")
	}
}

// rows counts the jobs in a state, "" for all.
func rows(t *testing.T, db *database.DB, state string) (n int) {
	t.Helper()
	if err := db.Read().QueryRow("SELECT count(*) FROM work_job WHERE $1 IN ('', state)", state).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// empty waits until no unfinished job is left.
func empty(t *testing.T, db *database.DB) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for rows(t, db, "due")+rows(t, db, "running") > 0 {
		if time.Now().After(deadline) {
			t.Fatal("jobs are left after 20 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestJobLivesAndDiesWithItsTransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := open(t, work.Options{DB: db})
		ran := make(chan string, 10)
		q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error {
			var s string
			err := j.Decode(&s)
			ran <- s
			return err
		}})
		start(t, q)
		wrong := errors.New("wrong")
		if err := db.Tx(t.Context(), func(tx *sql.Tx) error {
			if err := q.Add(t.Context(), tx, work.Item{Kind: "k", Body: "never"}); err != nil {
				return err
			}
			return wrong
		}); err != wrong {
			t.Fatal(err)
		}
		add(t, db, q, work.Item{Kind: "k", Body: "yes"})
		if got := next(t, ran); got != "yes" {
			t.Errorf("ran %q", got)
		}
		empty(t, db)
		if n := rows(t, db, ""); n != 0 || len(ran) != 0 {
			t.Errorf("%d rows and %d runs are left", n, len(ran))
		}
	})
}

func TestOneUnfinishedJobPerKey(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := open(t, work.Options{DB: db})
		var mu sync.Mutex
		ran := map[string]int{}
		q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error {
			mu.Lock()
			defer mu.Unlock()
			ran[j.Key+string(j.Body)]++
			return nil
		}})
		// Many at the same time: still one row.
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					if err := db.Tx(t.Context(), func(tx *sql.Tx) error {
						return q.Add(t.Context(), tx, work.Item{Kind: "k", Key: "a", Body: 1})
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		add(t, db, q, work.Item{Kind: "k", Key: "a", Body: 2}, // the newest body counts
			work.Item{Kind: "k", Key: "b", Body: 1},
			work.Item{Kind: "k"}, work.Item{Kind: "k"}) // without a key each is its own
		if n := rows(t, db, ""); n != 4 {
			t.Fatalf("%d rows", n)
		}
		start(t, q)
		empty(t, db)
		if got := fmt.Sprint(ran); got != "map[a2:1 b1:1 null:2]" {
			t.Error(got)
		}
		// Finished: the key is free.
		add(t, db, q, work.Item{Kind: "k", Key: "a", Body: 2})
		empty(t, db)
		if ran["a2"] != 2 {
			t.Errorf("a finished key did not run again: %v", ran)
		}
	})
}

func TestEarlierTimeWins(t *testing.T) {
	db := databasetest.SQLite(t)
	q := open(t, work.Options{DB: db})
	ran := make(chan string, 10)
	q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error { ran <- j.Key; return nil }})
	hour := time.Now().Add(time.Hour)
	add(t, db, q, work.Item{Kind: "k", Key: "a", At: hour}, work.Item{Kind: "k", Key: "later", At: hour})
	add(t, db, q, work.Item{Kind: "k", Key: "a"}, work.Item{Kind: "k", Key: "a", At: hour})
	start(t, q)
	if got := next(t, ran); got != "a" {
		t.Error(got)
	}
	at := time.Now().Add(300 * time.Millisecond)
	add(t, db, q, work.Item{Kind: "k", Key: "soon", At: at})
	if got := next(t, ran); got != "soon" || time.Now().Before(at) {
		t.Errorf("%s ran %s too early", got, time.Until(at))
	}
	if n := rows(t, db, "due"); n != 1 {
		t.Errorf("%d jobs wait, want the one for later", n)
	}
}

// A wish that comes while the job runs must not be lost: the handler may have
// read the state before the wish's transaction changed it.
func TestAddedWhileItRunsRunsOnceMore(t *testing.T) {
	for name, end := range map[string]error{"done": nil, "snoozed": work.Snooze(time.Hour), "given up": work.Stop(errors.New("no"))} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				q := open(t, work.Options{DB: db})
				ran, release := make(chan string), make(chan struct{})
				q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error {
					ran <- string(j.Body)
					if string(j.Body) == "1" {
						<-release
						return end
					}
					return nil
				}})
				start(t, q)
				add(t, db, q, work.Item{Kind: "k", Key: "a", Body: 1})
				next(t, ran)
				add(t, db, q, work.Item{Kind: "k", Key: "a", Body: 2})
				add(t, db, q, work.Item{Kind: "k", Key: "a", Body: 3})
				select {
				case b := <-ran:
					t.Fatalf("%s runs beside 1", b)
				case <-time.After(150 * time.Millisecond): // three polls
				}
				close(release)
				if got := next(t, ran); got != "3" {
					t.Errorf("then ran %s, want the newest wish", got)
				}
				empty(t, db)
			})
		})
	}
}

func TestRetrySnoozeStopAndDead(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := open(t, work.Options{DB: db})
		var mu sync.Mutex
		var log []string
		dead := make(chan string, 10)
		snoozed := false
		note := func(j work.Job) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, fmt.Sprintf("%s%d", j.Key, j.Attempt))
		}
		q.Handle("k", work.Handler{
			MaxAttempts: 3,
			Backoff:     func(n int) time.Duration { return time.Duration(n) * 20 * time.Millisecond },
			Do: func(_ context.Context, j work.Job) error {
				note(j)
				switch {
				case j.Key == "heals" && j.Attempt < 3:
					return errors.New("not yet")
				case j.Key == "dies":
					return errors.New("never")
				case j.Key == "panics":
					panic("ouch")
				case j.Key == "stops":
					return fmt.Errorf("wrapped: %w", work.Stop(errors.New("pointless")))
				case j.Key == "undecodable":
					var n int
					return j.Decode(&n)
				case j.Key == "snoozes" && !snoozed:
					snoozed = true
					return fmt.Errorf("wrapped: %w", work.Snooze(30*time.Millisecond))
				}
				return nil
			},
			Dead: func(_ context.Context, j work.Job, err error) {
				dead <- j.Key + ": " + strings.SplitN(err.Error(), "\n", 2)[0]
				panic("a panic here changes nothing")
			},
		})
		start(t, q)
		for _, k := range []string{"heals", "dies", "panics", "stops", "undecodable", "snoozes"} {
			add(t, db, q, work.Item{Kind: "k", Key: k, Body: "text"})
		}
		empty(t, db)
		sort.Strings(log)
		want := "[dies1 dies2 dies3 heals1 heals2 heals3 panics1 panics2 panics3 snoozes1 snoozes1 stops1 undecodable1]"
		if got := fmt.Sprint(log); got != want {
			t.Errorf("attempts\n%s, want\n%s", got, want)
		}
		close(dead)
		var deaths []string
		for d := range dead {
			deaths = append(deaths, d)
		}
		sort.Strings(deaths)
		if got := strings.Join(deaths, "|"); !strings.HasPrefix(got, "dies: never|panics: panic: ouch|stops: pointless|undecodable: decode body of job k undecodable") || len(deaths) != 4 {
			t.Errorf("given up: %s", got)
		}
		if n := rows(t, db, "dead"); n != 4 {
			t.Errorf("%d dead rows", n)
		}
	})
}

func TestFailedAttemptWaitsAlsoIfAddedAgain(t *testing.T) {
	db := databasetest.SQLite(t)
	q := open(t, work.Options{DB: db})
	ran := make(chan int, 10)
	q.Handle("k", work.Handler{
		Backoff: func(int) time.Duration { return time.Hour },
		Do:      func(_ context.Context, j work.Job) error { ran <- j.Attempt; return errors.New("away") },
	})
	start(t, q)
	add(t, db, q, work.Item{Kind: "k", Key: "a"})
	next(t, ran)
	deadline := time.Now().Add(5 * time.Second)
	for rows(t, db, "due") == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	add(t, db, q, work.Item{Kind: "k", Key: "a"})
	select {
	case <-ran:
		t.Error("adding it again ended the pause after a failure")
	case <-time.After(150 * time.Millisecond):
	}
}

func TestTimeout(t *testing.T) {
	db := databasetest.SQLite(t)
	q := open(t, work.Options{DB: db})
	dead := make(chan error, 1)
	q.Handle("k", work.Handler{
		MaxAttempts: 1, Timeout: 20 * time.Millisecond,
		Do:   func(ctx context.Context, _ work.Job) error { <-ctx.Done(); return ctx.Err() },
		Dead: func(_ context.Context, _ work.Job, err error) { dead <- err },
	})
	start(t, q)
	add(t, db, q, work.Item{Kind: "k"})
	if err := next(t, dead); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "too long: more than 20ms") {
		t.Error(err)
	}
}

func TestShutdownEndsHandlersAndTheJobRunsAgain(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ran := make(chan int, 10)
		for range 3 { // three servers, one after another
			q := open(t, work.Options{DB: db})
			q.Handle("k", work.Handler{MaxAttempts: 1, Do: func(ctx context.Context, j work.Job) error {
				ran <- j.Attempt
				<-ctx.Done()
				return work.Stop(errors.New("killed")) // as a handler says whose command was killed
			}})
			stop := start(t, q)
			if rows(t, db, "") == 0 {
				add(t, db, q, work.Item{Kind: "k", Key: "a"})
			}
			if got := next(t, ran); got != 1 {
				t.Errorf("attempt %d: a shutdown counted", got)
			}
			stop()
			if n := rows(t, db, "due"); n != 1 {
				t.Fatalf("%d jobs are due after the shutdown", n)
			}
		}
	})
}

func TestLimitLeavesWorkersToOthers(t *testing.T) {
	db := databasetest.SQLite(t)
	q := open(t, work.Options{DB: db, Workers: 3})
	var mu sync.Mutex
	now, most := 0, 0
	quick, release := make(chan struct{}, 10), make(chan struct{})
	q.Handle("long", work.Handler{Limit: 2, Do: func(context.Context, work.Job) error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}})
	q.Handle("quick", work.Handler{Do: func(context.Context, work.Job) error { quick <- struct{}{}; return nil }})
	start(t, q)
	for range 5 {
		add(t, db, q, work.Item{Kind: "long"})
	}
	add(t, db, q, work.Item{Kind: "quick"})
	next(t, quick)
	close(release)
	empty(t, db)
	if most > 2 {
		t.Errorf("%d long jobs at the same time", most)
	}
}

func TestRefuses(t *testing.T) {
	db := databasetest.SQLite(t)
	if _, err := work.New(t.Context(), work.Options{DB: db}); fault.Of(err) != fault.Invalid {
		t.Errorf("no instance: %v", err)
	}
	q := open(t, work.Options{DB: db})
	q.Handle("k", work.Handler{Do: func(context.Context, work.Job) error { return nil }})
	for want, i := range map[string]work.Item{
		"at most 262144 are allowed": {Kind: "k", Body: strings.Repeat("x", 256<<10)},
		"unsupported type":           {Kind: "k", Body: func() {}},
	} {
		err := db.Tx(t.Context(), func(tx *sql.Tx) error { return q.Add(t.Context(), tx, i) })
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("two handlers for one kind")
			}
		}()
		q.Handle("k", work.Handler{Do: func(context.Context, work.Job) error { return nil }})
	}()
	start(t, q)
	add(t, db, q, work.Item{Kind: "k", Body: json.RawMessage("\"\xff\"")}) // broken UTF-8 is stored as such
	empty(t, db)
	if err := db.Tx(t.Context(), func(tx *sql.Tx) error { return q.Add(t.Context(), tx, work.Item{Kind: "typo"}) }); err == nil {
		t.Error("a job that nobody will run")
	}
}
