package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as written in configuration: "90s", "10m",
// "1h30m", "7d".
type Duration time.Duration

// ParseDuration reads a Duration. Beside Go's units it knows d (24 hours) and w
// (7 days), each as a whole number alone.
func ParseDuration(s string) (Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, err := strconv.ParseInt(strings.TrimSuffix(s, unit), 10, 32); err == nil && strings.HasSuffix(s, unit) {
			return Duration(time.Duration(n) * length), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration (write a number with ms, s, m, h, d or w, like 90s or 10m)", s)
	}
	return Duration(d), nil
}

// UnmarshalText reads s as ParseDuration does.
func (d *Duration) UnmarshalText(s []byte) (err error) {
	*d, err = ParseDuration(string(s))
	return err
}

// MarshalText is the inverse of UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the duration without zero parts: "10m", not "10m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Std returns the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }
