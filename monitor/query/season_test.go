package query

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"steer/base/metric"
	"steer/monitor/query/querytest"
)

// waves is a metric with a daily wave and noise, a point every ten minutes.
func waves(seed uint64, days int, noise float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([]float64, days*144)
	for i := range out {
		out[i] = 100 + 50*math.Sin(2*math.Pi*float64(i)/144) + noise*r.NormFloat64()
	}
	return out
}

func evaluated(t rapid.TB, values []float64, from, until int64, target string) []Result {
	t.Helper()
	m := &querytest.Memory{}
	m.Add("m", 0, 600, values...)
	e, err := New(Options{Source: m})
	if err != nil {
		t.Fatal(err)
	}
	list, err := e.Eval(context.Background(), Request{Targets: []string{target}, From: from, Until: until})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Noise as it always was is hardly ever unusual; what is far off always is, in
// its direction, and though an outlier was there in an earlier season.
func TestAnomalyScore(t *testing.T) {
	values := waves(7, 40, 4)
	const day = 86400
	unusual, all := 0, 0
	for d := int64(10); d < 39; d++ {
		for _, v := range evaluated(t, values, d*day, (d+1)*day, "anomalyScore(m)")[0].Values {
			if all++; math.Abs(v) > 1 {
				unusual++
			}
		}
	}
	if share := float64(unusual) / float64(all); share > 0.02 {
		t.Errorf("%.4f of the usual values are anomalies", share)
	}
	at := int64(30*144 + 50)
	values[at] += 40
	values[at+1] -= 40
	values[at-144] += 500
	got := evaluated(t, values, 30*day, 31*day, "anomalyScore(m)")[0]
	if high, low := got.Values[49], got.Values[50]; !(high > 1 && low < -1) {
		t.Errorf("40 above and below give %v and %v", high, low)
	}
}

// The score says the same as the bands, does not hang on the unit, and is the
// same however long the range is.
func TestScoresAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := waves(rapid.Uint64().Draw(t, "seed"), 12, rapid.Float64Range(0.1, 20).Draw(t, "noise"))
		gap := rapid.IntRange(2, 200).Draw(t, "gap")
		for i := 0; i < len(values); i += gap {
			values[i] = null()
		}
		from := rapid.Int64Range(6*86400, 11*86400).Draw(t, "from")
		until := from + rapid.Int64Range(600, 40000).Draw(t, "length")
		score := evaluated(t, values, from, until, "anomalyScore(m,seasons=5)")[0]
		bands := evaluated(t, values, from, until, "anomalyBands(m,seasons=5)")
		base := evaluated(t, values, from, until, "seasonalBaseline(m,seasons=5)")[0]
		scaled := evaluated(t, values, from, until, "anomalyScore(offset(scale(m,-3),7),seasons=5)")[0]
		longer := evaluated(t, values, from-7200, until, "anomalyScore(m,seasons=5)")[0]
		for i, v := range score.Values {
			at := int(score.Start/600) + i
			if at >= len(values) {
				break
			}
			outside := values[at] < bands[0].Values[i] || values[at] > bands[1].Values[i]
			if near := math.Abs(math.Abs(v)-1) < 1e-9; !near && outside != (math.Abs(v) > 1) {
				t.Fatalf("%v with score %v is between %v and %v", values[at], v, bands[0].Values[i], bands[1].Values[i])
			}
			var same []float64
			for k := 1; k <= 5; k++ {
				same = append(same, values[at-144*k])
			}
			if want := median(same); base.Values[i] != want && !(isNull(want) && isNull(base.Values[i])) {
				t.Fatalf("baseline %v instead of %v", base.Values[i], want)
			}
			if other := scaled.Values[i]; math.Abs(other+v) > 1e-6*max(1, math.Abs(v)) {
				t.Fatalf("in another unit, %v becomes %v", v, other)
			}
			if again := longer.Values[int(score.Start-longer.Start)/600+i]; again != v && v == v {
				t.Fatalf("in a longer range, %v becomes %v", v, again)
			}
		}
	})
}

// rolled keeps the newest hours in ten seconds and all before in minutes.
type rolled struct {
	querytest.Memory
	coarse querytest.Memory
	cut    int64
}

func (r *rolled) Fetch(ctx context.Context, names []string, from, until int64, most int, room func(int) []float64) ([]metric.Series, error) {
	if from < r.cut {
		return r.coarse.Fetch(ctx, names, from, until, most, room)
	}
	return r.Memory.Fetch(ctx, names, from, until, most, room)
}

// Fine values stray further than the means that are left of earlier days, and
// are no more unusual for that.
func TestScoreOfRolledUpHistory(t *testing.T) {
	const now = 6 * 86400
	r := rand.New(rand.NewPCG(3, 4))
	fine := make([]float64, now/10+1)
	for i := range fine {
		fine[i] = 100 + 10*r.NormFloat64()
	}
	coarse := make([]float64, now/60)
	for i := range coarse {
		coarse[i] = average(fine[6*i : 6*i+6])
	}
	source := &rolled{cut: now - 6*3600}
	source.Add("m", 0, 10, fine...)
	source.coarse.Add("m", 0, 60, coarse...)
	list, err := engine(t, source, Limits{}).Eval(context.Background(), Request{Targets: []string{"anomalyScore(m)"}, From: now - 3600, Until: now})
	if err != nil {
		t.Fatal(err)
	}
	unusual := 0
	for _, v := range list[0].Values {
		if math.Abs(v) > 1 {
			unusual++
		}
	}
	if n := len(list[0].Values); n != 360 || unusual > n/30 || known(list[0].Values) != n {
		t.Errorf("%d of %d values are anomalies, %d are known", unusual, n, known(list[0].Values))
	}
}
