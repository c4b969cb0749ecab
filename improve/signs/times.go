package signs

import (
	"cmp"
	"slices"
	"time"
)

// mostSamples bounds what an answer lists of each figure, the newest first. Figures are
// made of all.
const mostSamples = 200

// Sample is one measurement.
type Sample struct {
	At      time.Time `json:"at"`   // when it ended; of a repair, when it began
	What    string    `json:"what"` // in words: "catalog b12 in production"
	Ref     string    `json:"ref"`  // what it is about: incident/7, deploy/12, host/web-1
	Seconds float64   `json:"seconds"`
	Events  []string  `json:"events"` // ids it was made from, from start to end
}

// Times are durations. Median and Mean are null without any.
type Times struct {
	Count   int      `json:"count"`
	Median  *float64 `json:"median_seconds"`
	Mean    *float64 `json:"mean_seconds"`
	Longest *float64 `json:"longest_seconds"`
	Before  Middle   `json:"before"`
	Samples []Sample `json:"samples"` // newest first, at most 200
}

// Middle is a figure of the period before.
type Middle struct {
	Count  int      `json:"count"`
	Median *float64 `json:"median_seconds"`
}

// Share is a part of a whole; Rate is null when the whole is 0.
type Share struct {
	Part   int      `json:"part"`
	Of     int      `json:"of"`
	Rate   *float64 `json:"rate"`   // 0 to 1
	Before *float64 `json:"before"` // Rate of the period before
}

// span is the period asked about, and the one before it.
type span struct{ before, since, until time.Time }

func (s span) now(t time.Time) bool  { return !t.Before(s.since) && t.Before(s.until) }
func (s span) then(t time.Time) bool { return !t.Before(s.before) && t.Before(s.since) }

// times sums samples up that ended in either period.
func (s span) times(samples []Sample) Times {
	t := Times{Samples: []Sample{}}
	var now, then []float64
	for _, one := range samples {
		switch {
		case s.now(one.At):
			now = append(now, one.Seconds)
			t.Samples = append(t.Samples, one)
		case s.then(one.At):
			then = append(then, one.Seconds)
		}
	}
	t.Count, t.Median, t.Mean = len(now), median(now), mean(now)
	if len(now) > 0 {
		longest := slices.Max(now)
		t.Longest = &longest
	}
	t.Before = Middle{len(then), median(then)}
	slices.SortStableFunc(t.Samples, func(a, b Sample) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Ref, b.Ref)) })
	t.Samples = t.Samples[:min(len(t.Samples), mostSamples)]
	return t
}

// share counts what happened at a time, and whether it belongs to the part.
type share struct{ now, then [2]int }

func (c *share) add(s span, at time.Time, part bool) {
	var n *[2]int
	switch {
	case s.now(at):
		n = &c.now
	case s.then(at):
		n = &c.then
	default:
		return
	}
	n[1]++
	if part {
		n[0]++
	}
}

func (c share) share() Share {
	return Share{Part: c.now[0], Of: c.now[1], Rate: rate(c.now), Before: rate(c.then)}
}

func rate(n [2]int) *float64 {
	if n[1] == 0 {
		return nil
	}
	r := float64(n[0]) / float64(n[1])
	return &r
}

// median is the middle value, or the mean of the two middle ones; it sorts them.
func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	m := values[len(values)/2]
	if len(values)%2 == 0 {
		m = (m + values[len(values)/2-1]) / 2
	}
	return &m
}

func mean(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	sum /= float64(len(values))
	return &sum
}
