package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"steer/test/bench/server"
)

// answered is a result of /render in JSON: pairs of value and time.
type answered struct {
	Target     string
	Datapoints [][2]*float64
}

// verify asks for a range and compares all of the answer. It says whether the
// answer is that of an older version.
func (q *query) verify(ctx context.Context, base string, d *data, moved int) (early bool, err error) {
	body, err := server.Get(ctx, q.address(base, d, moved))
	if err != nil {
		return false, err
	}
	defer body.Close()
	var got []answered
	if err := json.NewDecoder(body).Decode(&got); err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	err = q.compare(d, moved, got, q.want, 0)
	if err == nil || q.early == nil {
		return false, err
	}
	if q.compare(d, moved, got, q.early, 0) == nil || q.compare(d, moved, got, q.early, 1) == nil {
		return true, nil
	}
	return false, err
}

// compare says what is wrong with an answer that may have some points more than
// were asked for.
func (q *query) compare(d *data, moved int, got []answered, want func(*data, string, int) float64, more int) error {
	results := q.results()
	if len(got) != len(results) {
		return fmt.Errorf("%d results, want %d", len(got), len(results))
	}
	byName := map[string]answered{}
	for _, a := range got {
		byName[a.Target] = a
	}
	for _, name := range results {
		a, ok := byName[name]
		if !q.all {
			a, ok = got[0], true
		}
		if !ok {
			return fmt.Errorf("no result is called %s", name)
		}
		if len(a.Datapoints) != q.points+more {
			return fmt.Errorf("%d points, want %d", len(a.Datapoints), q.points)
		}
		for k, point := range a.Datapoints[:q.points] {
			p := d.last(moved) - q.points + 1 + k
			if point[1] == nil || int64(*point[1]) != d.at(p) {
				return fmt.Errorf("point %d of %q is not at %d", k, a.Target, d.at(p))
			}
			if w := want(d, name, p); point[0] == nil || !same(*point[0], w) {
				return fmt.Errorf("point %d of %q is %s, want %v", k, a.Target, text(point[0]), w)
			}
		}
	}
	return nil
}

func text(v *float64) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(*v)
}

// same allows for sums in another order.
func same(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }
