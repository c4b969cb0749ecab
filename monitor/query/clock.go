package query

import (
	"math"
	"math/rand/v2"
	"strings"

	"steer/base/fault"
)

// clockFunctions make series of time itself, and of what happened when.
func clockFunctions() []*Function {
	name := Param{Name: "name", Type: String, Doc: "the name of the series"}
	step := Param{Name: "step", Type: Integer, Default: "60", Doc: "seconds from point to point"}
	return []*Function{
		{
			Name: "time", Aliases: []string{"timeFunction"}, Group: "Transform", Doc: "Makes a series whose values are their own times, in seconds since 1970.",
			Params: []Param{name, step},
			run: func(c *call) ([]*Result, error) {
				return c.ticking(int64(c.number("step")), func(t int64) float64 { return float64(t) })
			},
		}, {
			Name: "identity", Group: "Calculate", Doc: "Makes a series of one point a minute whose values are their own times, in seconds since 1970.",
			Params: []Param{name},
			run: func(c *call) ([]*Result, error) {
				list, err := c.ticking(60, func(t int64) float64 { return float64(t) })
				for _, s := range list {
					s.PathExpression = `identity("` + s.Name + `")`
				}
				return list, err
			},
		}, {
			Name: "sin", Aliases: []string{"sinFunction"}, Group: "Transform", Doc: "Makes a series of the sines of its times.",
			Params: []Param{name, {Name: "amplitude", Type: Integer, Default: "1", lenient: true, Doc: "the largest value"}, step},
			run: func(c *call) ([]*Result, error) {
				amplitude := c.number("amplitude")
				return c.ticking(int64(c.number("step")), func(t int64) float64 { return math.Sin(float64(t)) * amplitude })
			},
		}, {
			Name: "randomWalk", Aliases: []string{"randomWalkFunction"}, Group: "Special", Doc: "Makes a series that begins with 0 and moves at random, by less than a half at every point.",
			Params: []Param{name, step},
			run: func(c *call) ([]*Result, error) {
				at := 0.0
				return c.ticking(int64(c.number("step")), func(int64) float64 {
					v := at
					at += rand.Float64() - 0.5
					return v
				})
			},
		}, {
			Name: "events", Group: "Special", Doc: "Counts, for every second, the events that have all of the tags; there is no value where there is none.",
			Params: []Param{{Name: "tags", Type: String, Repeated: true, Doc: `the tags; "*" alone means all events`}},
			run:    events,
		},
	}
}

// ticking makes a series of points from the beginning of the range on.
func (c *call) ticking(step int64, f func(t int64) float64) ([]*Result, error) {
	if step < 1 {
		return nil, refused("step of %s is a number of seconds from 1 up, found %s", c.op.fn.Name, c.text("step"))
	}
	points := (c.span.until - c.span.from + step - 1) / step
	if err := c.spend(int(points)); err != nil {
		return nil, err
	}
	out := make([]float64, points)
	for i := range out {
		out[i] = f(c.span.from + int64(i)*step)
	}
	r := c.fresh(c.text("name"), c.span.from, c.span.until, step, out)
	r.Tags = tagsOf(r.Name)
	return []*Result{r}, nil
}

func events(c *call) ([]*Result, error) {
	var tags []string
	for _, t := range c.scalars("tags") {
		tags = append(tags, t.text)
	}
	name := `events("` + strings.Join(tags, `", "`) + `")`
	if len(tags) == 1 && tags[0] == "*" {
		tags = nil
	}
	if c.engine.events == nil {
		return nil, fault.New(fault.NotFound, "count %s: this server keeps no events", name)
	}
	if err := c.spend(int(c.span.until - c.span.from)); err != nil {
		return nil, err
	}
	times, err := c.engine.events(c.ctx, tags, c.span.from, c.span.until)
	if err != nil {
		return nil, err
	}
	out := make([]float64, c.span.until-c.span.from)
	for i := range out {
		out[i] = null()
	}
	for _, t := range times {
		i := t - c.span.from
		if i < 0 || i >= int64(len(out)) {
			continue
		}
		if isNull(out[i]) {
			out[i] = 0
		}
		out[i]++
	}
	r := c.fresh(name, c.span.from, c.span.until, 1, out)
	r.Consolidate = "sum"
	return []*Result{r}, nil
}
