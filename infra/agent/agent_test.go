package agent

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
)

// world is a server with a registry, as package api makes it reachable.
type world struct {
	*Registry
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	clock   time.Time
	events  []event.Event
	reports []Report
	refuse  error
	pause   bool
}

func open(t *testing.T, db *database.DB) *world {
	t.Helper()
	program := filepath.Join(t.TempDir(), "steer")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: time.Unix(1_800_000_000, 0)}
	var err error
	w.Registry, err = New(t.Context(), Options{DB: db, Program: program, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return w.get(func() any { return w.clock }).(time.Time) },
		Journal: func(_ context.Context, _ *sql.Tx, e *event.Event) error {
			w.get(func() any { w.events = append(w.events, *e); return nil })
			return nil
		},
		Paused: func(id.Host) bool { return w.get(func() any { return w.pause }).(bool) },
		Reports: func(_ context.Context, _ id.Host, all []Report) error {
			err, _ := w.get(func() any {
				if w.refuse == nil {
					w.reports = append(w.reports, all...)
				}
				return w.refuse
			}).(error)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(func() {
		w.Close()
		w.server.Close()
	})
	return w
}

func (w *world) get(f func() any) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return f()
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	var answer any = map[string]bool{}
	var err error
	if r.URL.Path == "/api/v1/hosts/join" {
		answer, err = w.Join(r.Context(), token, "m0")
	} else if host, e := w.Verify(r.Context(), token); e != nil {
		err = e
	} else {
		switch r.Method + " " + r.URL.Path {
		case "GET /api/v1/hosts/agent":
			conn, in, _ := http.NewResponseController(rw).Hijack()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+Protocol+"\r\n\r\n")
			w.Attach(context.Background(), host, Hello{Machine: "m0", Version: r.Header.Get("Steer-Version"), Credential: token}, conn, in.Reader)
			return
		case "GET /api/v1/hosts/program":
			f, e := w.Program(r.URL.Query().Get("digest"))
			if err = e; err == nil {
				io.Copy(rw, f)
				f.Close()
				return
			}
		case "POST /api/v1/hosts/drift":
			var in struct{ Reports []Report }
			if err = json.NewDecoder(r.Body).Decode(&in); err == nil {
				err = w.Report(r.Context(), host, in.Reports)
			}
		case "DELETE /api/v1/hosts/agent":
			err = w.Revoke(r.Context(), event.Steer, host, "it left")
		}
	}
	if err != nil {
		rw.WriteHeader(fault.Of(err).Status())
		answer = map[string]string{"detail": err.Error()}
	}
	json.NewEncoder(rw).Encode(answer)
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited until %s", what)
		}
	}
}

// join makes a host in a folder of its own.
func (w *world) join(name id.Host) (dir string) {
	w.t.Helper()
	dir = w.t.TempDir()
	i, err := w.Invite(w.t.Context(), "ada", name, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := Join(w.t.Context(), JoinOptions{Dir: dir, URL: w.server.URL, Token: i.Token}); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// run runs an agent, which answers each line of a conversation in capitals.
func (w *world) run(dir string, change ...func(*AgentOptions)) (a *Agent, stop func()) {
	w.t.Helper()
	o := AgentOptions{Dir: dir, Version: "v1", Program: w.Registry.program.path, Log: slog.New(slog.DiscardHandler),
		Serve: func(_ context.Context, _ string, conn io.ReadWriter) error {
			r := bufio.NewReader(conn)
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return nil
				}
				io.WriteString(conn, strings.ToUpper(line))
			}
		}}
	for _, f := range change {
		f(&o)
	}
	a, err := NewAgent(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return a, stop
}

func (w *world) connectedAs(host id.Host, version string) {
	w.t.Helper()
	w.until(string(host)+" is connected", func() bool {
		w.Registry.mu.Lock()
		defer w.Registry.mu.Unlock()
		p := w.hosts[host]
		return p != nil && p.waiting != nil && p.version == version
	})
}

func say(t *testing.T, conn io.ReadWriter, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text+"\n"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text)+1)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != strings.ToUpper(text)+"\n" {
		t.Fatalf("%.100q %v", got, err)
	}
}

