package main

import (
	"math"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	mine := &result{system: "steer", series: 10, points: 100, sent: 1000, queryable: 2, cpuIngest: 0.001, cpuStop: 0.002,
		before: 1000, after: 3000, metrics: size{allocated: 4000}}
	theirs := &result{system: "victoria", series: 10, points: 100, sent: 500, queryable: 1, cpuIngest: 0.002, cpuStop: 0.002,
		before: 1000, after: 9000, metrics: size{allocated: 1000}}
	var b strings.Builder
	write(&b, figures(), []*result{mine, theirs})
	got := b.String()
	for _, want := range []string{
		"|  | steer | victoria | steer / victoria |\n| --- | ---: | ---: | ---: |\n",
		"| points per second, first byte to all queryable | 500 | 500 | 1.00 |\n",
		"| CPU s per million points, durable and stopped | 3.000 | 6.000 | 0.50 |\n",
		"| · of it until all is queryable | 1.000 | 4.000 | 0.25 |\n",
		"| · of it for the clean stop | 2.000 | 2.000 |  |\n",
		"| memory per active series, bytes | 200 | 800 | 0.25 |\n",
		"| disk bytes per point, metrics only | 4.000 | 1.000 | 4.00 |\n",
		"| · after a merge by hand |  |  |  |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestReportWithoutSteer(t *testing.T) {
	var b strings.Builder
	write(&b, millionFigures(), []*result{{system: "victoria", series: 1, points: 1, sent: 1, queryable: 1}})
	if !strings.HasPrefix(b.String(), "|  | victoria |\n") || strings.Contains(b.String(), "NaN") {
		t.Error(b.String())
	}
}

func TestSteadyShare(t *testing.T) {
	s := steady{wall: 100, cpu: 20, points: 250}
	if got := s.share(); got != 0.2 {
		t.Errorf("share %v, want 0.2", got)
	}
	// A quarter of the points has a quarter of the stop.
	if got := s.whole(&result{series: 10, points: 100, cpuStop: 40}); math.Abs(got-0.3) > 1e-9 {
		t.Errorf("with the stop %v, want 0.3", got)
	}
}
