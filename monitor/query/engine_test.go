package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/query/querytest"
)

func engine(t testing.TB, s Source, l Limits) *Engine {
	t.Helper()
	e, err := New(Options{Source: s, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOneFetchPlan(t *testing.T) {
	m := &querytest.Memory{}
	for _, name := range []string{"a.x", "a.y", "b.x"} {
		m.Add(name, 60, 60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	}
	_, err := engine(t, m, Limits{}).Eval(context.Background(), Request{From: 300, Until: 600, Targets: []string{
		"a.*", "sumSeries(a.*,b.x)", "scale(b.*,2)", `movingAverage(a.x,"2min")`, `movingSum(b.x,"2min")`, `timeShift(a.x,"1min")`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range m.Fetches {
		got = append(got, fmt.Sprint(f.From, f.Until, f.Names))
	}
	// The first series of each range goes ahead to learn the step.
	want := []string{"180 600 [a.x]", "180 600 [b.x]", "240 540 [a.x]", "300 600 [a.x]", "300 600 [a.y b.x]"}
	if !slices.Equal(got, want) {
		t.Errorf("fetches\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLimits(t *testing.T) {
	m := &querytest.Memory{}
	for i := range 50 {
		m.Add(fmt.Sprintf("s.n%d", i), 10, 10, make([]float64, 100)...)
	}
	for _, c := range []struct {
		limits Limits
		target string
		want   string
	}{
		{Limits{Series: 49}, "s.*", `find series "s.*": it matches more than 49 series; narrow the pattern`},
		{Limits{Series: 50}, "sum(s.*)", ""},
		{Limits{Series: 60}, "group(s.*,s.*)", "it gives 100 series, the limit is 60"},
		{Limits{Series: 60}, "sum(s.*,timeShift(s.*,'1d'))", "the request reads more than 60 series"},
		{Limits{Points: 4000}, "s.*", "more than 4000 points"},
		{Limits{Points: 100}, "summarize(s.n1,'1s')", "more than 100 points"},
		{Limits{}, "summarize(s.n1,'1s')", ""},
		{Limits{Points: 10000}, "movingAverage(s.n1,1000000)", "more than 10000 points"},
	} {
		_, err := engine(t, m, c.limits).Eval(context.Background(), Request{Targets: []string{c.target}, Until: 1000})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.TooMuch) {
			t.Errorf("%s with %+v: %v, want %q", c.target, c.limits, err, c.want)
		}
	}
}

// stuck never answers.
type stuck struct{ querytest.Memory }

func (s *stuck) Fetch(ctx context.Context, _ []string, _, _ int64, _ int) ([]metric.Series, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTimeout(t *testing.T) {
	s := &stuck{}
	s.Add("a", 0, 10, 1)
	_, err := engine(t, s, Limits{Timeout: config.Duration(time.Millisecond)}).Eval(context.Background(), Request{Targets: []string{"a"}, Until: 60})
	if fault.Of(err) != fault.TooMuch || !strings.Contains(err.Error(), "longer than 1ms") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = engine(t, s, Limits{}).Eval(ctx, Request{Targets: []string{"a"}, Until: 60}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWrongRequests(t *testing.T) {
	e := engine(t, &querytest.Memory{}, Limits{})
	for _, r := range []Request{{From: 5, Until: 5}, {Until: math.MaxInt64}, {Until: 5, XFiles: 2}, {Until: 5, XFiles: math.NaN()}, {Until: 5, Targets: []string{"f("}}} {
		if _, err := e.Eval(context.Background(), r); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("an engine without a source")
	}
	if _, err := New(Options{Source: &querytest.Memory{}, Limits: Limits{Series: -1}}); err == nil {
		t.Error("a negative limit")
	}
}

// Every entry of the table is whole, and its documentation can be shown.
func TestTable(t *testing.T) {
	e := engine(t, &querytest.Memory{}, Limits{})
	for _, f := range Functions() {
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") || f.Group == "" || f.run == nil && !f.selects {
			t.Errorf("%s: %+v", f.Name, f)
		}
		for i, p := range f.Params {
			if p.Doc == "" || p.Repeated && i != len(f.Params)-1 {
				t.Errorf("%s: %+v", f.Name, p)
			}
		}
		if got, ok := e.Function(f.Name); !ok || got.Name != f.Name {
			t.Errorf("%s is not found", f.Name)
		}
	}
	if f, ok := e.Function("avg"); !ok || f.Name != "averageSeries" {
		t.Error("the second name avg")
	}
}

// Whatever is asked of whatever data, the evaluator answers or refuses.
func TestNeverPanics(t *testing.T) {
	named := regexp.MustCompile(`alias|group|substr|Wildcards|verticalLine|Walk|time|sin|identity|applyByNode`) // they may give an empty name
	value := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{math.NaN(), math.NaN(), math.Inf(1), math.Inf(-1), 0, math.MaxFloat64}))
	functions := Functions()
	rapid.Check(t, func(t *rapid.T) {
		m := &querytest.Memory{}
		for i := range rapid.IntRange(0, 6).Draw(t, "series") {
			name := fmt.Sprintf("%s.n%d", rapid.SampledFrom([]string{"a", "b", "b.c", "a;t=x"}).Draw(t, "name"), i)
			m.Add(name, rapid.Int64Range(-100, 1000).Draw(t, "start"), rapid.SampledFrom([]int64{1, 7, 10, 20, 60, 3600}).Draw(t, "step"), rapid.SliceOfN(value, 0, 30).Draw(t, "values")...)
		}
		e, err := New(Options{Source: m, Limits: Limits{Points: 100_000}, Events: happenings(120, 300, 300, 500)})
		if err != nil {
			t.Fatal(err)
		}
		r := Request{
			From: rapid.Int64Range(0, 500).Draw(t, "from"), Until: rapid.Int64Range(501, 2000).Draw(t, "until"),
			MaxPoints: rapid.IntRange(0, 20).Draw(t, "points"), XFiles: rapid.SampledFrom([]float64{0, 0, 0.5, 1}).Draw(t, "xFiles"),
			Targets: []string{expression(t, functions, 3)},
		}
		results, err := e.Eval(context.Background(), r)
		if err != nil && fault.Of(err) == fault.Internal {
			t.Fatalf("%s: %v", r.Targets[0], err)
		}
		for _, s := range results {
			if s.Step < 1 || s.Name == "" && !named.MatchString(r.Targets[0]) {
				t.Fatalf("%s gave %+v", r.Targets[0], s)
			}
		}
		x, err := Parse(r.Targets[0])
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(x.String()); err != nil || again.String() != x.String() {
			t.Fatalf("%s: %v %v", x, again, err)
		}
	})
}

// happenings are events without tags.
func happenings(times ...int64) Events {
	return func(_ context.Context, tags []string, from, until int64) ([]int64, error) {
		return slices.DeleteFunc(slices.Clone(times), func(t int64) bool { return len(tags) > 0 || t < from || t >= until }), nil
	}
}

// expression draws a target that is mostly well-formed.
func expression(t *rapid.T, functions []*Function, depth int) string {
	if depth == 0 || rapid.IntRange(0, 4).Draw(t, "leaf") == 3 {
		return rapid.SampledFrom([]string{"a.*", "b.*", "*.*", "b.c.n1", "nothing", "**"}).Draw(t, "path")
	}
	f := rapid.SampledFrom(functions).Draw(t, "function")
	var args []string
	for _, p := range f.Params {
		if (p.Optional || p.Default != "") && rapid.Bool().Draw(t, "skip") {
			break
		}
		n := 1
		if p.Repeated {
			n = rapid.IntRange(1, 3).Draw(t, "times")
		}
		for range n {
			args = append(args, argument(t, functions, p, depth))
		}
	}
	return f.Name + "(" + strings.Join(args, ",") + ")"
}

func argument(t *rapid.T, functions []*Function, p Param, depth int) string {
	number := []string{"-3", "-1", "0", "1", "2", "5", "0.5", "95", "1e3", "1000000"}
	interval := []string{`"10s"`, `"1min"`, `"-2min"`, `"1h"`, `"7s"`, `"0s"`, `"1d"`}
	from := func(choices ...string) string { return rapid.SampledFrom(choices).Draw(t, p.Name) }
	switch p.Type {
	case SeriesList:
		return expression(t, functions, depth-1)
	case SeriesLists:
		return "mapSeries(" + expression(t, functions, depth-1) + "," + from("0", "1", "-1", `"t"`) + ")"
	case Date:
		return from(`"now"`, `"-10s"`, `"300"`, `"600"`, `"x"`, `""`)
	case Tag:
		return from(`"name"`, `"t"`, `"nope"`)
	case Float, Integer, Node:
		return from(number...)
	case IntOrInf:
		return from(append(number, "inf")...)
	case Interval:
		return from(interval...)
	case IntOrInterval:
		return from(append(interval, "1", "2", "5", "30")...)
	case NodeOrTag:
		return from("-9", "-1", "0", "1", "2", `"name"`, `"t"`, `"nope"`)
	case Bool:
		return from("true", "false")
	case AggFunc:
		return `"` + from(aggregationNames()...) + `"`
	case AggOrSeriesFunc:
		return `"` + from(append(aggregationNames(), "sumSeries", "countSeries", "asPercent", "multiplySeries", "diffSeries")...) + `"`
	case Any:
		if rapid.Bool().Draw(t, "number") {
			return from(number...)
		}
		return expression(t, functions, depth-1)
	}
	if p.Options != nil {
		return `"` + from(p.Options...) + `"`
	}
	switch p.Name {
	case "templateFunction", "replace":
		return "'" + strings.ReplaceAll(expression(t, functions, depth-1), "'", "") + "'"
	case "tagExpressions":
		return from(`"name=~a.*"`, `"t=x"`, `"t!="`, `"t!=x"`, `"("`, `"t=~("`)
	case "reduceFunction":
		return `"` + rapid.SampledFrom(functions).Draw(t, p.Name).Name + `"`
	case "reduceMatchers":
		return from(`"n0"`, `"n1"`, `"n2"`, `"n3"`)
	}
	return from(`""`, `"%"`, `"%d"`, `"%s%%"`, `"x"`, `"n(\d)"`, `"\1"`, `"("`, `"ä(b,c)"`, `")"`)
}
