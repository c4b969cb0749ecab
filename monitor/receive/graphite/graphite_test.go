package graphite

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"steer/base/metric"
)

func TestParse(t *testing.T) {
	const now = 1_700_000_000
	for _, c := range []struct {
		in    string
		name  string
		value float64
		time  int64
	}{
		{"a.b.c 1 1600000000\n", "a.b.c", 1, 1600000000},
		{"a.b.c 1 1600000000", "a.b.c", 1, 1600000000},
		{"a.b.c\t-1.5\t1600000000.9\r\n", "a.b.c", -1.5, 1600000000},
		{"  a.b.c   1e3  1600000000  \n", "a.b.c", 1000, 1600000000},
		{"a 0.1 1600000000\n", "a", 0.1, 1600000000},
		{"a 123456789012345678 1600000000\n", "a", 123456789012345678, 1600000000},
		{"a 1\n", "a", 1, now},
		{"a 1 -1\n", "a", 1, now},
		{"a 1 N\n", "a", 1, now},
		{"a inf 1600000000\n", "a", math.Inf(1), 1600000000},
		{"disk.used;host=w1;mount=root 4 1600000000\n", "disk.used;host=w1;mount=root", 4, 1600000000},
		{"disk.used;mount=root;host=w1 4 1600000000\n", "disk.used;host=w1;mount=root", 4, 1600000000},
		{"disk.used;mount=root;host=w1\t4\t1600000000\n", "disk.used;host=w1;mount=root", 4, 1600000000},
	} {
		points, bad, err := Parse(nil, []byte(c.in), now)
		if bad != 0 || err != nil || len(points) != 1 {
			t.Errorf("%q: %v, bad %d, %v", c.in, points, bad, err)
			continue
		}
		if p := points[0]; string(p.Name) != c.name || p.Value != c.value || p.Time != c.time {
			t.Errorf("%q: %s %v %d", c.in, p.Name, p.Value, p.Time)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"a\n":                                 "no value",
		"a x 1600000000\n":                    "the value is no number",
		"a nan 1600000000\n":                  "the value is no number",
		"a 0x10 1600000000\n":                 "the value is no number",
		"a - 1600000000\n":                    "the value is no number",
		"a 1 yesterday\n":                     "not seconds since 1970",
		"a 1 -5\n":                            "not seconds since 1970",
		"a 1 2 3\n":                           "more than three fields",
		"a..b 1 1600000000\n":                 "empty part",
		".a 1 1600000000\n":                   "empty part",
		"a\x01 1 1600000000\n":                "control character",
		strings.Repeat("a", 5000) + " 1 16\n": "longer than 4096",
	} {
		good := "ok 1 1600000000\n"
		points, bad, err := Parse(nil, []byte(good+in+good), 0)
		if len(points) != 2 || bad != 1 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d points, bad %d, error %v; want %q", in, len(points), bad, err, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	data := []byte(strings.Repeat("servers.web1.cpu.idle 98.25 1600000000\n", 100))
	points := make([]metric.Point, 0, 100)
	if n := testing.AllocsPerRun(100, func() { points, _, _ = Parse(points[:0], data, 0) }); n != 0 {
		t.Fatalf("%v allocations per batch", n)
	}
}

// TestNamesAreCheckedWherever: each bad byte is found at each place of names of
// each length, and no good one is taken for it.
func TestNamesAreCheckedWherever(t *testing.T) {
	for length := 3; length < 30; length++ {
		for at := range length {
			for c := range 256 {
				name := []byte(strings.Repeat("x", length))
				name[at] = byte(c)
				want := ""
				switch {
				case c < ' ' || c == 0x7f:
					want = "the path has a control character"
				case c == '.' && (at == 0 || at == length-1):
					want = emptyPart
				}
				if got := checkName(name); got != want {
					t.Fatalf("%q: %q, want %q", name, got, want)
				}
			}
			if at > 1 && at < length-1 {
				name := []byte(strings.Repeat("x", length))
				name[at-1], name[at] = '.', '.'
				if got := checkName(name); got != emptyPart {
					t.Fatalf("%q: %q", name, got)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a;z=1;b=2;z=3 1 2\na;b=2;z=3 1 2\n"))
	f.Add([]byte("~a;name=x;c==~ 1 N\n;b=1 1 2\na;=;b 1 2\n"))
	f.Add([]byte("a.b 1 2\nc 3.5e7 N\r\n\n x\n"))
	f.Add([]byte("a;t=v -inf 1600000000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		points, _, _ := Parse(nil, data, 7)
		for _, p := range points {
			if len(p.Name) == 0 || p.Time < 0 || math.IsNaN(p.Value) {
				t.Fatalf("%q gave %q %v %d", data, p.Name, p.Value, p.Time)
			}
			if tidied, reason := check(p.Name); !tidied || reason != "" {
				t.Fatalf("%q gave %q: tidied %v, %s", data, p.Name, tidied, reason)
			}
		}
	})
}

// FuzzPlainAgrees: both ways through the parser say the same.
func FuzzPlainAgrees(f *testing.F) {
	f.Add([]byte("a.b -12.50 1600000000\n"))
	f.Add([]byte("a 1 2"))
	f.Add([]byte("a 1.  2\n"))
	f.Add([]byte("a .5 9999999999999\n"))
	f.Add([]byte("a;z=1;b=2;b=33 1 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := bytes.Clone(data) // plain puts tags in order
		p, length := plain(data)
		if length == 0 {
			return
		}
		q, reason := parseLine(whole[:length-1], 7)
		if reason != "" || string(p.Name) != string(q.Name) || math.Float64bits(p.Value) != math.Float64bits(q.Value) || p.Time != q.Time {
			t.Fatalf("%q: %q %v %d, or %q %v %d %s", data, p.Name, p.Value, p.Time, q.Name, q.Value, q.Time, reason)
		}
	})
}

func FuzzNumberAgreesWithStrconv(f *testing.F) {
	for _, s := range []string{"1", "-0.5", "123456789.123456", "1e5", "9007199254740993", "00.10", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || strings.ContainsAny(s, "_xX") {
			return
		}
		got, ok := number([]byte(s))
		want, err := strconv.ParseFloat(s, 64)
		if ok != (err == nil) || ok && got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("number(%q) = %v, %v; strconv says %v, %v", s, got, ok, want, err)
		}
	})
}

// collector is a sink that remembers what it was given.
type collector struct {
	mu   sync.Mutex
	got  map[string]float64
	from map[string]string
	all  chan struct{}
	n    int
}

func collect(n int) *collector {
	return &collector{got: map[string]float64{}, from: map[string]string{}, all: make(chan struct{}), n: n}
}

func (c *collector) sink(from string, points []metric.Point) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range points {
		c.got[string(p.Name)], c.from[string(p.Name)] = p.Value, from
		if c.n--; c.n == 0 {
			close(c.all)
		}
	}
	return nil
}

func TestReceiverTCPAndUDP(t *testing.T) {
	const lines = 2000
	c := collect(lines + 2)
	r, err := New(Options{Config: Config{TCP: "127.0.0.1:0", UDP: "127.0.0.1:0"}, Sink: c.sink})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()

	conn, err := net.Dial("tcp", r.TCP().String())
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines { // cut into odd pieces, so that reads end inside of lines
		line := fmt.Sprintf("m.%d %d 1600000000\n", i, i)
		conn.Write([]byte(line[:3]))
		conn.Write([]byte(line[3:]))
	}
	conn.Close()
	u, err := net.Dial("udp", r.UDP().String())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.Write([]byte("udp.one 7 1600000000\nudp.two;b=1;a=2 8 1600000000"))
	<-c.all
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"m.1999": "graphite tcp 127.0.0.1", "udp.one": "graphite udp 127.0.0.1"} {
		if c.from[name] != want {
			t.Errorf("%s comes from %q, want %q", name, c.from[name], want)
		}
	}
	if c.got["m.1999"] != 1999 || c.got["udp.one"] != 7 || c.got["udp.two;a=2;b=1"] != 8 || r.Accepted.Load() != lines+2 || r.Bad.Load() != 0 {
		t.Fatalf("accepted %d, bad %d", r.Accepted.Load(), r.Bad.Load())
	}
}

func TestReceiverNamesTheKeyOfABusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = New(Options{Config: Config{TCP: l.Addr().String(), UDP: "off"}})
	if err == nil || !strings.Contains(err.Error(), "--set receive.graphite.tcp=") {
		t.Fatal(err)
	}
}

func TestReceiverThatIsOffRunsUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Options{Config: Config{TCP: "off", UDP: "off"}})
		if err != nil || r.TCP() != nil || r.UDP() != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := false
		go func() { r.Run(ctx); ended = true }()
		synctest.Wait()
		if ended {
			t.Fatal("it ended by itself, which stops the server")
		}
		cancel()
		synctest.Wait()
		if !ended {
			t.Fatal("it goes on")
		}
	})
}

func TestReceiverRefusesAnEndlessLine(t *testing.T) {
	r, err := New(Options{Config: Config{TCP: "127.0.0.1:0", UDP: "off"}, Sink: collect(1).sink})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	conn, err := net.Dial("tcp", r.TCP().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte(strings.Repeat("x", 200<<10)))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatal("the connection stays open")
	}
	cancel()
	<-done
	if r.Bad.Load() != 1 {
		t.Fatalf("bad = %d", r.Bad.Load())
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte(strings.Repeat("servers.web1.cpu.idle 98.25 1600000000\n", 1000))
	points := make([]metric.Point, 0, 1000)
	for b.Loop() {
		points, _, _ = Parse(points[:0], data, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/point")
}
