package flow

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// init makes lists that are empty instead of absent, for JSON.
func (s *Set) init() {
	for _, t := range s.times() {
		t.Samples = []Sample{}
	}
	s.Deployments.Events, s.GoodBuilds.Events = []string{}, []string{}
	s.ChangeFailure.Causes, s.GoodBuilds.Days = []Failure{}, []Day{}
}

func (s *Set) times() []*Times {
	return []*Times{&s.LeadTime, &s.TimeToDetect, &s.TimeToRestore, &s.Recovery}
}

func (s *Set) empty() bool {
	for _, t := range s.times() {
		if len(t.Samples) > 0 {
			return false
		}
	}
	return len(s.Deployments.Events) == 0 && len(s.GoodBuilds.Days) == 0
}

// add takes the samples of one service into the total.
func (s *Set) add(one Set) {
	from := one.times()
	for n, t := range s.times() {
		t.Samples = append(t.Samples, from[n].Samples...)
	}
	s.Deployments.Events = append(s.Deployments.Events, one.Deployments.Events...)
	s.ChangeFailure.Causes = append(s.ChangeFailure.Causes, one.ChangeFailure.Causes...)
	s.GoodBuilds.Events = append(s.GoodBuilds.Events, one.GoodBuilds.Events...)
	for _, day := range one.GoodBuilds.Days {
		n := slices.IndexFunc(s.GoodBuilds.Days, func(d Day) bool { return d.Date == day.Date })
		if n < 0 {
			s.GoodBuilds.Days = append(s.GoodBuilds.Days, day)
			continue
		}
		s.GoodBuilds.Days[n].Good += day.Good
		s.GoodBuilds.Days[n].All += day.All
	}
}

// finish computes from the samples.
func (s *Set) finish(q Query) {
	days := q.Until.Sub(q.Since).Hours() / 24
	rate := func(n int) float64 {
		if days <= 0 {
			return 0
		}
		return float64(n) / days
	}
	for _, t := range s.times() {
		slices.SortStableFunc(t.Samples, func(a, b Sample) int { return cmp.Or(a.At.Compare(b.At), slices.Compare(a.Events, b.Events)) })
		t.Median = median(t.Samples)
	}
	slices.Sort(s.Deployments.Events) // ids sort by time
	s.Deployments.Count = len(s.Deployments.Events)
	s.Deployments.PerDay = rate(s.Deployments.Count)

	slices.SortStableFunc(s.ChangeFailure.Causes, func(a, b Failure) int { return cmp.Or(a.At.Compare(b.At), slices.Compare(a.Events, b.Events)) })
	s.ChangeFailure.Failed, s.ChangeFailure.Of = len(s.ChangeFailure.Causes), s.Deployments.Count
	if s.ChangeFailure.Of > 0 {
		share := float64(s.ChangeFailure.Failed) / float64(s.ChangeFailure.Of)
		s.ChangeFailure.Rate = &share
	}
	slices.Sort(s.GoodBuilds.Events)
	slices.SortFunc(s.GoodBuilds.Days, func(a, b Day) int { return strings.Compare(a.Date, b.Date) })
	s.GoodBuilds.Good, s.GoodBuilds.All = len(s.GoodBuilds.Events), 0
	for _, d := range s.GoodBuilds.Days {
		s.GoodBuilds.All += d.All
	}
	s.GoodBuilds.PerDay = rate(s.GoodBuilds.Good)
}

// median is the middle value, or the mean of the two middle ones.
func median(samples []Sample) *float64 {
	if len(samples) == 0 {
		return nil
	}
	values := make([]float64, len(samples))
	for n, s := range samples {
		values[n] = s.Seconds
	}
	slices.Sort(values)
	m := values[len(values)/2]
	if len(values)%2 == 0 {
		m = (m + values[len(values)/2-1]) / 2
	}
	return &m
}

const usual = 30 * 24 * time.Hour
