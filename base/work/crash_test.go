package work_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/work"
)

// TestMain is also the process that a test kills: with STEER_WORK_VICTIM, the
// URL of a database, it starts jobs, says so and never finishes them.
func TestMain(m *testing.M) {
	url := os.Getenv("STEER_WORK_VICTIM")
	if url == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	db, err := database.Open(ctx, url)
	if err == nil {
		var q *work.Queue
		if q, err = work.New(ctx, work.Options{DB: db, Instance: "here"}); err == nil {
			q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error {
				fmt.Println("started", j.Key, j.Attempt)
				select {}
			}})
			err = q.Run(ctx)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestKilledProcessRunsItsJobsAgainAtOnce(t *testing.T) {
	for name, url := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "steer.db") },
		"postgres": databasetest.PostgresURL,
	} {
		t.Run(name, func(t *testing.T) {
			url := url(t)
			db, err := database.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			q := open(t, work.Options{DB: db})
			add(t, db, q, work.Item{Kind: "k", Key: "a"}, work.Item{Kind: "k", Key: "b"})

			limit, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			victim := exec.CommandContext(limit, os.Args[0])
			victim.Env = append(os.Environ(), "STEER_WORK_VICTIM="+url)
			victim.Stderr = os.Stderr
			out, err := victim.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for range 2 {
				if !lines.Scan() || !strings.HasPrefix(lines.Text(), "started") || !strings.HasSuffix(lines.Text(), " 1") {
					t.Fatalf("victim said %q, %v", lines.Text(), lines.Err())
				}
			}
			// An Add while it runs survives the death too.
			add(t, db, q, work.Item{Kind: "k", Key: "b", Body: "again"})
			victim.Process.Signal(syscall.SIGKILL)
			victim.Wait()

			ran := make(chan string, 10)
			q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error {
				ran <- fmt.Sprintf("%s %d %s", j.Key, j.Attempt, j.Body)
				return nil
			}})
			began := time.Now()
			start(t, q)
			got := []string{next(t, ran), next(t, ran), next(t, ran)}
			took := time.Since(began)
			slices.Sort(got)
			if want := `a 2 null|b 1 "again"|b 2 null`; strings.Join(got, "|") != want || took > 2*time.Second {
				t.Errorf("after %s ran %q, want %s", took, got, want)
			}
			t.Logf("all ran again after %s", took)
		})
	}
}

func TestJobThatKillsItsProcessIsGivenUp(t *testing.T) {
	db := databasetest.SQLite(t)
	q := open(t, work.Options{DB: db})
	add(t, db, q, work.Item{Kind: "k", Key: "a"})
	if _, err := db.Write().Exec("UPDATE work_job SET state = 'running', owner = 'here', attempt = 10"); err != nil {
		t.Fatal(err)
	}
	dead := make(chan error, 1)
	q.Handle("k", work.Handler{
		Do:   func(context.Context, work.Job) error { t.Error("ran an eleventh time"); return nil },
		Dead: func(_ context.Context, _ work.Job, err error) { dead <- err },
	})
	start(t, q)
	if err := next(t, dead); !strings.Contains(err.Error(), "died in each of 10 attempts") {
		t.Error(err)
	}
}

func TestTwoQueuesShareWork(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		const total = 100
		var mu sync.Mutex
		runs, by := map[string]int{}, map[string]int{}
		// Nobody finishes a job before both have begun one, however fast one is.
		var both sync.WaitGroup
		both.Add(2)
		var queues []*work.Queue
		for _, name := range []string{"one", "two"} {
			begun := sync.OnceFunc(both.Done)
			q := open(t, work.Options{DB: db, Instance: name, Workers: 4})
			q.Handle("k", work.Handler{Do: func(_ context.Context, j work.Job) error {
				begun()
				both.Wait()
				mu.Lock()
				defer mu.Unlock()
				runs[j.Key]++
				by[name]++
				return nil
			}})
			start(t, q)
			queues = append(queues, q)
		}
		for i := range total {
			add(t, db, queues[0], work.Item{Kind: "k", Key: fmt.Sprint(i)})
		}
		empty(t, db)
		if len(runs) != total || by["one"]+by["two"] != total {
			t.Errorf("%d of %d jobs ran, %v times", len(runs), total, by)
		}
		if by["one"] == 0 || by["two"] == 0 {
			t.Errorf("not shared: %v", by)
		}
	})
}

