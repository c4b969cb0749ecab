package cli

import (
	"math"
	"strings"
	"testing"

	"steer/api/client"
	"steer/base/event"
)

func TestEventsThatATargetIsAbout(t *testing.T) {
	ci := client.Event{Summary: "ci", Type: event.Upgraded, Service: "shop", Environment: "ci"}
	live := client.Event{Summary: "live", Type: event.Upgraded, Service: "shop", Environment: "live"}
	cart := client.Event{Summary: "cart", Type: event.Upgraded, Service: "cart", Environment: "live"}
	newestFirst := []client.Event{cart, live, ci}
	for target, want := range map[string]string{
		"stats.timers.shop.live.ttfb":          "live",
		"sumSeries(stats.shop.*.requests)":     "ci live",
		"servers.vm.load":                      "ci live cart",
		"group(stats.cart.x.y,stats.live.z.w)": "cart",
	} {
		var got []string
		for _, e := range about(newestFirst, target) {
			got = append(got, e.Summary)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", target, got, want)
		}
	}
}

func TestPointsAsCSV(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	var out strings.Builder
	series := []client.Series{{Target: `alias(a.b,"x, y")`, Points: []client.Point{{Value: v(0.1), Time: 1767355200}, {Time: 1767355210}, {Value: v(math.Inf(1)), Time: 1767355220}, {Value: v(1e21), Time: 1767355230}}}}
	if err := writePoints(&out, series); err != nil {
		t.Fatal(err)
	}
	const name = `"alias(a.b,""x, y"")"`
	want := "series,time,value\n" + name + ",2026-01-02T12:00:00Z,0.1\n" + name + ",2026-01-02T12:00:10Z,\n" +
		name + ",2026-01-02T12:00:20Z,+Inf\n" + name + ",2026-01-02T12:00:30Z,1000000000000000000000\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestRowsOfBlocks(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	points := make([]client.Point, columns)
	for i := range points {
		points[i] = client.Point{Value: v(float64(i)), Time: int64(i)}
	}
	points[1].Value = nil
	for ascii, want := range map[bool]string{false: "▁ ▁▁▁▁▁▂", true: "_ _____."} {
		var out strings.Builder
		seriesRow(&out, client.Series{Target: "a", Points: points}, ascii)
		if cells := strings.Split(out.String(), "\t"); cells[1] != "47" || cells[2] != "0" || !strings.HasPrefix(cells[4], want) {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
