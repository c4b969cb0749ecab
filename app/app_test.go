package app_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"steer/app"
	"steer/base/database/databasetest"
	"steer/base/fault"
)

// ours are the goroutines that run the program's code.
func ours() (stacks []string) {
	b := make([]byte, 8<<20)
	for _, g := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if (strings.Contains(g, "steer/") || strings.Contains(g, "nats-server")) && !strings.Contains(g, "app_test.ours") && !strings.Contains(g, "testing.(*T).Run(") {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// children are the processes that run out of a folder.
func children(folder string) (pids []string) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err == nil && strings.HasPrefix(cwd, folder+"/") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

func TestStopLeavesNothing(t *testing.T) {
	before := len(ours())
	data := t.TempDir()
	s := start(t, data)
	s.define(places)
	s.push("shop", shop("exec sleep 600", ""))
	s.passed("shop", "b1")
	d, err := s.api.Deploy(t.Context(), "shop", "ci", "b1", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if d = s.deployed(d); d.State != "passed" {
		t.Fatalf("deploy %s: %v", d.State, d.Failure)
	}
	if len(children(data)) == 0 {
		t.Error("no node runs, or this test does not see it")
	}
	if _, err := os.Stat(filepath.Join(data, "server.url")); err != nil {
		t.Error(err)
	}
	s.stop()
	if _, err := os.Stat(filepath.Join(data, "server.url")); err == nil {
		t.Error("server.url stays, so commands would send their token to whoever takes the port")
	}
	if left := children(data); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	deadline := time.Now().Add(5 * time.Second)
	for len(ours()) > before && time.Now().Before(deadline) {
		runtime.Gosched()
		time.Sleep(10 * time.Millisecond)
	}
	if left := ours(); len(left) > before {
		t.Errorf("%d goroutines are left:\n%s", len(left)-before, strings.Join(left, "\n\n"))
	}
	// And it starts again as it was.
	s = start(t, data)
	s.until("the node is back", func() error {
		n, err := s.api.Now(t.Context())
		if err == nil && (len(n.Services) != 1 || len(n.Services[0].Placements) != 1 || n.Services[0].Placements[0].State != "serving") {
			err = fmt.Errorf("%+v", n.Services)
		}
		return err
	})
}

// What cannot start says why, and leaves nothing half open.
func TestRefusedStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, data string) []string // settings
		want    []string
	}{
		{"HTTP port taken", func(*testing.T, string) []string { return []string{"listen=" + taken.Addr().String()} },
			[]string{"listen", taken.Addr().String(), "address already in use", "--set listen="}},
		{"Graphite port taken", func(*testing.T, string) []string { return []string{"receive.graphite.tcp=" + taken.Addr().String()} },
			[]string{"raphite", taken.Addr().String(), "address already in use"}},
		{"no such database driver", func(*testing.T, string) []string { return []string{"database=mysql://u:verysecret@127.0.0.1/x"} },
			[]string{"database", "postgres://"}},
		{"database that does not answer", func(*testing.T, string) []string {
			return []string{"database=postgres://u:verysecret@127.0.0.1:1/x?connect_timeout=2"}
		},
			[]string{"open database postgres://u:", "127.0.0.1:1"}},
		{"damaged database", func(t *testing.T, data string) []string {
			write(t, filepath.Join(data, "steer.db"), strings.Repeat("no database at all ", 1000))
			return nil
		}, []string{"steer.db", "not a database"}},
		{"secret key that others read", func(t *testing.T, data string) []string {
			write(t, filepath.Join(data, "secret.key"), "x")
			return nil
		}, []string{"secret.key", "chmod 600"}},
		{"data folder is a file", func(t *testing.T, data string) []string {
			os.RemoveAll(data)
			write(t, data, "")
			return nil
		}, []string{"data folder"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := os.MkdirAll(data, 0o700); err != nil {
				t.Fatal(err)
			}
			o := options(t, data, c.prepare(t, data)...)
			before := len(ours())
			_, err := app.New(t.Context(), o)
			if err == nil {
				t.Fatal("it started")
			}
			t.Log(err)
			for _, want := range append(c.want, "") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "verysecret") {
				t.Errorf("the error holds the password: %v", err)
			}
			for range 200 {
				if len(ours()) <= before {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if left := ours(); len(left) > before {
				t.Errorf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
			}
			// With the reason gone it starts: no lock, no half database.
			if c.name == "HTTP port taken" || c.name == "Graphite port taken" {
				start(t, data)
			}
		})
	}
}

func TestSecondServerOnTheSameFolder(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	_, err := app.New(t.Context(), options(t, data))
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), data) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second start: %v", err)
	}
	if _, err := app.ResetToken(t.Context(), app.Args{Data: data}); fault.Of(err) != fault.Conflict {
		t.Errorf("token reset beside a server: %v", err)
	}
	if r := s.as(s.token).do("GET", "/api/v1/now", nil); r.code != 200 {
		t.Errorf("the first server no longer works: %v", r)
	}
}

func TestLostAdminToken(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	old, eve := s.token, s.give("eve", "viewer")
	cookie := s.login(old)
	s.stop()
	file, err := app.ResetToken(t.Context(), app.Args{Data: data, Set: free})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	s = start(t, data)
	if s.token == old {
		t.Fatal("the token is the same")
	}
	for who, want := range map[*someone]int{s.as(s.token): 200, s.as(eve): 200, s.as(old): 401, s.as("").with("Cookie", cookie): 401} {
		if r := who.do("GET", "/api/v1/now", nil); r.code != want {
			t.Errorf("%v: %v, want %d", who.header, r, want)
		}
	}
	if r := s.as(s.token).do("GET", "/api/v1/tokens", nil); r.code != 200 {
		t.Errorf("the new token is no admin's: %v", r)
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(data, "nowhere")} {
		if _, err := app.ResetToken(t.Context(), app.Args{Data: bad}); fault.Of(err) != fault.NotFound {
			t.Errorf("reset in %s: %v", bad, err)
		}
		if entries, _ := os.ReadDir(bad); len(entries) > 0 {
			t.Errorf("reset makes files where no server was: %v", entries)
		}
	}
}

func TestUploadsOfACrashAreSwept(t *testing.T) {
	data := t.TempDir()
	write(t, filepath.Join(data, "tmp", "upload-1", "big"), "x")
	start(t, data)
	if _, err := os.Stat(filepath.Join(data, "tmp", "upload-1")); err == nil {
		t.Error("it is still there")
	}
}

// The loop from commit to running node, on the other database.
func TestOnPostgres(t *testing.T) {
	url := databasetest.PostgresURL(t)
	data := t.TempDir()
	s := start(t, data, "database="+url)
	s.define(places)
	s.push("shop", shop("exec sleep 600", ""))
	s.passed("shop", "b1")
	d, err := s.api.Deploy(t.Context(), "shop", "production", "latest", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if d = s.deployed(d); d.State != "passed" {
		t.Fatalf("deploy %s: %v", d.State, d.Failure)
	}
	why, err := s.api.Why(t.Context(), "shop/b1")
	if err != nil || len(why.Events) < 4 {
		t.Errorf("why: %+v %v", why, err)
	}
	for _, path := range reads {
		if r := s.as(s.token).do("GET", path, nil); r.code != 200 {
			t.Errorf("GET %s: %v", path, r)
		}
	}
	s.stop()
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("errors in the log")
	}
}
