package query

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"steer/monitor/query/querytest"
)

// group() is in the way of a stream: with it, all series are there before they are
// combined.
func TestStreamsGiveTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	m := &querytest.Memory{}
	for i, column := range rough(r, 150, 40) {
		m.Add(fmt.Sprintf("even.dc%d.n%03d", i%3, i), 10, 10, column...)
		m.Add(fmt.Sprintf("mixed.n%03d", i), 10, int64(10+i/140*10), column...)
		m.Add(fmt.Sprintf("cpu;dc=%d;host=h%d", i%3, i), 10, 10, column...)
	}
	m.Add("one.series", 10, 10, 1, 2, 3)
	for _, args := range []string{"even.*.*", "even.dc1.*,one.series,even.dc1.*", "mixed.*", "one.*", "nothing.*", "one.series,nothing.*", "cpu;dc=1;host=*"} {
		for _, function := range []string{"sumSeries", "averageSeries", "minSeries", "maxSeries", "avg", "diffSeries"} {
			for _, xFiles := range []float64{0, 0.7} {
				eval := func(target string) []Result {
					got, err := engine(t, m, Limits{}).Eval(context.Background(), Request{Until: 400, Targets: []string{target}, XFiles: xFiles})
					if err != nil {
						t.Fatalf("%s: %v", target, err)
					}
					return got
				}
				got, want := eval(function+"("+args+")"), eval(function+"(group("+args+"))")
				if len(got) != len(want) || len(got) > 1 {
					t.Fatalf("%s of %s: %d results, want %d", function, args, len(got), len(want))
				}
				for i := range got {
					if !slices.EqualFunc(got[i].Values, want[i].Values, same) {
						t.Errorf("%s of %s\n%v, want\n%v", function, args, got[i].Values, want[i].Values)
					}
					got[i].Target, want[i].Target, got[i].Values, want[i].Values = "", "", nil, nil
					if !reflect.DeepEqual(got[i], want[i]) {
						t.Errorf("%s of %s\n%+v, want\n%+v", function, args, got[i], want[i])
					}
				}
			}
		}
	}
}

func TestStreamsReadInParts(t *testing.T) {
	m := &querytest.Memory{}
	for i := range 200 {
		m.Add(fmt.Sprintf("s.n%03d", i), 10, 10, make([]float64, 10)...)
	}
	for _, c := range []struct {
		targets []string
		want    []int // series of each fetch
	}{
		{[]string{"sumSeries(s.*)"}, []int{16, 184}},
		{[]string{"scale(sumSeries(s.*),2)", "s.n001"}, []int{1, 16, 184}},
		{[]string{"sumSeries(s.*)", "maxSeries(s.*)"}, []int{200}}, // both need them
		{[]string{"sumSeries(s.*)", "s.*"}, []int{200}},
		{[]string{"diffSeries(s.*)"}, []int{200}},
	} {
		m.Fetches = nil
		if _, err := engine(t, m, Limits{}).Eval(context.Background(), Request{Until: 100, Targets: c.targets}); err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, f := range m.Fetches {
			got = append(got, len(f.Names))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: fetches of %v series, want %v", c.targets, got, c.want)
		}
	}
}
