package service

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"steer/base/fault"
)

// field is one of the five of a schedule.
type field struct {
	name     string
	from, to int
	words    []string // for from, from+1 …
}

func cronFields() []field {
	return []field{
		{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of month", 1, 31, nil},
		{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{"day of week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// checkSchedule refuses what cron would, which it says only in its log, and days that
// never come.
func checkSchedule(s string) error {
	if strings.HasPrefix(s, "@") {
		if slices.Contains([]string{"@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}, s) {
			return nil
		}
		return fault.New(fault.Invalid, "cron does not know %q (@reboot, @hourly, @daily, @weekly, @monthly, @yearly)", s)
	}
	words := strings.Fields(s)
	if len(words) != 5 || strings.ContainsAny(s, "\n\r") {
		return fault.New(fault.Invalid, "%q has not five fields (minute, hour, day of month, month, day of week)", s)
	}
	sets := make([][]int, 5)
	for i, f := range cronFields() {
		for part := range strings.SplitSeq(words[i], ",") {
			set, ok := f.values(part)
			if !ok {
				return fault.New(fault.Invalid, "%q is no %s (%d to %d, like *, */5, 1-4, 1,3)", words[i], f.name, f.from, f.to)
			}
			sets[i] = append(sets[i], set...)
		}
	}
	if !strings.HasPrefix(words[4], "*") {
		return nil // either day will do
	}
	days := []int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for _, month := range sets[3] {
		if slices.Min(sets[2]) <= days[month-1] {
			return nil
		}
	}
	return fault.New(fault.Invalid, "%q never comes: no such month has a day %d", s, slices.Min(sets[2]))
}

// values are those that a part of a field stands for: *, N, N-M, each with /STEP.
func (f field) values(part string) ([]int, bool) {
	span, step, stepped := strings.Cut(part, "/")
	by := 1
	if stepped {
		var ok bool
		if by, ok = number(step); !ok || by < 1 || by > f.to {
			return nil, false
		}
	}
	from, to := f.from, f.to
	if span != "*" {
		first, last, ranged := strings.Cut(span, "-")
		var ok bool
		if from, ok = f.number(first); !ok {
			return nil, false
		}
		if to = from; ranged {
			if to, ok = f.number(last); !ok || to < from {
				return nil, false
			}
		} else if stepped {
			return nil, false // 5/10 means something else to each cron
		}
	}
	var all []int
	for n := from; n <= to; n += by {
		all = append(all, n)
	}
	return all, true
}

func (f field) number(s string) (int, bool) {
	if i := slices.Index(f.words, strings.ToLower(s)); i >= 0 {
		return f.from + i, true
	}
	n, ok := number(s)
	return n, ok && n >= f.from && n <= f.to
}

func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && s[0] != '+'
}

// owner is the user ID of a file.
func owner(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}
