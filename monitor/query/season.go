package query

import (
	"math"
	"slices"
)

// seasonFunctions compare with the same time of earlier days or weeks.
func seasonFunctions() []*Function {
	return []*Function{
		seasonal("seasonalBaseline", false, "Shows the median of the same time in earlier seasons.",
			func(c *call, s *Result, h history) []*Result {
				name := "seasonalBaseline(" + s.Name + `, "` + c.text("season") + `", ` + whole(c.number("seasons")) + ")"
				return []*Result{s.named(name).with(h.baseline).tagged("seasonalBaseline", c.text("season"))}
			}),
		seasonal("anomalyScore", true, "Tells how unusual every value is for its time: its distance from the seasonal baseline, where 1 is the border of anomalyBands. "+
			"Above 1 is unusually high, below -1 unusually low; 100 is the most.",
			func(c *call, s *Result, h history) []*Result {
				out := make([]float64, len(s.Values))
				for i, v := range h.values {
					out[i] = score(v-h.baseline[i], h.half[i])
				}
				return []*Result{s.named("anomalyScore("+s.Name+")").with(out).tagged("anomalyScore", c.text("season"))}
			}),
		seasonal("anomalyBands", true, "Draws the lower and the upper end of what is normal for the time: some deviations around the seasonal baseline. "+
			"The deviation is how far earlier seasons were from each other at about that time, as a median, so that outliers don't widen the band.",
			func(c *call, s *Result, h history) []*Result {
				lower, upper := make([]float64, len(s.Values)), make([]float64, len(s.Values))
				for i, base := range h.baseline {
					lower[i], upper[i] = base-h.half[i], base+h.half[i]
				}
				return []*Result{
					s.named("anomalyLower("+s.Name+")").with(lower).tagged("anomalyBands", c.text("season")),
					s.named("anomalyUpper("+s.Name+")").with(upper).tagged("anomalyBands", c.text("season")),
				}
			}),
	}
}

// seasonal is a function that makes results of every series and its history.
func seasonal(name string, spread bool, doc string, f func(c *call, s *Result, h history) []*Result) *Function {
	fn := &Function{Name: name, Group: forecastGroup, Doc: doc, Params: []Param{many(),
		{Name: "season", Type: Interval, Default: "1d", Doc: "the time after which things repeat", Suggest: []string{"1d", "7d"}},
		{Name: "seasons", Type: Integer, Default: "4", Doc: "how many earlier seasons count"}}}
	if spread {
		fn.Params = append(fn.Params,
			Param{Name: "width", Type: Float, Default: "3", Doc: "how many deviations from the baseline are normal"},
			Param{Name: "least", Type: Float, Default: "0", Doc: "distance from the baseline that is always normal, in the unit of the series"})
	}
	fn.reach = func(_ *evaluation, o *op, s span) ([]span, error) { return seasonSpans(o, s, spread) }
	fn.run = func(c *call) ([]*Result, error) {
		spans, err := seasonSpans(c.op, c.span, spread)
		if err != nil {
			return nil, err
		}
		list := c.input()
		seasons := make([][]*Result, len(list)) // by series, this season first
		for _, s := range spans[1:] {
			others, err := c.again(s)
			if err != nil {
				return nil, err
			}
			for i, o := range counterparts(list, others) {
				seasons[i] = append(seasons[i], o)
			}
		}
		var out []*Result
		for i, s := range list {
			h, err := c.history(s, seasons[i], spread)
			if err != nil {
				return nil, err
			}
			out = append(out, f(c, s, h)...)
		}
		return out, nil
	}
	return fn
}

// seasonSpans are the range, and then the same in this and earlier seasons with
// what lies around it.
func seasonSpans(o *op, s span, spread bool) ([]span, error) {
	season, _ := o.scalar("season")
	seasons, _ := o.scalar("seasons")
	length, fewest := int64(season.number), 1.0
	if spread {
		fewest = 2
		width, _ := o.scalar("width")
		least, _ := o.scalar("least")
		if !(width.number > 0 && least.number >= 0) {
			return nil, refused("width of %s is above 0 and least not below it, found %s and %s", o.fn.Name, width.text, least.text)
		}
	}
	switch {
	case length <= 0:
		return nil, refused("season of %s is longer than nothing, found %q", o.fn.Name, season.text)
	case seasons.number < fewest || seasons.number > 100:
		return nil, refused("seasons of %s is a number from %s to 100, found %s", o.fn.Name, whole(fewest), seasons.text)
	}
	margin := length / 20 // a little more than the twenty-fourth of history
	spans := []span{s, {s.from - margin, s.until}}
	for k := range int64(seasons.number) {
		back := (k + 1) * length
		spans = append(spans, span{s.from - back - margin, s.until - back + margin})
	}
	return spans, nil
}

