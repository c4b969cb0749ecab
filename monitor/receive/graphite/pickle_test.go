package graphite

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"steer/base/metric"
)

// written are messages as Python 3.11 writes them, protocols 0 to 5, with the points
// servers.web1.cpu 98.25 at 1600000000, a;z=1;b=2 -3 a second's fraction later, and
// ü.x 12345678901 at -1, which is now.
var written = [...]string{
	"286c70300a2856736572766572732e776562312e6370750a70310a2849313630303030303030300a4639382e32350a7470320a7470330a612856613b7a3d313b623d320a70340a2846313630303030303030302e390a492d330a7470350a7470360a612856fc2e780a70370a28492d310a4c31323334353637383930314c0a7470380a7470390a612e",
	"5d710028285810000000736572766572732e776562312e6370757101284a00105e5f474058900000000000747102747103285809000000613b7a3d313b623d327104284741d7d7840039999a4afdffffff747105747106285804000000c3bc2e787107284affffffff4c31323334353637383930314c0a747108747109652e",
	"80025d7100285810000000736572766572732e776562312e63707571014a00105e5f4740589000000000008671028671035809000000613b7a3d313b623d3271044741d7d7840039999a4afdffffff8671058671065804000000c3bc2e7871074affffffff8a05351cdcdf02867108867109652e",
	"80035d7100285810000000736572766572732e776562312e63707571014a00105e5f4740589000000000008671028671035809000000613b7a3d313b623d3271044741d7d7840039999a4afdffffff8671058671065804000000c3bc2e7871074affffffff8a05351cdcdf02867108867109652e",
	"8004955f000000000000005d94288c10736572766572732e776562312e637075944a00105e5f474058900000000000869486948c09613b7a3d313b623d32944741d7d7840039999a4afdffffff869486948c04c3bc2e78944affffffff8a05351cdcdf0286948694652e",
	"8005955f000000000000005d94288c10736572766572732e776562312e637075944a00105e5f474058900000000000869486948c09613b7a3d313b623d32944741d7d7840039999a4afdffffff869486948c04c3bc2e78944affffffff8a05351cdcdf0286948694652e",
}

const moment = 1_700_000_000

// described are points as texts, for comparing.
func described(points []metric.Point) string {
	var all []string
	for _, p := range points {
		all = append(all, fmt.Sprintf("%s %v %d", p.Name, p.Value, p.Time))
	}
	return strings.Join(all, ", ")
}

func TestPickleOfAllProtocols(t *testing.T) {
	var u unpickler
	for protocol, message := range written {
		data, err := hex.DecodeString(message)
		if err != nil {
			t.Fatal(err)
		}
		points, bad, err := u.points(nil, data, moment)
		const want = "servers.web1.cpu 98.25 1600000000, a;b=2;z=1 -3 1600000000, ü.x 1.2345678901e+10 1700000000"
		if got := described(points); got != want || bad != 0 || err != nil {
			t.Errorf("protocol %d: %s, bad %d, %v", protocol, got, bad, err)
		}
	}
}