func TestConversations(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	w.run(w.join("web-1"))
	var all []io.ReadWriteCloser
	for n := range mostTalks {
		conn, err := w.Take(t.Context(), "web-1")
		if err != nil {
			t.Fatalf("conversation %d: %v", n, err)
		}
		all = append(all, conn)
		say(t, conn, fmt.Sprint("conversation ", n))
	}
	say(t, all[0], strings.Repeat("long ", 100_000)) // in many frames
	// A fifth waits for the end of one.
	fifth := make(chan error, 1)
	go func() {
		conn, err := w.Take(t.Context(), "web-1")
		if err == nil {
			conn.Close()
		}
		fifth <- err
	}()
	select {
	case err := <-fifth:
		t.Fatalf("a fifth conversation began: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	all[2].Close()
	if err := <-fifth; err != nil {
		t.Fatal(err)
	}
	if _, err := w.Take(t.Context(), "web-9"); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
	// The identity ends: so do the conversations.
	if err := w.Revoke(t.Context(), "ada", "web-1", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].Read(make([]byte, 1)); err == nil {
		t.Error("a revoked host is still listened to")
	}
}

func TestServerThatStartsAnew(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	a, _ := w.run(w.join("web-1"))
	w.connectedAs("web-1", "v1")
	w.drop("web-1")
	w.until("the connection is lost", func() bool { v, ok := w.connected("web-1"); return v != "" && !ok })
	conn, err := w.Take(t.Context(), "web-1") // waits for it
	if err != nil {
		t.Fatal(err)
	}
	say(t, conn, "again")
	conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status.Connected.IsZero() {
		t.Errorf("%+v", a.status)
	}
}

func TestPauseIsRemembered(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	dir := w.join("web-1")
	_, stop := w.run(dir)
	w.connectedAs("web-1", "v1")
	w.get(func() any { w.pause = true; return nil })
	w.tell("web-1", w.get(func() any {
		w.Registry.mu.Lock()
		defer w.Registry.mu.Unlock()
		return w.hosts["web-1"].waiting
	}).(*waiting))
	w.until("the host knows", func() bool { s, _ := ReadStatus(dir); return s.Paused })
	stop()
	w.server.Close()
	a, _ := w.run(dir) // without the server
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.status.Paused {
		t.Error("the pause is forgotten")
	}
}

// attach is a connection without an agent.
func (w *world) attach(dir, machine string) (*link, chan struct{}) {
	here, there := pipe()
	i, err := ReadIdentity(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		w.Attach(context.Background(), i.Host, Hello{Machine: machine, Version: machine, Credential: i.Credential}, there, there)
		close(gone)
	}()
	l := newLink(here, here)
	w.t.Cleanup(func() { l.Close() })
	if _, err := l.hear(); err != nil {
		w.t.Fatal(err)
	}
	return l, gone
}

func TestTwoMachinesWithOneIdentity(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	dir := w.join("web-1")
	first, gone := w.attach(dir, "m0")
	w.connectedAs("web-1", "m0")
	again, _ := w.attach(dir, "m0") // the same machine came back
	if c, err := first.hear(); err != nil || !c.Replaced {
		t.Errorf("%+v %v", c, err)
	}
	<-gone
	w.connectedAs("web-1", "m0")
	if _, gone := w.attach(dir, "m1"); gone == nil {
		t.Error("refused")
	}
	if c, err := again.hear(); err != nil || !c.Replaced {
		t.Errorf("%+v %v", c, err)
	}
	w.connectedAs("web-1", "m1")
	w.attach(dir, "m0") // at once again: told once an hour
	w.until("it is told", func() bool {
		n := 0
		w.get(func() any {
			for _, e := range w.events {
				if e.Type == event.HostDoubled {
					n++
					if want := "two machines are connected as web-1: m0, and now m1"; !strings.HasPrefix(e.Summary, want) || e.Subject != "host/web-1" {
						t.Errorf("%+v", e)
					}
				}
			}
			return nil
		})
		return n == 1
	})
}

func TestHostileAgent(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	dir := w.join("web-1")
	for name, frame := range map[string]string{
		"a huge control":        "C\x00\xff\xff",
		"huge data":             "D\xff\xff\xff",
		"data before its time":  "D\x00\x00\x01x",
		"an unknown frame":      "X\x00\x00\x00",
		"control that is wrong": "C\x00\x00\x01{",
		"a pulse with a weight": "P\x00\x00\x01x",
		"HTTP":                  "GET / HTTP/1.1\r\n\r\n",
		"ready without request": "C\x00\x00\x0e{\"ready\":true}",
	} {
		l, gone := w.attach(dir, "m0")
		io.WriteString(l.conn, frame)
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: is borne", name)
		}
	}
	// One that says it cannot.
	l, _ := w.attach(dir, "m0")
	w.connectedAs("web-1", "m0")
	go func() {
		if c, err := l.hear(); err == nil && len(c.Take) == 64 {
			l.say(control{Error: "no space"})
		}
	}()
	if _, err := w.Take(t.Context(), "web-1"); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "no space") {
		t.Error(err)
	}
}

