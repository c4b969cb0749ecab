package block

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type field struct {
			v uint64
			n uint
		}
		fields := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) field {
			return field{rapid.Uint64().Draw(t, "v"), rapid.UintRange(0, 64).Draw(t, "n")}
		}), 0, 50).Draw(t, "fields")
		w := bitWriter{}
		total := uint(0)
		for _, f := range fields {
			w.write(f.v, f.n)
			total += f.n
		}
		w.flush()
		if len(w.buf) != int(total+7)/8 {
			t.Fatalf("%d bytes for %d bits", len(w.buf), total)
		}
		r := bitReader{buf: w.buf}
		for i, f := range fields {
			want := f.v
			if f.n < 64 {
				want &= 1<<f.n - 1
			}
			if got := r.read(f.n); got != want || r.short {
				t.Fatalf("field %d: %x, want %x", i, got, want)
			}
		}
		if r.read(8); !r.short {
			t.Fatal("it reads past the end")
		}
	})
}

func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.UintRange(0, 64).Draw(t, "width")
		values := rapid.SliceOfN(rapid.Uint64(), 1, 130).Draw(t, "values")
		b := pack([]byte{1}, values, width)[1:]
		if len(b) != packed(len(values), width) {
			t.Fatalf("%d bytes, want %d", len(b), packed(len(values), width))
		}
		got, want := make([]int64, len(values)), make([]int64, len(values))
		unpack(got, b, width)
		for i, v := range values {
			if width < 64 {
				v &= 1<<width - 1
			}
			want[i] = int64(v)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestDecimalsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(0, 17).Draw(t, "places")
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				return rapid.Float64().Draw(t, "any")
			case 1:
				return rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), 1 << 53, 1<<53 + 2, -(1 << 53), 5e-324, 1e22, 0.1 + 0.2}).Draw(t, "odd")
			}
			return float64(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "n")>>rapid.IntRange(0, 50).Draw(t, "shift")) / math.Pow10(places)
		}), 2, 200).Draw(t, "values")
		s := &encoder{}
		kind := s.encode(values)
		got := make([]float64, len(values))
		if err := decodeValues(kind, s.out, len(got), 0, got); err != nil || !equal(got, values) {
			t.Fatalf("kind %d: %v\ngot  %v\nwant %v", kind, err, got, values)
		}
	})
}

// kinds are values as metrics have them, n of each.
func kinds(n int) map[string][]float64 {
	r := rand.New(rand.NewPCG(1, 2))
	all := map[string][]float64{}
	add := func(name string, next func(i int, last float64) float64) {
		last := 0.0
		for i := range n {
			last = next(i, last)
			all[name] = append(all[name], last)
		}
	}
	places := func(v float64, p float64) float64 { return math.Round(v*p) / p }
	add("walk .01", func(_ int, v float64) float64 { return places(v+r.NormFloat64()*0.1, 100) })
	add("walk, one in three", func(_ int, v float64) float64 {
		return places(v+float64(max(0, r.IntN(3)-1))*float64(r.IntN(3)-1)/100, 100)
	})
	add("percent noise", func(i int, _ float64) float64 { return places(50+10*math.Sin(float64(i)/500)+r.NormFloat64()*5, 100) })
	add("counter", func(_ int, v float64) float64 { return v + float64(100+r.IntN(50)) })
	add("steady counter", func(_ int, v float64) float64 { return v + 10 })
	add("timer .001", func(_ int, _ float64) float64 { return places(20*math.Exp(r.NormFloat64()*0.5), 1000) })
	add("timer with spikes", func(_ int, _ float64) float64 {
		v := 20 + r.Float64()
		if r.IntN(50) == 0 {
			v *= 100
		}
		return places(v, 100)
	})
	add("mostly constant", func(_ int, v float64) float64 {
		if r.IntN(100) == 0 {
			return float64(r.IntN(1000))
		}
		return v
	})
	add("bytes of pages", func(_ int, v float64) float64 { return max(0, v+float64(r.IntN(2000)-900)*4096) })
	add("temperature", func(i int, _ float64) float64 { return places(40+5*math.Sin(float64(i)/300)+r.NormFloat64()*0.2, 10) })
	add("average of decimals", func(_ int, _ float64) float64 { return places(300+r.NormFloat64()*5, 100) / 6 })
	add("average of floats", func(_ int, v float64) float64 { return v*0.9 + float64(r.IntN(1000))/600 })
	add("any float", func(int, float64) float64 { return r.NormFloat64() })
	return all
}

func BenchmarkEncode(b *testing.B) {
	for name, values := range kinds(2048) {
		b.Run(name, func(b *testing.B) {
			s := &encoder{}
			var out []byte
			for b.Loop() {
				out = appendChunk(out[:0], values, s)
			}
			b.ReportMetric(float64(len(out))/2048, "bytes/value")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/value")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, values := range kinds(2048) {
		data := appendChunk(nil, values, &encoder{})
		b.Run(fmt.Sprint(name, " kind ", data[0]), func(b *testing.B) {
			dst := make([]float64, 2048)
			for b.Loop() {
				if err := decodeChunk(data, dst); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/value")
		})
	}
}