// history is what earlier seasons say about the points of a series.
type history struct {
	values   []float64 // of the series, as fine as the earlier ones are
	baseline []float64 // the median of the seasons
	half     []float64 // how far from it is normal
}

// history puts the seasons of a series below each other, on its own grid with a
// margin at both ends, and looks at them column by column. What is kept of
// earlier ones is often coarser; so that all stray alike, finer values are merged
// over as long a time.
//
// The deviation of a point is 1.4826 times the median of all distances within
// a twenty-fourth of a season: as many as in a normal distribution (Hampel, "The
// Influence Curve and its Role in Robust Estimation", 1974). A distance is that of
// one season from the median of the others, and so an error that the baseline
// would have made.
func (c *call) history(s *Result, seasons []*Result, spread bool) (history, error) {
	season, around, piece, margin := int64(c.number("season")), 0, 1, 0
	if spread {
		around = int(season / 24 / s.Step)
		piece = max(around/8, 1)
		margin = around + piece
	}
	n, k := len(s.Values)+2*margin, len(seasons)-1
	coarse := s.Step
	for _, o := range seasons {
		if o != nil {
			coarse = max(coarse, o.Step)
		}
	}
	if err := c.spend(n * (2*k + 3)); err != nil {
		return history{}, err
	}
	rows := make([][]float64, len(seasons))
	for i, o := range seasons {
		rows[i] = sampled(merged(o, coarse), s.Start-int64(i)*season-int64(margin)*s.Step, s.Step, n)
	}
	h := history{values: rows[0][margin : margin+len(s.Values)]}
	for i, v := range s.Values {
		if isNull(v) {
			h.values[i] = v
		}
	}
	baseline, apart := make([]float64, n), make([]float64, n*k)
	values := make([]float64, 0, k) // of one column, sorted
	for i := range n {
		values = values[:0]
		for _, row := range rows[1:] {
			if v := row[i]; v == v {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		baseline[i] = medianBut(values, len(values))
		for j := range k {
			apart[i*k+j] = null()
			if j < len(values) {
				apart[i*k+j] = math.Abs(values[j] - medianBut(values, j))
			}
		}
	}
	if h.baseline = baseline[margin : margin+len(s.Values)]; !spread {
		return h, c.ctx.Err()
	}
	// The deviation changes slowly: one for each piece of time is enough, the same
	// whatever range is asked for.
	h.half = make([]float64, len(s.Values))
	width, least := c.number("width"), c.number("least")
	before, half := int64(math.MinInt64), 0.0
	for i := range h.half {
		at := (s.Start-modulo(s.Start, s.Step))/s.Step + int64(i)
		within := modulo(at, int64(piece))
		if at-within != before {
			before = at - within
			middle := margin + i - int(within) + piece/2
			half = max(width*1.4826*median(apart[max(middle-around, 0)*k:min(middle+around+1, n)*k]), least)
		}
		h.half[i] = half
	}
	return h, c.ctx.Err()
}

// merged is a series whose every value is made of those of the last so many
// seconds, in the way that consolidateBy has set.
func merged(s *Result, seconds int64) *Result {
	if s == nil || seconds < 2*s.Step {
		return s
	}
	size, f := int(seconds/s.Step), consolidation(s.Consolidate)
	out := make([]float64, len(s.Values))
	for i := range out {
		out[i] = f(s.Values[max(i+1-size, 0) : i+1])
	}
	return s.with(out)
}

// medianBut is the median of sorted values without the one at a place.
func medianBut(sorted []float64, skip int) float64 {
	n := len(sorted)
	at := func(i int) float64 {
		if i >= skip {
			i++
		}
		return sorted[i]
	}
	if skip < n {
		n--
	}
	switch {
	case n == 0:
		return null()
	case n%2 == 1:
		return at(n / 2)
	}
	return (at(n/2-1) + at(n/2)) / 2
}

// sampled is what a series shows at n points of another grid: the value whose
// interval the point lies in, or the mean of all that lie in the point's.
func sampled(s *Result, start, step int64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = null()
		if s == nil {
			continue
		}
		at := start + int64(i)*step - s.Start
		first := (at - modulo(at, s.Step)) / s.Step
		behind := max(first+1, (at+step)/s.Step)
		first, behind = max(first, 0), min(behind, int64(len(s.Values)))
		if first < behind {
			out[i] = average(s.Values[first:behind])
		}
	}
	return out
}

// score is a distance as a share of what is normal. A score beyond 100 would say
// nothing more, and flatten a chart.
func score(distance, half float64) float64 {
	if distance == 0 && half == 0 {
		return 0
	}
	return max(-100, min(distance/half, 100))
}
