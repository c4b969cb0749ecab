// Package values makes the values of the series that benches send: always the
// same ones, and like those of real systems.
package values

import "strconv"

// Kind is how the values of a series behave. What operators send is a mixture
// of these; how many of a host's hundred series are of a kind stands behind it.
type Kind uint8

// The kinds.
const (
	Percent     Kind = iota // 28: share of time, 2 decimals: noise around a mean that drifts slowly
	Counter                 // 24: integer that grows, by a rate that goes up and down
	Still                   // 12: integer that changes once in some 500 points
	Blip                    //  8: 2 decimals, zero but for one point in 50
	Amount                  //  8: bytes, a multiple of 4096, random walk
	Walk                    //  6: 2 decimals, random walk in small steps
	Timer                   //  6: milliseconds, 3 decimals, skewed, with a spike now and then
	Temperature             //  4: 1 decimal, a tenth up or down in one point of 8
	Level                   //  4: small integer around a mean
)

// Decimals is how many digits are sent behind the point.
func (k Kind) Decimals() int {
	return [...]int{Percent: 2, Counter: 0, Still: 0, Blip: 2, Amount: 0, Walk: 2, Timer: 3, Temperature: 1, Level: 0}[k]
}

// Sequence makes the values of one series, one after the other. Values are
// integers in units of the last decimal, so that they are the same everywhere.
type Sequence struct {
	random  uint64
	v, mean int64
	kind    Kind
}

// New is a sequence that stands before its first value.
func New(k Kind, seed uint64) Sequence {
	s := Sequence{kind: k, random: seed * 0x9e3779b97f4a7c15}
	switch k {
	case Percent:
		s.mean = s.below(9000) + 500
	case Counter:
		s.mean = 1 << (4 + s.below(16)) // a step's growth
		s.v = s.below(s.mean << 12)
	case Still:
		s.v = s.below(1 << 20)
	case Amount:
		s.v = (1<<18 + s.below(1<<20)) * 4096
	case Walk:
		s.v = 500 + s.below(5000)
	case Timer:
		s.mean = 2000 + s.below(200_000)
	case Temperature:
		s.v = 250 + s.below(400)
	case Level:
		s.mean = 4 + s.below(200)
	}
	return s
}

// bits are 64 random ones: SplitMix64 of Steele, Lea and Flood, 2014.
func (s *Sequence) bits() uint64 {
	s.random += 0x9e3779b97f4a7c15
	z := s.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is a random number from 0 to n-1; n is far below 2^32.
func (s *Sequence) below(n int64) int64 { return int64(s.bits() >> 32 * uint64(n) >> 32) }

// bell is nearly normal, with a standard deviation of about 37,800.
func bell(bits uint64) int64 {
	return int64(bits&0xffff+bits>>16&0xffff+bits>>32&0xffff+bits>>48) - 2*0xffff
}

// Next is the next value, in units of the last decimal.
func (s *Sequence) Next() int64 {
	b := s.bits()
	switch s.kind {
	case Percent:
		if b&0x3f == 0 {
			s.mean = min(max(s.mean+int64(b>>8&0xff)-128, 200), 9800)
		}
		s.v = min(max(s.mean+bell(b)*120/37_800, 0), 10_000)
	case Counter:
		s.v += max(s.mean+s.mean*bell(b)/(4*37_800), 0)
	case Still:
		if b%500 == 0 {
			s.v += int64(b >> 60)
		}
	case Blip:
		s.v = 0
		if b%50 == 0 {
			s.v = int64(b>>32&0x1ff) + 1
		}
	case Amount:
		s.v = max(s.v+bell(b)*200/37_800*4096, 4096)
	case Walk:
		s.v = max(s.v+bell(b)*8/37_800, 0)
	case Timer:
		s.v = s.mean + bell(b)*(s.mean/10)/37_800
		if b%97 == 0 {
			s.v *= 2 + int64(b>>61)
		}
		s.v = max(s.v, 1)
	case Temperature:
		switch b & 0xf {
		case 0:
			s.v++
		case 1:
			s.v--
		}
	case Level:
		s.v = max(s.mean+bell(b)*(s.mean/4+1)/37_800, 0)
	}
	return s.v
}

// Number is what a correct system gives back for a value.
func Number(v int64, decimals int) float64 {
	return float64(v) / [...]float64{1, 10, 100, 1000}[decimals]
}

// Append writes a value as it is sent, with all its decimals.
func Append(dst []byte, v int64, decimals int) []byte {
	if decimals == 0 {
		return strconv.AppendInt(dst, v, 10)
	}
	unit := [...]int64{1, 10, 100, 1000}[decimals]
	dst = append(strconv.AppendInt(dst, v/unit, 10), '.')
	for v %= unit; unit > 1; v %= unit {
		unit /= 10
		dst = append(dst, byte('0'+v/unit))
	}
	return dst
}
