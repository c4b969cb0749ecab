// Package schema reads what decides how long a series is kept and how its
// coarser archives come from the finer ones: Carbon's storage-schemas.conf and
// storage-aggregation.conf as they are, or the same as YAML lists.
package schema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Archive keeps one value per Step seconds for Keep seconds. Keep is a multiple
// of Step.
type Archive struct{ Step, Keep int64 }

// String writes the archive as Parse reads it: "10s:6h".
func (a Archive) String() string { return span(a.Step) + ":" + span(a.Keep) }

// units from long to short, so that span finds the longest that fits.
var units = []struct {
	name    string // any prefix of the name is the unit, as in Carbon
	seconds int64
}{
	{"years", 365 * 86400}, {"weeks", 7 * 86400}, {"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"seconds", 1},
}

func span(seconds int64) string {
	for _, u := range units {
		if seconds >= u.seconds && seconds%u.seconds == 0 {
			return strconv.FormatInt(seconds/u.seconds, 10) + u.name[:1]
		}
	}
	return strconv.FormatInt(seconds, 10) + "s"
}

const (
	// longest is the greatest time to keep: it leaves room for sums.
	longest = 200 * 365 * 86400
	// longestStep fits into the four bytes that a block has for it.
	longestStep = 100 * 365 * 86400
)

// length reads "10s", "6h", "90min"; a bare number is returned with bare set.
func length(s string) (n int64, bare bool, err error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := s[len(digits):]
	n, err = strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, false, fmt.Errorf("%q is no length of time (write a whole number and a unit of s m h d w y, like 10s)", s)
	}
	if n == 0 {
		return 0, false, fmt.Errorf("%q is zero", s)
	}
	if unit == "" {
		return n, true, nil
	}
	for _, u := range units {
		if strings.HasPrefix(u.name, unit) {
			if n > longest/u.seconds {
				return 0, false, fmt.Errorf("%q is more than 200 years", s)
			}
			return n * u.seconds, false, nil
		}
	}
	return 0, false, fmt.Errorf("unknown unit %q (use s m h d w y)", unit)
}

// ParseArchive reads one STEP:KEEP. Either part may be a bare number: seconds
// for the step, a count of points for what is kept.
func ParseArchive(s string) (Archive, error) {
	fail := func(err error) (Archive, error) { return Archive{}, fmt.Errorf("retention %q: %w", s, err) }
	first, second, ok := strings.Cut(s, ":")
	if !ok {
		return fail(errors.New("no \":\" (write STEP:KEEP, like 10s:6h)"))
	}
	step, _, err := length(strings.TrimSpace(first))
	if err != nil {
		return fail(err)
	}
	keep, bare, err := length(strings.TrimSpace(second))
	if err != nil {
		return fail(err)
	}
	if bare {
		if keep > longest/step {
			return fail(fmt.Errorf("%d points of %s are more than 200 years", keep, span(step)))
		}
		keep *= step
	}
	if keep > longest {
		return fail(errors.New("more than 200 years"))
	}
	if step > longestStep {
		return fail(fmt.Errorf("a step of %s is more than 100 years", span(step)))
	}
	if keep < step {
		return fail(fmt.Errorf("keeps %s, less than its step of %s", span(keep), span(step)))
	}
	return Archive{step, keep - keep%step}, nil
}

// ParseRetentions reads "10s:6h,1m:7d,10m:5y" and checks that the archives fit
// together as Whisper demands. They come back from fine to coarse.
func ParseRetentions(s string) ([]Archive, error) {
	var all []Archive
	for part := range strings.SplitSeq(s, ",") {
		a, err := ParseArchive(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Archive) int { return int(a.Step - b.Step) })
	for i, coarse := range all[1:] {
		fine := all[i]
		fail := func(format string, args ...any) ([]Archive, error) {
			return nil, fmt.Errorf("retentions %q: %w", s, fmt.Errorf(format, args...))
		}
		switch ratio := coarse.Step / fine.Step; {
		case coarse.Step == fine.Step:
			return fail("two archives have a step of %s (keep the longer one)", span(fine.Step))
		case coarse.Step%fine.Step != 0:
			return fail("a step of %s is no multiple of the finer step of %s", span(coarse.Step), span(fine.Step))
		case coarse.Keep <= fine.Keep:
			return fail("%v keeps no longer than the finer %v (a coarser archive must reach further back)", coarse, fine)
		case fine.Keep/fine.Step < ratio:
			return fail("%v holds %d points, but one point of %v is made of %d", fine, fine.Keep/fine.Step, coarse, ratio)
		case ratio > 1<<20:
			return fail("one point of %v is made of %d points of %v (at most %d; put an archive between them)", coarse, ratio, fine, 1<<20)
		}
	}
	return all, nil
}
