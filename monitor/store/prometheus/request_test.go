package prometheus

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"pgregory.net/rapid"

	"steer/base/metric"
)

// field takes one field of a message off; number 0 is the end.
func field(b []byte) (number int, value []byte, rest []byte) {
	if len(b) == 0 {
		return 0, nil, nil
	}
	key, n := binary.Uvarint(b)
	b = b[n:]
	switch key & 7 {
	case 0:
		_, n := binary.Uvarint(b)
		return int(key >> 3), b[:n], b[n:]
	case 1:
		return int(key >> 3), b[:8], b[8:]
	case 2:
		length, n := binary.Uvarint(b)
		b = b[n:]
		return int(key >> 3), b[:length], b[length:]
	}
	panic(fmt.Sprintf("wire type %d", key&7))
}

// read takes a request apart as a server does, into lines.
func read(t tester, body []byte) (series []string) {
	t.Helper()
	message, err := snappy.Decode(nil, body)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for len(message) > 0 {
		var one []byte
		if _, one, message = field(message); one == nil {
			t.Fatalf("an empty series")
		}
		var words []string
		for len(one) > 0 {
			var number int
			var value []byte
			number, value, one = field(one)
			_, a, rest := field(value)
			_, b, rest := field(rest)
			if len(rest) > 0 {
				t.Fatalf("more in a label or sample than belongs there")
			}
			switch number {
			case 1:
				words = append(words, fmt.Sprintf("%s=%s", a, b))
			case 2:
				ms, _ := binary.Uvarint(b)
				words = append(words, fmt.Sprintf("%d:%v", ms, math.Float64frombits(binary.LittleEndian.Uint64(a))))
			}
		}
		series = append(series, strings.Join(words, " "))
	}
	return series
}

type tester interface {
	Helper()
	Fatalf(string, ...any)
}

func TestRequest(t *testing.T) {
	e := newEncoder("graphite")
	for range 2 { // its buffers serve again
		got := read(t, e.request([]point{
			{"a.b", 20, 2}, {"x;h=1", 10, math.Inf(1)}, {"a.b", 10, 1}, {"c", 5, -0.5}, {"a.b", 20, 3}, {"a.b", 15, 7},
			{strings.Repeat("long", 100), 1_800_000_000, 1e300},
		}))
		want := []string{
			"__name__=graphite path=a.b 10000:1 15000:7 20000:3",
			"__name__=graphite h=1 name=x;h=1 path=x 10000:+Inf",
			"__name__=graphite path=c 5000:-0.5",
			"__name__=graphite path=" + strings.Repeat("long", 100) + " 1800000000000:1e+300",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
}

// A request holds every series once, in the order of time, and the last value
// for each time.
func TestRequestsSayWhatWasWritten(t *testing.T) {
	e := newEncoder("graphite")
	rapid.Check(t, func(t *rapid.T) {
		var points []point
		want := map[string]map[int64]float64{}
		for i := range rapid.IntRange(0, 50).Draw(t, "points") {
			p := point{fmt.Sprint("s", rapid.IntRange(0, 5).Draw(t, "series")), int64(rapid.IntRange(1, 10).Draw(t, "time")), float64(i)}
			points = append(points, p)
			if want[p.name] == nil {
				want[p.name] = map[int64]float64{}
			}
			want[p.name][p.time] = p.value
		}
		var lines []string
		for name, values := range want {
			line := "__name__=graphite path=" + name
			times := []int64{}
			for at := range values {
				times = append(times, at)
			}
			slices.Sort(times)
			for _, at := range times {
				line += fmt.Sprintf(" %d:%v", at*1000, values[at])
			}
			lines = append(lines, line)
		}
		got := read(t, e.request(points))
		slices.SortFunc(got, cmp.Compare)
		slices.SortFunc(lines, cmp.Compare)
		if !slices.Equal(got, lines) {
			t.Fatalf("%q\nwant %q", got, lines)
		}
	})
}

func TestBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b batch
		var want []point
		for range rapid.IntRange(0, 30).Draw(t, "points") {
			p := point{rapid.String().Draw(t, "name"), rapid.Int64Range(-1<<60, 1<<60).Draw(t, "time"), rapid.Float64().Draw(t, "value")}
			b.add(&metric.Point{Name: []byte(p.name), Time: p.time, Value: p.value})
			want = append(want, p)
		}
		got, err := decode(nil, b.payload(new(compressor)))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v %v, want %v", got, err, want)
		}
	})
}

func FuzzDecode(f *testing.F) {
	var b batch
	b.add(&metric.Point{Name: []byte("a.b"), Time: 1_800_000_000, Value: 1})
	b.add(&metric.Point{Name: []byte("a.c;d=e"), Time: 1_800_000_010, Value: math.Inf(1)})
	good := b.payload(new(compressor))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{version})
	f.Add(append([]byte{version}, snappy.Encode(nil, []byte{200, 1, 'a'})...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		points, err := decode(nil, payload)
		if err != nil {
			return
		}
		var b batch
		for _, p := range points {
			b.add(&metric.Point{Name: []byte(p.name), Time: p.time, Value: p.value})
		}
		again, err := decode(nil, b.payload(new(compressor)))
		if err != nil || len(again) != len(points) {
			t.Fatalf("%d points, written and read again %d, %v", len(points), len(again), err)
		}
	})
}
