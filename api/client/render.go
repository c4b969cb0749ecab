package client

import (
	"context"
	"encoding/json"
	"fmt"
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

// UnmarshalJSON reads Graphite's pair.
func (p *Point) UnmarshalJSON(b []byte) error {
	pair := []any{&p.Value, &p.Time}
	if err := json.Unmarshal(b, &pair); err != nil {
		return fmt.Errorf("read point %s: %w", b, err)
	}
	return nil
}

// MarshalJSON writes Graphite's pair.
func (p Point) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.Value, p.Time}) }

// Render evaluates a Graphite target; from and until are Graphite's times, and
// points is the most that each series may have (0: any).
func (c *Client) Render(ctx context.Context, target, from, until string, points int) ([]Series, error) {
	q := url.Values{"target": {target}, "from": {from}, "until": {until}, "format": {"json"}}
	if points > 0 {
		q.Set("maxDataPoints", strconv.Itoa(points))
	}
	return Get[[]Series](ctx, c, "/render", q)
}
