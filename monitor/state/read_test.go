package state

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/event"
	"steer/base/id"
	"steer/base/metric"
	"steer/catalog"
)

func TestRead(t *testing.T) {
	nan := math.NaN()
	both := catalog.Check{Above: limit(10), Below: limit(0), WarnAbove: limit(8)}
	for _, c := range []struct {
		check  catalog.Check
		series [][]float64
		want   string // state, value, index of the series
	}{
		{both, nil, "NODATA"},
		{both, [][]float64{{}, {nan, nan}}, "NODATA"},
		{both, [][]float64{{1, 2, nan}}, "OK 2 0"},
		{both, [][]float64{{99, 5}}, "OK 5 0"},
		{both, [][]float64{{10}}, "WARN 10 0"},
		{both, [][]float64{{8}}, "OK 8 0"},
		{both, [][]float64{{1}, {9}, {nan}, {11}, {12}, {-1}}, "CRITICAL 12 4"},
		{both, [][]float64{{-5}, {11}}, "CRITICAL -5 0"},
		{both, [][]float64{{3}, {7}, {5}}, "OK 7 1"},
		{both, [][]float64{{math.Inf(1)}}, fmt.Sprintf("CRITICAL %v 0", math.MaxFloat64)},
		{catalog.Check{Below: limit(100)}, [][]float64{{150}, {120}, {300}}, "OK 120 1"},
		{catalog.Check{WarnBelow: limit(5)}, [][]float64{{4}, {3}}, "WARN 3 1"},
		{catalog.Check{Above: limit(10), NoData: "ok"}, nil, "OK"},
		{catalog.Check{Above: limit(10), NoData: "critical"}, [][]float64{{nan}}, "CRITICAL"},
		{catalog.Check{Above: limit(10), NoData: "critical"}, [][]float64{{nan}, {1}}, "OK 1 1"},
	} {
		var series []metric.Series
		for n, v := range c.series {
			series = append(series, metric.Series{Name: fmt.Sprint(n), Values: v})
		}
		r := read(c.check, series)
		got := r.state
		if r.value != nil {
			got = fmt.Sprint(r.state, " ", *r.value, " ", r.from)
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.series, got, c.want)
		}
	}
}

func TestSuspect(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	e := &Engine{}
	e.o.Watch = func(environment id.Environment) time.Duration {
		if environment == "ci" {
			return time.Minute
		}
		return 10 * time.Minute
	}
	change := func(name, kind string, before time.Duration) event.Event {
		return event.Event{ID: name, Type: kind, Time: began.Add(-before), Environment: "production"}
	}
	brief := change("ci", event.Deployed, 2*time.Minute)
	brief.Environment = "ci"
	for _, c := range []struct {
		changes []event.Event
		want    string
	}{
		{nil, ""},
		{[]event.Event{change("a", event.Upgraded, time.Minute), change("b", event.Deployed, 2*time.Minute)}, "a"},
		{[]event.Event{change("b", event.RolledBack, 9*time.Minute)}, "b"},
		{[]event.Event{change("old", event.Upgraded, 11*time.Minute)}, ""},
		{[]event.Event{brief}, ""},
		{[]event.Event{change("c", event.DefinitionsChanged, time.Minute)}, ""},
		{[]event.Event{change("f", event.DeployFailed, time.Minute)}, ""},
		{[]event.Event{change("draining", event.Upgraded, -20*time.Second), change("a", event.Upgraded, 5*time.Minute)}, "draining"},
		{[]event.Event{change("after", event.Upgraded, -2*time.Minute), change("a", event.Upgraded, 5*time.Minute)}, "a"},
		{[]event.Event{change("going on", event.DeployStarted, time.Second)}, "going on"},
		{[]event.Event{change("begun later", event.DeployStarted, -time.Second)}, ""},
		{[]event.Event{change("going on", event.DeployStarted, time.Second), change("a", event.Upgraded, 5*time.Minute)}, "a"},
	} {
		got := ""
		if s := e.suspect(c.changes, began); s != nil {
			got = s.ID
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.changes, got, c.want)
		}
	}
}

func TestIncidentKeepsFewChanges(t *testing.T) {
	var changes []event.Event
	for n := range 50 {
		changes = append(changes, event.Event{ID: fmt.Sprint(n), Data: []byte(`"` + strings.Repeat("x", n*1000) + `"`)})
	}
	list := kept(changes, &changes[40])
	if len(list) != 21 || list[20].ID != "40" || list[20].Data != nil || list[1].Data == nil || changes[40].Data == nil {
		t.Errorf("%d changes", len(list))
	}
}

func TestTexts(t *testing.T) {
	for v, want := range map[float64]string{412: "412", 0.1 + 0.2: "0.3", 1234567890: "1.23457e+09", -2.5: "-2.5", 0: "0", 300.0001: "300"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := title(catalog.Check{Name: "disk"}, NoData); got != "disk is NODATA" {
		t.Error(got)
	}
	if Key(catalog.Check{Name: "disk"}) != "disk" || Key(slow()) != "catalog/slow" {
		t.Error("key")
	}
}

func TestConfigCheck(t *testing.T) {
	good := Config{Interval: usualInterval, Timeout: usualTimeout}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, c := range []Config{{}, {Interval: good.Interval}, {Interval: config.Duration(time.Millisecond), Timeout: good.Timeout}, {Interval: good.Interval, Timeout: config.Duration(time.Hour)}} {
		if c.Check() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
