package query

import (
	"math"
	"slices"
)

// A trend looks at no more points than this: of more, each stands for the median
// of its neighbours.
const trendPoints = 200

// trend is a straight line that outliers don't move: its slope is the median of
// the slopes between all pairs of points (Theil, "A rank-invariant method of
// linear and polynomial regression analysis", 1950). The slope lies between low
// and high with the wanted confidence, if the points stray independently of each
// other (Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau",
// Journal of the American Statistical Association 63, 1968).
type trend struct {
	x, y             []float64 // seconds since the first point of the series, values
	slope, low, high float64   // per second
}

// trendOf fits a trend to the known values. It needs three, in times apart.
func trendOf(s *Result, confidence float64) (t trend, ok bool) {
	size := (len(s.Values) + trendPoints - 1) / trendPoints
	for i := 0; i < len(s.Values); i += size {
		piece := s.Values[i:min(i+size, len(s.Values))]
		place, n := 0.0, 0.0
		for k, v := range piece {
			if v == v && !math.IsInf(v, 0) {
				place, n = place+float64(i+k), n+1
			}
		}
		if middle := median(piece); n > 0 && !math.IsInf(middle, 0) {
			t.x, t.y = append(t.x, place/n*float64(s.Step)), append(t.y, middle)
		}
	}
	n := len(t.x)
	if n < 3 {
		return t, false
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	for i := range n {
		for j := i + 1; j < n; j++ {
			slopes = append(slopes, (t.y[j]-t.y[i])/(t.x[j]-t.x[i]))
		}
	}
	slices.Sort(slopes)
	// Kendall's statistic of points without a trend has the variance below; as many
	// slopes around the middle as it strays are the confidence interval.
	pairs := float64(len(slopes))
	stray := math.Sqrt2 * math.Erfinv(confidence) * math.Sqrt(float64(n*(n-1)*(2*n+5))/18)
	t.low = slopes[int(max(math.Floor((pairs-stray)/2)-1, 0))]
	t.high = slopes[int(min(math.Ceil((pairs+stray)/2), pairs-1))]
	t.slope = median(slopes)
	return t, true
}

// level is where a line with some slope stands at the first point of the series:
// it has as many points above it as below.
func (t trend) level(slope float64) float64 {
	rest := make([]float64, len(t.x))
	for i, x := range t.x {
		rest[i] = t.y[i] - slope*x
	}
	return median(rest)
}
