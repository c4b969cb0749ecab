package values

import (
	"math"
	"strconv"
	"testing"
)

func TestValuesAreOfTheirKind(t *testing.T) {
	for k := Percent; k <= Level; k++ {
		changed, last := 0, int64(math.MinInt64)
		const n = 5000
		s := New(k, 3)
		for range n {
			v := s.Next()
			if v < 0 || v >= 1<<53 {
				t.Fatalf("kind %d: %d", k, v)
			}
			if k == Percent && v > 10_000 || k == Counter && v < last || k == Amount && v%4096 != 0 {
				t.Fatalf("kind %d: %d after %d", k, v, last)
			}
			if v != last {
				changed++
			}
			last = v
		}
		if rare := k == Still || k == Blip || k == Temperature; rare != (changed < n/4) || changed < 2 {
			t.Errorf("kind %d changed %d times in %d points", k, changed, n)
		}
	}
}

func TestNumbersComeBack(t *testing.T) {
	for _, c := range []struct {
		v        int64
		decimals int
		text     string
	}{{0, 0, "0"}, {12345, 0, "12345"}, {9820, 2, "98.20"}, {5, 3, "0.005"}, {421, 1, "42.1"}, {100, 2, "1.00"}} {
		text := string(Append(nil, c.v, c.decimals))
		v, err := strconv.ParseFloat(text, 64)
		if text != c.text || err != nil || v != Number(c.v, c.decimals) {
			t.Errorf("%d with %d decimals is sent as %s, want %s, and expected as %v", c.v, c.decimals, text, c.text, Number(c.v, c.decimals))
		}
	}
}
