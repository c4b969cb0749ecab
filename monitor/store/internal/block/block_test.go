package block

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func equal(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool {
		return math.Float64bits(x) == math.Float64bits(y) || x != x && y != y
	})
}

// column draws values as metrics have them: steady, counting, noisy, with gaps.
func column(t *rapid.T, longest int) []float64 {
	n := rapid.IntRange(1, longest).Draw(t, "length")
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	gaps := rapid.IntRange(0, 3).Draw(t, "gaps")
	special := rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64})
	values := make([]float64, n)
	for i := range values {
		switch kind {
		case 0:
			values[i] = 42
		case 1:
			values[i] = float64(i * 3)
		case 2:
			values[i] = rapid.Float64().Draw(t, "value")
		case 3:
			values[i] = special.Draw(t, "value")
		case 4:
			values[i] = math.Sin(float64(i)) * 100
		}
		if gaps == 1 && i%7 == 3 || gaps == 2 && i > 2 && i < n-2 || gaps == 3 && rapid.Bool().Draw(t, "gap") {
			values[i] = math.NaN()
		}
	}
	return values
}

func TestChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := column(t, 300)
		if values[0] = 1; values[len(values)-1] != values[len(values)-1] {
			values[len(values)-1] = 2
		}
		b := appendChunk([]byte("x"), values, &encoder{})
		got := make([]float64, len(values))
		if err := decodeChunk(b[1:], got); err != nil || !equal(got, values) {
			t.Fatalf("%v\ngot  %v\nwant %v", err, got, values)
		}
		for n := range len(b) - 1 {
			if decodeChunk(b[1:][:n], got) == nil {
				t.Fatalf("%d of %d bytes decode", n, len(b)-1)
			}
		}
	})
}

// A part of a chunk is what the whole has there.
func TestPartsOfChunks(t *testing.T) {
	all := kinds(700)
	all["integers"] = []float64{3, 1, 4, 1, 5, 9, 2, 6}
	all["steady"] = slices.Repeat([]float64{7}, 300)
	all["walk with odd values"] = slices.Clone(all["walk .01"])
	for _, i := range []int{3, 64, 65, 400} {
		all["walk with odd values"][i] = math.Pi * float64(i)
	}
	all["gaps"] = slices.Clone(all["counter"])
	all["gaps"][100] = math.NaN()
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "kind")
		from := rapid.IntRange(0, len(all[name])-1).Draw(t, "begin")
		values := all[name][from : from+rapid.IntRange(1, len(all[name])-from).Draw(t, "count")]
		if last := len(values) - 1; values[0] != values[0] || values[last] != values[last] {
			return // a chunk begins and ends with a value
		}
		b := appendChunk(nil, values, &encoder{})
		first := rapid.IntRange(0, len(values)-1).Draw(t, "from")
		got := make([]float64, rapid.IntRange(1, len(values)-first).Draw(t, "length"))
		whole, err := decodePart(b, len(values), first, got)
		if want := values[first:][:len(got)]; err != nil || whole && !equal(got, want) {
			t.Fatalf("%v, %v\ngot  %v\nwant %v", whole, err, got, want)
		}
		if whole == slices.ContainsFunc(values, func(v float64) bool { return v != v }) {
			t.Fatalf("it says that slots are missing: %v", !whole)
		}
	})
}

func TestChunksAreSmall(t *testing.T) {
	for name, c := range map[string]struct {
		most  float64 // bytes per value
		value func(i int) float64
	}{
		"constant": {0.02, func(int) float64 { return 3 }},
		"counter":  {2.5, func(i int) float64 { return float64(1000 + i) }},
		"noise":    {8.01, func(i int) float64 { return math.Sin(float64(i * i)) }},
	} {
		values := make([]float64, 1000)
		for i := range values {
			values[i] = c.value(i)
		}
		if got := float64(len(appendChunk(nil, values, &encoder{}))) / 1000; got > c.most {
			t.Errorf("%s: %.2f bytes per value, at most %.2f wanted", name, got, c.most)
		}
	}
}

var meta = Meta{Step: 10, Keep: 21600, Start: 1000, Slots: 300}

func build(t interface{ Fatal(...any) }, m Meta, columns map[uint32][]float64) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range slices.Sorted(maps.Keys(columns)) {
		if err := w.Add(id, int(id)%5, columns[id]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := map[uint32][]float64{}
		for range rapid.IntRange(0, 400).Draw(t, "series") {
			id := rapid.OneOf(rapid.Uint32Range(1, 1000), rapid.Uint32()).Draw(t, "id")
			columns[id] = column(t, 8)
		}
		data := build(t, meta, columns)
		r, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil || r.Meta != meta {
			t.Fatalf("%v %+v", err, r)
		}
		c := r.Cursor(rapid.IntRange(0, 5000).Draw(t, "ahead"))
		from := rapid.Int64Range(-10, 10).Draw(t, "from")
		for id, values := range columns {
			want, got := make([]float64, 20), make([]float64, 20)
			Missing(want)
			Missing(got)
			got[7], want[7] = 77, 77 // what is known already stays
			for i, v := range values {
				if at := int64(id%5) + int64(i) - from; at >= 0 && at < 20 && at != 7 {
					want[at] = v
				}
			}
			if _, err := c.Fill(id, meta.Start+from, got); err != nil || !equal(got, want) {
				t.Fatalf("%d: %v\ngot  %v\nwant %v", id, err, got, want)
			}
		}
		some := make([]float64, 1)
		Missing(some)
		for _, id := range []uint32{0, 500, 1 << 31, math.MaxUint32} {
			if _, ok := columns[id]; !ok {
				if ok, err := c.Fill(id, meta.Start, some); ok || err != nil {
					t.Fatalf("id %d is not in it: %v %v", id, ok, err)
				}
			}
		}
		n := 0
		for e, err := range r.All() {
			if err != nil || int(e.ID%5) > e.First {
				t.Fatalf("%+v %v", e, err)
			}
			n++
		}
		if n != r.Series() {
			t.Fatalf("%d of %d series", n, r.Series())
		}
	})
}

// TestFlippedBits: no changed bit goes unnoticed, and the other series stay.
func TestFlippedBits(t *testing.T) {
	columns := map[uint32][]float64{}
	for id := range uint32(200) {
		columns[id+1] = []float64{float64(id), 2, math.NaN(), 4.5}
	}
	data := build(t, meta, columns)
	for at := range data {
		bad := slices.Clone(data)
		bad[at] ^= 1 << (at % 8)
		r, err := Open(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			continue
		}
		wrong, lost := 0, 0
		c := r.Cursor(1000)
		for id, want := range columns {
			got := make([]float64, 4)
			Missing(got)
			ok, err := c.Fill(id, meta.Start+int64(id%5), got)
			switch {
			case err != nil && !errors.Is(err, ErrDamaged):
				t.Fatal(err)
			case err != nil || !ok:
				lost++
			case !equal(got, want):
				wrong++
			}
		}
		if wrong > 0 || lost == 0 || lost > pageSeries {
			t.Fatalf("byte %d of %d: %d series wrong, %d lost", at, len(data), wrong, lost)
		}
	}
	for n := range data {
		if _, err := Open(bytes.NewReader(data[:n]), int64(n)); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
}
