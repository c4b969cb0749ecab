package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func scan(data []byte) (payloads []string, r Report) {
	r, _ = Scan(data, func(b []byte) error {
		payloads = append(payloads, string(b))
		return nil
	})
	return payloads, r
}

func frames(payloads ...string) (data []byte, ends []int) {
	for _, p := range payloads {
		data = AppendFrame(data, int64(len(data)), []byte(p))
		ends = append(ends, len(data))
	}
	return data, ends
}

func TestTornTail(t *testing.T) {
	want := []string{"one", "two and more", "three"}
	data, ends := frames(want...)
	for n := range len(data) + 1 {
		whole := 0
		for whole < len(ends) && ends[whole] <= n {
			whole++
		}
		got, r := scan(data[:n])
		end := 0
		if whole > 0 {
			end = ends[whole-1]
		}
		if !slices.Equal(got, want[:whole]) || r.Good != int64(end) || r.Tail != int64(n-end) || r.Damaged != 0 || r.Broken {
			t.Fatalf("cut at %d: %q %+v", n, got, r)
		}
		// A tail of zeros, as some file systems leave it.
		if got, r := scan(append(slices.Clone(data[:n]), make([]byte, 64)...)); !slices.Equal(got, want[:whole]) || r.Good != int64(end) || r.Broken {
			t.Fatalf("zeros from %d: %q %+v", n, got, r)
		}
	}
}

func TestFlippedBits(t *testing.T) {
	want := []string{"one", "two and more", "three"}
	data, ends := frames(want...)
	for bit := range len(data) * 8 {
		bad := slices.Clone(data)
		bad[bit/8] ^= 1 << (bit % 8)
		hit := 0
		for ends[hit] <= bit/8 {
			hit++
		}
		got, r := scan(bad)
		if !slices.Equal(got, slices.Delete(slices.Clone(want), hit, hit+1)) {
			t.Fatalf("bit %d: %q", bit, got)
		}
		if damaged := r.Damaged == 1; damaged != (hit < len(want)-1) {
			t.Fatalf("bit %d in frame %d: %+v", bit, hit, r)
		}
		// Only a length that is too great now looks like the beginning of a frame.
		longer := bit/8 >= ends[1]+2 && bit/8 < ends[1]+6 && bad[bit/8] > data[bit/8] && frameLength(bad[ends[1]:]) <= MaxPayload
		if broken := hit == len(want)-1 && !longer; r.Broken != broken {
			t.Fatalf("bit %d in frame %d: %+v", bit, hit, r)
		}
	}
}

func frameLength(frame []byte) uint32 { return binary.LittleEndian.Uint32(frame[2:]) }

func TestFrameCountsInItsPlaceOnly(t *testing.T) {
	inner := AppendFrame(nil, 0, []byte("what a sender chose"))
	data, _ := frames("first", string(inner), "last")
	data[12] ^= 1 // breaks the first frame
	if got, _ := scan(data); !slices.Equal(got, []string{string(inner), "last"}) {
		t.Fatalf("%q", got)
	}
	data, ends := frames("first", string(inner), "last")
	data[ends[0]] ^= 1 // breaks the second one, which holds a frame of another place
	if got, _ := scan(data); !slices.Equal(got, []string{"first", "last"}) {
		t.Fatalf("%q", got)
	}
}

// list writes down what Decode says.
type list []string

func (l *list) Series(id uint32, name []byte) { *l = append(*l, fmt.Sprintf("%d is %s", id, name)) }
func (l *list) Point(id uint32, clock, time int64, v float64) {
	*l = append(*l, fmt.Sprintf("%d at %d, written at %d: %x", id, time, clock, math.Float64bits(v)))
}

func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		var want, got list
		last := ""
		clock := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "clock")
		b = AppendClock(b, clock)
		for range rapid.IntRange(1, 20).Draw(t, "records") {
			id := rapid.Uint32Range(1, math.MaxUint32).Draw(t, "id")
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				name := rapid.StringN(1, 50, 500).Draw(t, "name")
				if rapid.Bool().Draw(t, "shared") {
					b = AppendShared(b, id, last, name)
				} else {
					b = AppendSeries(b, id, name)
				}
				last = name
				want.Series(id, []byte(name))
			case 1:
				clock++
				b = AppendClock(b, clock)
			default:
				at, v := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "time"), rapid.Float64().Draw(t, "value")
				b = AppendPoint(b, id, clock, at, v)
				want.Point(id, clock, at, v)
			}
		}
		if err := Decode(b, &got); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v\ngot  %q\nwant %q", err, got, want)
		}
	})
}

func TestRecordsOfNewerVersions(t *testing.T) {
	b := AppendSeries(nil, 1, "a.b")
	if err := Decode(append(b, 0, 200, 1), &list{}); !errors.Is(err, ErrNewer) {
		t.Errorf("a kind that is not known: %v", err)
	}
	if err := Decode(append(b, 0), &list{}); !errors.Is(err, ErrRecord) {
		t.Errorf("no kind: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	data, _ := frames("one", "two")
	f.Add(data)
	f.Add(data[:len(data)-2])
	f.Add(append(data, 0, 0, 0, mark0, mark1))
	f.Fuzz(func(t *testing.T, data []byte) {
		good := 0
		r, _ := Scan(data, func(p []byte) error {
			good += len(p) + frameHead
			return nil
		})
		if int64(good)+r.Lost != r.Good || r.Good+r.Tail != int64(len(data)) {
			t.Fatalf("%d bytes, %d in frames: %+v", len(data), good, r)
		}
	})
}

func FuzzDecode(f *testing.F) {
	b := AppendClock(nil, 1_800_000_000)
	b = AppendSeries(b, 1, "a.b")
	b = AppendPoint(b, 1, 1_800_000_000, 1_799_999_990, math.Inf(1))
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add([]byte{0, opSeries, 1, 200})
	f.Add(AppendShared(AppendShared(nil, 1, "", "a.b.c"), 2, "a.b.c", "a.b.d"))
	f.Add([]byte{0, opShared, 1, 5, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		// What decodes is written again, in the one way that writers have, and says
		// the same then.
		var first, second list
		w := &writer{list: &first}
		if Decode(b, w) != nil {
			return
		}
		if err := Decode(w.out, &second); err != nil || !slices.Equal(first, second) {
			t.Fatalf("%v\ngot  %q\nwant %q", err, second, first)
		}
	})
}

// writer writes what it is told, and a list of it.
type writer struct {
	*list
	out     []byte
	before  string
	clocked bool
	clock   int64
}

func (w *writer) Series(id uint32, name []byte) {
	w.list.Series(id, name)
	if len(name)%2 == 0 {
		w.out = AppendSeries(w.out, id, string(name))
	} else {
		w.out = AppendShared(w.out, id, w.before, string(name))
	}
	w.before = string(name)
}

func (w *writer) Point(id uint32, clock, time int64, v float64) {
	w.list.Point(id, clock, time, v)
	if !w.clocked || clock != w.clock {
		w.out = AppendClock(w.out, clock)
		w.clocked, w.clock = true, clock
	}
	w.out = AppendPoint(w.out, id, clock, time, v)
}
