package query

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"steer/base/fault"
	"steer/monitor/query/querytest"
)

func TestEventsAreAskedFor(t *testing.T) {
	var asked []string
	e, err := New(Options{Source: &querytest.Memory{}, Events: func(_ context.Context, tags []string, from, until int64) ([]int64, error) {
		asked = append(asked, fmt.Sprint(tags, from, until))
		return []int64{50, 100, 199, 199, 200}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := Request{From: 100, Until: 200, Targets: []string{`events("*")`, `events("deploy","web")`, `timeShift(events("a"),"100s")`}}
	got, err := e.Eval(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"[] 100 200", "[deploy web] 100 200", "[a] 100 200", "[a] 0 100"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	// What is outside of the range does not count, whatever the source says.
	if v := got[0].Values; len(v) != 100 || v[0] != 1 || v[99] != 2 || known(v) != 2 {
		t.Error(v)
	}
	if v := got[2].Values; len(v) != 100 || v[50] != 1 || known(v) != 1 {
		t.Error(v)
	}
	if _, err = engine(t, &querytest.Memory{}, Limits{}).Eval(context.Background(), r); fault.Of(err) != fault.NotFound {
		t.Errorf("without a source of events: %v", err)
	}
}

// A walk begins with 0 and takes small steps.
func TestRandomWalk(t *testing.T) {
	got, err := engine(t, &querytest.Memory{}, Limits{}).Eval(context.Background(), Request{Until: 6000, Targets: []string{`randomWalk("x",6)`}})
	if err != nil {
		t.Fatal(err)
	}
	v := got[0].Values
	if len(v) != 1000 || v[0] != 0 || maximum(v) == minimum(v) {
		t.Fatal(v)
	}
	for i := range v[1:] {
		if step := v[i+1] - v[i]; step < -0.5 || step >= 0.5 {
			t.Errorf("step %d is %v", i, step)
		}
	}
}
