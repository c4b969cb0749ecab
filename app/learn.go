package app

import (
	"context"

	"steer/improve/flow"
	"steer/listen/timeline"
)

// learn is what reads the journal to explain and to measure.
type learn struct {
	timeline *timeline.Timeline
	flow     *flow.Flow
}

func (a *App) openLearn(context.Context) (err error) {
	if a.learn.timeline, err = timeline.New(timeline.Options{Journal: a.journal}); err != nil {
		return err
	}
	a.learn.flow, err = flow.New(flow.Options{Journal: a.journal})
	return err
}