func TestPickleOfOthers(t *testing.T) {
	var u unpickler
	for name, c := range map[string]struct{ message, want string }{
		"Python 2, protocol 0":   {"(lp1\n(S'a.b'\np2\n(I1600000000\nF98.25\ntp3\ntp4\na(S\"it's\\x41\\\\\"\n(I1600000001\nI01\ntta.", "a.b 98.25 1600000000, it'sA\\ 1 1600000001"},
		"Python 2, protocol 2":   {"\x80\x02]q\x01(U\x03a.bq\x02J\x00\x10^_G@X\x90\x00\x00\x00\x00\x00\x86\x86e.", "a.b 98.25 1600000000"},
		"bytes":                  {"\x80\x03](C\x03a.bJ\x00\x10^_K\x07\x86\x86B\x01\x00\x00\x00cJ\x00\x10^_M\x00\x01\x86\x86e.", "a.b 7 1600000000, c 256 1600000000"},
		"lists for tuples":       {"((lS'a'\na(lI1600000000\naI5\naal.", "a 5 1600000000"},
		"a tuple of points":      {"\x8c\x01aJ\x00\x10^_K\x05\x86\x86\x85.", "a 5 1600000000"},
		"texts for numbers":      {"](S'a'\nS'1600000000'\nS' 5.5 '\n\x86\x86e.", "a 5.5 1600000000"},
		"a name twice":           {"](\x8c\x09a;z=1;z=2q\x00J\x00\x10^_K\x05\x86\x86h\x00J\x01\x10^_K\x06\x86\x86e.", "a;z=2 5 1600000000, a;z=2 6 1600000001"},
		"a point twice":          {"](\x8c\x01aJ\x00\x10^_K\x05\x86\x86\x94h\x00g0\nj\x00\x00\x00\x00e.", "a 5 1600000000, a 5 1600000000, a 5 1600000000, a 5 1600000000"},
		"infinite":               {"](\x8c\x01aJ\x00\x10^_G\x7f\xf0\x00\x00\x00\x00\x00\x00\x86\x86e.", "a +Inf 1600000000"},
		"what is not used":       {"N0(K\x01K\x021](\x8c\x01aJ\x00\x10^_K\x05\x86\x862e.", "a 5 1600000000, a 5 1600000000"},
		"a long of many bytes":   {"](\x8c\x01aJ\x00\x10^_\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x80\x86\x86e.", "a -2.3611832414348226e+21 1600000000"},
		"escapes in Latin-1":     {"(lp0\n(V\\u20ac\\U0001f600\\n\xfc\\u005c\np1\n(I1600000000\nI5\ntta.", "€😀\\nü\\ 5 1600000000"},
		"numbers one by one":     {"](\x8c\x01a\x8b\x04\x00\x00\x00\x00\x10^_L-5L\n\x86\x86e.", "a -5 1600000000"},
		"nothing":                {"\x80\x02].", ""},
		"text of eight for size": {"](\x8d\x01\x00\x00\x00\x00\x00\x00\x00aJ\x00\x10^_K\x05\x86\x86e.", "a 5 1600000000"},
	} {
		points, bad, err := u.points(nil, []byte(c.message), moment)
		if got := described(points); got != c.want || bad != 0 || err != nil {
			t.Errorf("%s: %s, bad %d, %v; want %s", name, got, bad, err, c.want)
		}
	}
}

// What could run something is refused, whatever it names.
func TestPickleRefuses(t *testing.T) {
	var u unpickler
	for message, want := range map[string]string{
		"cos\nsystem\n(S'true'\ntR.": "opcode 0x63", "\x80\x04\x8c\x02os\x8c\x06system\x93.": "opcode 0x93", "(S'x'\ni__main__\nX\n.": "opcode 0x69",
		"](K\x01\x85R.": "opcode 0x52", "}.": "opcode 0x7d", "(d.": "opcode 0x64", "N}b.": "opcode 0x7d", "\x82\x01.": "opcode 0x82", "P1\n.": "opcode 0x50",
		"\x80\x06].": "of protocol 6", "": "ends too early", ".": "more values than", "]": "ends too early", "\x80": "ends too early",
		"X\xff\xff\xff\xffa": "ends too early", "\x8d\xff\xff\xff\xff\xff\xff\xff\xffa": "ends too early", "G123": "ends too early", "I12": "ends too early",
		"Ix\n.": "is no number", "L\n.": "is no number", "F1_0\n.": "is no number", "S'a\n.": "no text in quotes", "S'\\xg0'\n.": "escape", "V\\u12\n.": "escape",
		"h\x00.": "recalls value 0", "g1\n.": "recalls value 1", "p0\n.": "more values than", "]px\n.": "number of the memo", "]r\xff\xff\xff\xff.": "more than 524288",
		"K\x01a.": "no list", "K\x01K\x02a.": "no list", "](K\x01e": "ends too early", "K\x01e.": "more values than", "K\x01(K\x02\x86.": "more values than", "K\x01(0.": "more values than",
		"K\x01.": "is no list", "\x8c\x01a.": "is no list", "N.": "is no list",
	} {
		points, bad, err := u.points(nil, []byte(message), moment)
		if len(points) != 0 || bad != 1 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, bad %d, %v; want %s", message, points, bad, err, want)
		}
	}
	// A small message that makes much of itself.
	for _, much := range []string{"](" + strings.Repeat("K\x012222", 200_000) + "e.", strings.Repeat("(", 1<<20), strings.Repeat("]", 1<<20)} {
		if _, bad, err := u.points(nil, []byte(much), moment); bad != 1 || !strings.Contains(err.Error(), "more than 524288 values") {
			t.Errorf("%.10q…: bad %d, %v", much, bad, err)
		}
	}
	if _, bad, err := u.points(nil, []byte("\x80\x02]."), moment); bad != 0 || err != nil || cap(u.stack) > 1000 {
		t.Errorf("the memory stays: %d, bad %d, %v", cap(u.stack), bad, err)
	}
}

