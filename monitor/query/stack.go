package query

import (
	"slices"
	"time"
)

// The stack of those that give none.
const defaultStack = "__DEFAULT__"

// stackFunctions draw areas and marks.
func stackFunctions() []*Function {
	return []*Function{
		{
			Name: "stacked", Group: "Graph", Doc: "Adds every series onto those before it in the same stack, in this and the other targets of the request, and fills the area between them.",
			Params: []Param{many(), {Name: "stack", Type: String, Optional: true, Doc: "the name of the stack, where there are several"}},
			run:    stacked,
		}, {
			Name: "areaBetween", Group: "Graph", Doc: "Fills the area between two series.",
			Params: []Param{{Name: "seriesList", Type: SeriesList, Doc: "exactly two series"}},
			run: func(c *call) ([]*Result, error) {
				list := c.input()
				if len(list) != 2 {
					return nil, refused("areaBetween is the area between exactly two series, found %d", len(list))
				}
				name := "areaBetween(" + list[1].PathExpression + ")"
				tags := list[1].tagged("areaBetween", "1").Tags
				for i, s := range list {
					r := *s
					r.Name, r.Tags = name, tags
					r.Style.Stack, r.Style.Invisible = name, i == 0
					list[i] = &r
				}
				return list, nil
			},
		}, {
			Name: "verticalLine", Group: "Graph", Doc: "Draws a vertical line at a moment within the range.",
			Params: []Param{{Name: "ts", Type: Date, Doc: `the moment, as in from and until: "-1h", "16:30_20260102"`},
				{Name: "label", Type: String, Optional: true, Doc: "the name of the line"},
				{Name: "color", Type: String, Optional: true, Doc: "a name or hex digits"}},
			run: func(c *call) ([]*Result, error) {
				moment, err := ParseTime(c.text("ts"), time.Unix(c.request.Now, 0), c.request.TZ)
				if err != nil {
					return nil, refused("ts of verticalLine: %w", err)
				}
				at := moment.Unix()
				if at < c.span.from || at > c.span.until {
					return nil, refused("the moment %q of verticalLine is outside of the range", brief(c.text("ts")))
				}
				name := c.text("label")
				if !c.given("label") {
					name = noName
				}
				line := c.fresh(name, at, at, 1, []float64{1, 1})
				line.unnamed = !c.given("label")
				line.Style.Infinite, line.Style.Color = true, c.text("color")
				return []*Result{line}, nil
			},
		},
	}
}

// stacked goes by the places of values, not by their times, as Graphite does: the
// series of a stack should have one step.
func stacked(c *call) ([]*Result, error) {
	list, stack := c.input(), c.text("stack")
	if !c.given("stack") {
		stack = defaultStack
	}
	totals := slices.Clone(c.stacks[stack])
	for i, s := range list {
		if err := c.spend(len(s.Values)); err != nil {
			return nil, err
		}
		out := make([]float64, len(s.Values))
		for len(totals) < len(out) {
			totals = append(totals, 0)
		}
		for j, v := range s.Values {
			if out[j] = v; !isNull(v) {
				totals[j] += v
				out[j] = totals[j]
			}
		}
		name := s.Name
		if stack == defaultStack {
			s, name = s.tagged("stacked", stack), "stacked("+name+")"
		}
		list[i] = s.named(name).with(out)
		list[i].Style.Stack = "stack " + stack
	}
	if c.stacks == nil {
		c.stacks = map[string][]float64{}
	}
	c.stacks[stack] = totals
	return list, nil
}
