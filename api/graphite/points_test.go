package graphite

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"steer/base/metric"
	"steer/monitor/query"
)

func TestDecimalsAreWhatAppendFloatWrites(t *testing.T) {
	q := newQuads()
	check := func(v float64) {
		t.Helper()
		var p [longest]byte
		got := p[:q.decimal(&p, v)]
		if want := query.AppendFloat(nil, v); len(got) > 0 && !bytes.Equal(got, want) {
			t.Fatalf("%v is %s, want %s", v, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		for _, unit := range []float64{1, 10, 100, 1000, 10_000, 100_000} {
			v := float64(r.Int64N(2_000_000_000)-1_000_000_000) / unit
			check(v)
			check(math.Nextafter(v, 0))
			check(math.Nextafter(v, math.Inf(1)))
		}
		check(float64(r.Int64N(1<<42)-1<<41) / 10_000)
		check(float64(r.Int64N(1<<53)-1<<52) / 10_000)
		check(math.Float64frombits(r.Uint64()))
	}
	for n := range 10_000 {
		check(float64(n))
		check(float64(n) / 10_000)
		check(-float64(n) / 100)
	}
	for v, is := range map[float64]bool{
		0: true, math.Copysign(0, -1): true, 1: true, -2.5: true, 0.0001: true, -0.0001: true, 10_000: true, 99_999_999.9999: true, -99_999_999.9999: true, 100_000_000: true, 99_999_999_999.9999: true, -99_999_999_999.9999: true,
		0.00001: false, 100_000_000_000: false, -100_000_000_000: false, 99_999.99999: false, 0.30000000000000004: false, 1e300: false,
		math.Inf(1): false, math.Inf(-1): false, math.NaN(): false,
	} {
		check(v)
		if n := q.decimal(new([longest]byte), v); n > 0 != is {
			t.Errorf("%v is such a decimal: %v, want %v", v, !is, is)
		}
	}
}

// Points are what the plainest way of writing them gives, however many buffers
// they fill.
func TestPointsAreWrittenPlainly(t *testing.T) {
	s := &server{quads: newQuads()}
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		start, step int64
		points, cut int
	}{{1_767_355_200, 10, 20_000, 0}, {1_799_999_000, 60, 300, 7}, {-300, 7, 100, 0}, {999_999_000, 10, 300, 0}, {1_767_355_200, 10, 0, 0}, {9_999_999_000, 10, 300, 0}} {
		values := make([]float64, c.points)
		for i := range values {
			switch r.IntN(8) {
			case 0:
				values[i] = math.NaN()
			case 1:
				values[i] = r.NormFloat64() * 1e6
			case 2:
				values[i] = math.Inf(r.IntN(2)*2 - 1)
			case 3:
				values[i] = float64(r.Int64N(1 << 40))
			default:
				values[i] = float64(r.IntN(200_000)-50_000) / 100
			}
		}
		end := c.start + int64(c.points-c.cut)*c.step
		for _, dense := range []bool{false, true} {
			var want []string
			for i, v := range values {
				text := string(query.AppendFloat(nil, v))
				switch at := c.start + int64(i)*c.step; {
				case at > end || dense && v != v:
					continue
				case v != v:
					text = "null"
				case math.IsInf(v, 0):
					text = map[bool]string{true: "1e9999", false: "-1e9999"}[v > 0]
				}
				want = append(want, fmt.Sprintf("[%s, %d]", text, c.start+int64(i)*c.step))
			}
			w := httptest.NewRecorder()
			out := s.writer(w)
			out.points(query.Result{Series: metric.Series{Start: c.start, Step: c.step, Values: values}, End: end}, dense)
			if err := out.end(); err != nil {
				t.Fatal(err)
			}
			s.release(out)
			if got := w.Body.String(); got != strings.Join(want, ", ") {
				t.Errorf("%+v, dense %v: not what was wanted: %.300s", c, dense, got)
			}
		}
	}
}

// An answer says its length if it is written at once, and only then.
func TestLengths(t *testing.T) {
	for size, known := range map[int]bool{10: true, 200 << 10: true, 300 << 10: false} {
		w := httptest.NewRecorder()
		out := (&server{}).writer(w)
		out.put(strings.Repeat("x", size))
		_ = out.end()
		if got := w.Header().Get("Content-Length"); w.Body.Len() != size || known && got != fmt.Sprint(size) || !known && got != "" {
			t.Errorf("%d bytes: Content-Length %q, %d were written", size, got, w.Body.Len())
		}
	}
	h := handler(t)
	for _, wrapped := range []string{"&pretty=1", "&jsonp=f", "&pretty=1&jsonp=f"} {
		if w := get(t, h, "/render?format=json&target=web.one"+wrapped); w.Code != http.StatusOK || w.Header().Get("Content-Length") != "" {
			t.Errorf("%s: status %d, Content-Length %q", wrapped, w.Code, w.Header().Get("Content-Length"))
		}
	}
}