func TestPickledPointsThatCannotBeRead(t *testing.T) {
	var u unpickler
	for point, want := range map[string]string{
		"K\x01":                                                   "it is not (path",
		"K\x01K\x02\x86":                                          "it is not (path",
		"\x8c\x01aK\x02\x86":                                      "it is not (path",
		"\x8c\x01aK\x02K\x03K\x04\x87\x86":                        "it is not (path",
		"\x8c\x00K\x02K\x03\x86\x86":                              "the path is empty",
		"\x8c\x03a b\x94K\x02K\x03\x86\x86":                       "has a blank",
		"\x8c\x03a..K\x02K\x03\x86\x86":                           "empty part",
		"\x8c\x03a;bK\x02K\x03\x86\x86":                           "a tag has no value",
		"\x8c\x01aK\x02N\x86\x86":                                 "the value is no number",
		"\x8c\x01aK\x02\x8c\x01x\x86\x86":                         "the value is no number",
		"\x8c\x01aK\x02\x8c\x00\x86\x86":                          "the value is no number",
		"\x8c\x01aK\x02\x8c\x03nan\x86\x86":                       "the value is no number",
		"\x8c\x01aJ\xfe\xff\xff\xffK\x03\x86\x86":                 "the timestamp",
		"\x8c\x01aNK\x03\x86\x86":                                 "the timestamp",
		"\x8c\x01aG\x7f\xf8\x00\x00\x00\x00\x00\x00K\x03\x86\x86": "the timestamp",
	} {
		points, bad, err := u.points(nil, []byte("]("+point+"\x8c\x01bK\x02K\x03\x86\x86e."), moment)
		if described(points) != "b 3 2" || bad != 1 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, bad %d, %v; want %s", point, described(points), bad, err, want)
		}
	}
}

// python runs a script with Python 3, the other side of the protocol.
func python(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("python3 is not installed, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("python3 is not installed")
	}
	out, err := exec.Command(path, append([]string{"-c", script}, args...)...).Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	return out
}

// TestPicklesOfPython compares with messages that Python writes: many points, all
// sizes of numbers, names as texts and bytes, the C and the Python pickler.
func TestPicklesOfPython(t *testing.T) {
	const script = `
import pickle, io, struct, sys
points, want = [], []
for i in range(3000):
    name = "servers.h%d.%s" % (i % 50, "x" * (i % 300 + 1))
    value = [i, -i, i * 0.1, 2 ** (i % 63), -(2 ** (i % 63)), 1e300, float(i), True][i % 8]
    time = 1500000000 + i * [1, 7.5][i % 2]
    points.append((name, (time, value)) if i % 3 else [name, [time, value]])
    want.append("%s %r %d" % (name, float(value), time))
shared = points[0]
points += [shared, shared]
want += [want[0], want[0]]
out = sys.stdout.buffer
for protocol in range(6):
    for pickler in pickle.Pickler, pickle._Pickler:
        for names in (str, bytes)[:1 + (protocol > 2)]:
            f = io.BytesIO()
            pickler(f, protocol).dump([(names(p[0], "utf8") if names is bytes else p[0], p[1]) for p in points])
            out.write(struct.pack(">L", len(f.getvalue())) + f.getvalue())
open(sys.argv[1], "w").write("\n".join(want))
`
	file := t.TempDir() + "/want"
	data := python(t, script, file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(text), "\n")
	var u unpickler
	messages := 0
	for ; len(data) > 0; messages++ {
		n := binary.BigEndian.Uint32(data)
		points, bad, err := u.points(nil, data[4:4+n], moment)
		if bad != 0 || err != nil || len(points) != len(want) {
			t.Fatalf("message %d: %d points, bad %d, %v", messages, len(points), bad, err)
		}
		for i, p := range points {
			var name string
			var value float64
			var time int64
			if _, err := fmt.Sscan(want[i], &name, &value, &time); err != nil {
				t.Fatal(want[i], err)
			}
			if string(p.Name) != name || p.Value != value || p.Time != time {
				t.Fatalf("message %d: %s %v %d, want %s", messages, p.Name, p.Value, p.Time, want[i])
			}
		}
		data = data[4+n:]
	}
	if messages != 18 {
		t.Errorf("%d messages", messages)
	}
}