// A machine that never comes back: its jobs are taken over when its leases have
// passed. A machine that was only slow learns that its job is gone, and its late
// result changes nothing.
func TestSilentMachineLosesItsJobs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		lost, ran := make(chan struct{}, 1), make(chan string, 10)
		one := open(t, work.Options{DB: db, Instance: "one", Lease: 300 * time.Millisecond})
		one.Handle("k", work.Handler{Do: func(ctx context.Context, j work.Job) error {
			ran <- fmt.Sprintf("one %d", j.Attempt)
			<-ctx.Done()
			lost <- struct{}{}
			return nil // its late success must not remove the job
		}})
		stop := start(t, one)
		add(t, db, one, work.Item{Kind: "k", Key: "a"})
		if got := next(t, ran); got != "one 1" {
			t.Fatal(got)
		}
		// As if nobody had renewed for long; the claim is another's then.
		release := make(chan struct{})
		two := open(t, work.Options{DB: db, Instance: "two", Lease: 300 * time.Millisecond})
		two.Handle("k", work.Handler{Do: func(ctx context.Context, j work.Job) error {
			ran <- fmt.Sprintf("two %d", j.Attempt)
			<-release
			return nil
		}})
		// The lease passes only once the first machine is gone, or it would take the
		// job itself.
		if _, err := db.Write().Exec("UPDATE work_job SET owner = 'silent', claim = 'gone', lease = $1", time.Now().Add(time.Hour).UnixMicro()); err != nil {
			t.Fatal(err)
		}
		next(t, lost)
		stop()
		if _, err := db.Write().Exec("UPDATE work_job SET lease = 1"); err != nil {
			t.Fatal(err)
		}
		start(t, two)
		if got := next(t, ran); got != "two 2" {
			t.Error(got)
		}
		if n := rows(t, db, "running"); n != 1 {
			t.Errorf("%d running", n)
		}
		close(release)
		empty(t, db)
	})
}

// A job may run for long: its process renews the lease.
func TestLeaseIsRenewed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := open(t, work.Options{DB: db, Lease: 3 * time.Second})
		release := make(chan struct{})
		q.Handle("k", work.Handler{Do: func(ctx context.Context, _ work.Job) error { <-release; return nil }})
		start(t, q)
		add(t, db, q, work.Item{Kind: "k", Key: "a"})
		deadline := time.Now().Add(20 * time.Second)
		var first, lease int64
		for first == 0 || lease == first {
			if err := db.Read().QueryRow("SELECT lease FROM work_job").Scan(&lease); err != nil {
				t.Fatal(err)
			}
			if first == 0 {
				first = lease
			}
			if time.Now().After(deadline) {
				t.Fatal("the lease was not renewed within 20 s")
			}
			time.Sleep(10 * time.Millisecond)
		}
		close(release)
		empty(t, db)
	})
}

func TestStartsSoonAfterCommit(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := open(t, work.Options{DB: db})
		ran := make(chan time.Time)
		q.Handle("k", work.Handler{Do: func(context.Context, work.Job) error { ran <- time.Now(); return nil }})
		start(t, q)
		var took []time.Duration
		for range 20 {
			add(t, db, q, work.Item{Kind: "k"})
			committed := time.Now()
			took = append(took, next(t, ran).Sub(committed).Round(time.Millisecond))
		}
		slices.Sort(took)
		t.Logf("from commit to start: median %s, worst %s", took[10], took[19])
		if took[14] > 200*time.Millisecond { // a busy machine may delay some
			t.Errorf("from commit to start: %v", took)
		}
		var before, after syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &before)
		time.Sleep(time.Second) // is the subject of the measurement
		syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
		t.Logf("an idle second takes %s of CPU", used)
		if used > 50*time.Millisecond {
			t.Errorf("an idle second takes %s of CPU", used)
		}
	})
}
