package app

import (
	"context"

	"steer/base/fault"
	"steer/improve/flow"
	"steer/improve/followup"
	"steer/improve/signs"
	"steer/listen/annotate"
	"steer/listen/timeline"
)

// learn is what reads the journal to explain and to measure.
type learn struct {
	timeline  *timeline.Timeline
	flow      *flow.Flow
	followups *followup.Followups
	events    *annotate.Events
	signs     *signs.Measure
}

func (a *App) openLearn(context.Context) (err error) {
	if a.learn.timeline, err = timeline.New(timeline.Options{Journal: a.journal}); err != nil {
		return err
	}
	if a.learn.events, err = annotate.New(annotate.Options{Journal: a.journal}); err != nil {
		return err
	}
	if a.learn.flow, err = flow.New(flow.Options{Journal: a.journal}); err != nil {
		return err
	}
	a.learn.signs, err = signs.New(signs.Options{Journal: a.journal, Facts: a.signsFacts})
	return err
}

// mostHappened bounds what the function events counts.
const mostHappened = 10_000

// happened are the times of events with all tags, for the function events.
func (l *learn) happened(ctx context.Context, tags []string, from, until int64) ([]int64, error) {
	found, err := l.events.Find(ctx, annotate.Query{Tags: tags, From: from, Until: until - 1, Limit: mostHappened})
	if err != nil {
		return nil, err
	}
	if len(found) == mostHappened {
		return nil, fault.New(fault.TooMuch, "count events with the tags %q: there are %d or more; take a shorter range or more tags", tags, mostHappened)
	}
	times := make([]int64, len(found))
	for i, e := range found {
		times[i] = e.When
	}
	return times, nil
}