func TestReceiverPickle(t *testing.T) {
	c := collect(4)
	r, err := New(Options{Config: Config{Pickle: "127.0.0.1:0"}, Sink: c.sink})
	if err != nil || r.TCP() != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	conn, err := net.Dial("tcp", r.Pickle().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	frame := func(message string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	}
	first, err := hex.DecodeString(written[2])
	if err != nil {
		t.Fatal(err)
	}
	// One that cannot be read is left out, and those behind it come; a message may
	// come in pieces.
	all := bytes.Join([][]byte{frame(string(first)), frame("cos\nsystem\n."), frame(""), frame("](\x8c\x04lastJ\x00\x10^_K\x05\x86\x86e.")}, nil)
	for len(all) > 0 {
		n := min(7, len(all))
		if _, err := conn.Write(all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
	<-c.all
	// Half a message does not keep the receiver.
	if _, err := conn.Write([]byte{0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if c.got["last"] != 5 || c.got["a;b=2;z=1"] != -3 || c.from["last"] != "graphite pickle 127.0.0.1" || r.Bad.Load() != 2 || r.Accepted.Load() != 4 {
		t.Errorf("%v from %v, bad %d, accepted %d", c.got, c.from, r.Bad.Load(), r.Accepted.Load())
	}
}

func TestReceiverRefusesALongMessage(t *testing.T) {
	r, err := New(Options{Config: Config{Pickle: "127.0.0.1:0"}, Sink: collect(1).sink})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	conn, err := net.Dial("tcp", r.Pickle().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection stays open")
	}
	cancel()
	<-done
	if r.Bad.Load() != 1 {
		t.Errorf("bad = %d", r.Bad.Load())
	}
	_, err = New(Options{Config: Config{Pickle: "127.0.0.1:x"}})
	if err == nil || !strings.Contains(err.Error(), "--set receive.graphite.pickle=") {
		t.Error(err)
	}
}

// FuzzPickle: any message ends, within its bounds, and its points are as any.
func FuzzPickle(f *testing.F) {
	for _, message := range written {
		data, err := hex.DecodeString(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{
		"(lp1\n(S'a.b'\np2\n(I1600000000\nF98.25\ntp3\ntp4\na.", "cos\nsystem\n(S'true'\ntR.", "](\x8c\x09a;z=1;z=2q\x00J\x00\x10^_K\x05\x86\x86h\x00J\x01\x10^_K\x06\x86\x86e.",
		"(lp0\n(V\\u20ac\\U0001f600\\n\xfc\\u005c\np1\n(I1600000000\nI5\ntta.", "]q\x00h\x00a.", "](\x8d\x01\x00\x00\x00\x00\x00\x00\x00aJ\x00\x10^_K\x05\x86\x862222e.",
	} {
		f.Add([]byte(s))
	}
	var u unpickler
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		points, bad, err := u.points(nil, data, moment)
		if (bad > 0) != (err != nil) || !bytes.Equal(data, kept) {
			t.Fatalf("bad %d, %v, %q", bad, err, data)
		}
		for _, p := range points {
			if tidied, reason := check(p.Name); reason != "" || !tidied || math.IsNaN(p.Value) || p.Time < 0 || p.Time > latest {
				t.Fatalf("%q %v %d: %s", p.Name, p.Value, p.Time, reason)
			}
		}
		if u.used > mostItems+len(data) || len(u.memo) > mostItems {
			t.Fatalf("%d items of %d bytes", u.used, len(data))
		}
	})
}

func TestPickleAllocatesNothing(t *testing.T) {
	var u unpickler
	message, err := hex.DecodeString(written[2])
	if err != nil {
		t.Fatal(err)
	}
	points := make([]metric.Point, 0, 3)
	if n := testing.AllocsPerRun(100, func() { points, _, _ = u.points(points[:0], message, moment) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUnpickle(b *testing.B) {
	message := []byte("\x80\x02](")
	for i := range 500 { // as many as a relay of Carbon sends at once
		name := fmt.Sprintf("servers.web%03d.cpu.idle", i)
		message = append(message, 'X', byte(len(name)), 0, 0, 0)
		message = append(append(message, name...), "q\x00J\x00\x10^_G@X\x90\x00\x00\x00\x00\x00\x86q\x01\x86q\x02"...)
	}
	message = append(message, "e."...)
	var u unpickler
	points := make([]metric.Point, 0, 500)
	for b.Loop() {
		points, _, _ = u.points(points[:0], message, moment)
	}
	if len(points) != 500 {
		b.Fatal(len(points))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*500), "ns/point")
}
