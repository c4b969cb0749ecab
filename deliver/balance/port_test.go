package balance

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"steer/base/database/databasetest"
)

func TestPortsAreRemembered(t *testing.T) {
	db := databasetest.SQLite(t)
	s := node(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	o := Options{DB: db, Log: slog.New(slog.DiscardHandler), Config: Config{Ports: "23100-23199"}}
	first, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	other := shop("b1")
	other.Environment = "aaa"
	set(t, first, shop("b1", address(s)))
	at := set(t, first, shop("b2", address(s)))
	if set(t, first, other) == at {
		t.Fatal("two frontends on one port")
	}
	first.Close()

	// While somebody sits on the port, the rest starts, and it comes when it can.
	squatter, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, db, func(n *Options) { n.Config = o.Config })
	if st := second.Status(); len(st) != 2 || st[1].Ports[0].Problem == "" || st[0].Ports[0].Problem != "" {
		t.Fatalf("%+v", st)
	}
	if got := set(t, second, shop("b2", address(s))); got != at {
		t.Fatalf("moved from %s to %s", at, got)
	}
	squatter.Close()
	until(t, "port open again", func() bool { return second.Status()[1].Ports[0].Problem == "" })
	if code, body, h := get(t, at); code != 200 || body != "hello" || h.Get("X-Steer-Version") != "b2" {
		t.Fatal(code, body, h)
	}
	if err := second.Remove(t.Context(), "test", "shop"); err != nil {
		t.Fatal(err)
	}
	if len(second.Status()) != 1 || len(second.Address("test", "shop")) != 0 {
		t.Error("still there after Remove")
	}
	until(t, "port closed", func() bool { _, err := net.Dial("tcp", at); return err != nil })
}

func TestFixedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	b := open(t, databasetest.SQLite(t), nil)
	f := shop("b1")
	at := set(t, b, f)
	f.Ports = map[string]Port{"http": {Protocol: HTTP, Fixed: port}}
	if err := b.Set(t.Context(), f); err == nil || !strings.Contains(err.Error(), fmt.Sprint("open port ", port)) {
		t.Fatal(err)
	}
	get(t, at) // unchanged
	l.Close()
	if got := set(t, b, f); got != fmt.Sprintf("127.0.0.1:%d", port) {
		t.Fatal(got)
	}
	g := shop("b1")
	g.Service, g.Ports = "other", f.Ports
	if err := b.Set(t.Context(), g); err == nil || !strings.Contains(err.Error(), "belongs to shop in test (http)") {
		t.Fatal(err)
	}
}

func TestTCP(t *testing.T) {
	echo := func(prefix string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					all, _ := io.ReadAll(c) // ends only if the half-close passes
					fmt.Fprintf(c, "%s%s", prefix, all)
				}()
			}
		}()
		return l.Addr().String()
	}
	figures := &figures{}
	b := open(t, databasetest.SQLite(t), func(o *Options) { o.Samples = figures.take })
	f := Frontend{Environment: "test", Service: "queue", Ports: map[string]Port{"line": {Protocol: TCP}},
		Health: Health{Interval: time.Hour}, Backends: []Backend{
			{ID: "dead", Version: "b1", Address: map[string]string{"line": "127.0.0.1:1"}},
			{ID: "good", Version: "b1", Address: map[string]string{"line": echo("one ")}}}}
	if err := b.Set(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	at := b.Address("test", "queue")["line"]
	ask := func(text string) (string, error) {
		c, err := net.Dial("tcp", at)
		if err != nil {
			return "", err
		}
		defer c.Close()
		io.WriteString(c, text)
		c.(*net.TCPConn).CloseWrite()
		all, err := io.ReadAll(c)
		return string(all), err
	}
	for range 20 {
		if got, err := ask("hello"); got != "one hello" || err != nil {
			t.Fatalf("%q %v", got, err)
		}
	}
	until(t, "all released", func() bool { return b.Status()[0].InFlight == 0 })
	held, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	until(t, "held connection", func() bool { return b.Status()[0].InFlight == 1 })
	f.Backends = []Backend{{ID: "next", Version: "b2", Address: map[string]string{"line": echo("two ")}}}
	if err := b.Set(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if got, err := ask("hello"); got != "two hello" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	io.WriteString(held, "late")
	held.(*net.TCPConn).CloseWrite()
	if all, err := io.ReadAll(held); string(all) != "one late" || err != nil {
		t.Fatalf("connection from before the switch: %q %v", all, err)
	}
	if err := b.Drained(t.Context(), "test", "queue", []string{"good"}); err != nil {
		t.Fatal(err)
	}
	if n := figures.of("balance.test.queue.b1.requests"); n != 21 {
		t.Errorf("%v requests counted, want 21", n)
	}
}

func TestConfigCheck(t *testing.T) {
	for ports, want := range map[string]string{"1-": "no range", "9-8": "no range", "20000": "FIRST-LAST", "1-70000": "no range"} {
		if err := (Config{Ports: ports}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", ports, err)
		}
	}
	if err := (Config{Address: "localhost"}).Check(); err == nil {
		t.Error("a name is no address")
	}
	if err := (Config{}).Check(); err != nil {
		t.Error(err)
	}
}
