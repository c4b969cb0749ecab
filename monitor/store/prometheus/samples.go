package prometheus

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// sample is one value as a server keeps it.
type sample struct {
	time  int64 // milliseconds since 1970
	value float64
}

// samples reads itself from [[SECONDS,"VALUE"],…], where the seconds may have
// decimals. It is by far the most of what a server answers, so that encoding/json
// is only to find its end.
type samples []sample

// UnmarshalJSON takes what encoding/json has found to be sound JSON.
func (s *samples) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	rest := b
	next := func(want byte) bool {
		for len(rest) > 0 && rest[0] <= ' ' {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] != want {
			return false
		}
		rest = rest[1:]
		return true
	}
	until := func(end byte) []byte {
		i := max(bytes.IndexByte(rest, end), 0)
		word := rest[:i]
		rest = rest[i:]
		return word
	}
	if !next('[') {
		return bad(b)
	}
	*s = make(samples, 0, max(bytes.Count(b, []byte{'['})-1, 0))
	for more := !next(']'); more; {
		if !next('[') {
			return bad(b)
		}
		time, ok := milliseconds(bytes.TrimSpace(until(',')))
		if !ok || !next(',') || !next('"') {
			return bad(b)
		}
		value, err := strconv.ParseFloat(string(until('"')), 64)
		if err != nil || !next('"') || !next(']') {
			return bad(b)
		}
		*s = append(*s, sample{time, value})
		if more = next(','); !more && !next(']') {
			return bad(b)
		}
	}
	return nil
}

func bad(b []byte) error { return fmt.Errorf("its answer has %.40q where samples belong", b) }

// milliseconds reads seconds.
func milliseconds(b []byte) (int64, bool) {
	// Nearly always these are digits and at most three decimals.
	whole, decimals, _ := bytes.Cut(b, []byte{'.'})
	n, err := strconv.ParseInt(string(whole), 10, 51)
	for i := range 3 {
		n *= 10
		if i < len(decimals) {
			n += int64(decimals[i] - '0')
		}
	}
	if err == nil && whole[0] != '-' && len(decimals) <= 3 && len(bytes.Trim(decimals, "0123456789")) == 0 {
		return n, true
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.Abs(f) > 1<<50 {
		return 0, false
	}
	return int64(math.Round(f * 1000)), true
}
