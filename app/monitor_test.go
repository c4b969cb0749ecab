package app

import (
	"context"
	"testing"

	"steer/base/metric"
	"steer/monitor/store"
)

// plainDriver is a driver that has no use for senders.
type plainDriver struct {
	store.Driver
	points int
}

func (d *plainDriver) Write(_ context.Context, points []metric.Point) error {
	d.points += len(points)
	return nil
}

func TestDriversWithoutSendersGetPointsToo(t *testing.T) {
	d := &plainDriver{}
	if err := into(d)("graphite tcp 10.1.2.3", make([]metric.Point, 3)); err != nil || d.points != 3 {
		t.Fatal(err, d.points)
	}
}
