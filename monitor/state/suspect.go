package state

import (
	"slices"
	"time"

	"steer/base/event"
)

// serving are the events after which another version has the traffic.
var serving = []string{event.Deployed, event.Upgraded, event.RolledBack}

// lateness is how much later than the first bad value a deploy may be recorded
// and still be to blame: its traffic moves before the old nodes are drained and
// the deploy is written down as done.
const lateness = time.Minute

// suspect is the deploy that what began at a time is blamed on: the newest that
// was done before it and within the watch window, else the newest that had been
// started by then.
func (e *Engine) suspect(changes []event.Event, began time.Time) *event.Event {
	window := func(c event.Event) bool {
		length := usualWatch
		if e.o.Watch != nil {
			length = e.o.Watch(c.Environment)
		}
		return began.Sub(c.Time) <= length
	}
	var near []event.Event
	for _, c := range changes {
		if window(c) && !c.Time.After(began.Add(lateness)) {
			near = append(near, c)
		}
	}
	if done := newestDeploy(near, serving); done != nil {
		return done
	}
	near = slices.DeleteFunc(near, func(c event.Event) bool { return c.Time.After(began) })
	return newestDeploy(near, []string{event.DeployStarted})
}

func newestDeploy(changes []event.Event, types []string) *event.Event {
	var newest *event.Event
	for n, c := range changes {
		if slices.Contains(types, c.Type) && (newest == nil || c.Time.After(newest.Time)) {
			newest = &changes[n]
		}
	}
	return newest
}
