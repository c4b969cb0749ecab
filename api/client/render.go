package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
)

// Series is one answer of /render.
type Series struct {
	Target string  `json:"target"`
	Points []Point `json:"datapoints"`
}

// Point is one value of a series; on the wire it is [value, seconds].
type Point struct {
	Value *float64 // nil: none
	Time  int64    // seconds since 1970
}

// UnmarshalJSON reads Graphite's pair. What is larger than a float64, as Graphite
// writes it, is infinite.
func (p *Point) UnmarshalJSON(b []byte) error {
	var value *json.Number
	pair := []any{&value, &p.Time}
	if err := json.Unmarshal(b, &pair); err != nil {
		return fmt.Errorf("read point %s: %w", b, err)
	}
	p.Value = nil
	if value != nil {
		v, err := strconv.ParseFloat(value.String(), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("read point %s: %w", b, err)
		}
		p.Value = &v
	}
	return nil
}

// MarshalJSON writes Graphite's pair.
func (p Point) MarshalJSON() ([]byte, error) {
	value := any(p.Value)
	if p.Value != nil && math.IsInf(*p.Value, 0) {
		value = json.Number(strconv.FormatFloat(math.Copysign(1, *p.Value), 'f', -1, 64) + "e9999")
	}
	return json.Marshal([]any{value, p.Time})
}

// Render evaluates a Graphite target; from and until are Graphite's times, and
// points is the most that each series may have (0: any).
func (c *Client) Render(ctx context.Context, target, from, until string, points int) ([]Series, error) {
	q := url.Values{"target": {target}, "from": {from}, "until": {until}, "format": {"json"}}
	if points > 0 {
		q.Set("maxDataPoints", strconv.Itoa(points))
	}
	return Get[[]Series](ctx, c, "/render", q)
}