func TestReports(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	dir := w.join("web-1")
	w.get(func() any { w.refuse = fault.New(fault.Unavailable, "the database is away"); return nil })
	a, stop := w.run(dir)
	for n := range 150 {
		a.report(Report{At: time.Unix(int64(n), 0), Drift: &infra.Drift{Ref: fmt.Sprint("file:/", n), Action: infra.Update}})
	}
	stop()
	// They survive the agent, and come in order.
	w.get(func() any { w.refuse = nil; return nil })
	w.run(dir)
	w.until("the server has them", func() bool {
		// One may come twice: when its first answer was not heard.
		return w.get(func() any { return len(w.reports) > 0 && w.reports[len(w.reports)-1].Drift.Ref == "file:/149" }).(bool)
	})
	next := 0
	for _, r := range w.reports {
		if r.Drift.Ref == fmt.Sprint("file:/", next) {
			next++
		}
	}
	if next != 150 {
		t.Errorf("%d came in order, of %d", next, len(w.reports))
	}
	w.until("nothing is left on disk", func() bool { _, err := os.Stat(filepath.Join(dir, queueFile)); return os.IsNotExist(err) })
}

func TestReportsAreBounded(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	w.join("web-1")
	one := []Report{{At: time.Now(), Run: &Run{}}}
	for range mostBursts {
		if err := w.Report(t.Context(), "web-1", one); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Report(t.Context(), "web-1", one); fault.Of(err) != fault.TooMuch {
		t.Error(err)
	}
	w.get(func() any { w.clock = w.clock.Add(time.Minute); return nil })
	if err := w.Report(t.Context(), "web-1", one); err != nil {
		t.Error(err)
	}
	for _, wrong := range [][]Report{nil, {{}}, {{Run: &Run{}, Drift: &infra.Drift{}}}, make([]Report, MostReports+1)} {
		if err := w.Report(t.Context(), "web-1", wrong); fault.Of(err) != fault.Invalid {
			t.Errorf("%d reports: %v", len(wrong), err)
		}
	}
	q, err := openQueue(filepath.Join(t.TempDir(), "q"))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 10*longestText)
	for n := range mostQueued + 50 {
		if err := q.add(Report{At: time.Unix(int64(n), 0), Drift: &infra.Drift{Ref: "file:/x", Fields: []infra.Field{{Name: "content", Text: long}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(q.all) != mostQueued-50 || q.all[0].Lost != dropped || q.all[0].At.Unix() != dropped || len(q.all[0].Drift.Fields[0].Text) > longestText+3 {
		t.Errorf("%d wait, the first is %+v", len(q.all), q.all[0])
	}
	if first := q.first(); len(first) != MostReports {
		t.Errorf("%d at once", len(first))
	}
	again, err := openQueue(q.path)
	if err != nil || len(again.all) != len(q.all) || again.all[0].Lost != dropped {
		t.Errorf("%d are on disk, %v", len(again.all), err)
	}
}
