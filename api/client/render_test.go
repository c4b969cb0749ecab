package client

import (
	"encoding/json"
	"math"
	"testing"
)

func TestPointsAreReadAndWritten(t *testing.T) {
	const wire = `[[1.5,10],[null,20],[1e9999,30],[-1e9999,40]]`
	var points []Point
	if err := json.Unmarshal([]byte(wire), &points); err != nil {
		t.Fatal(err)
	}
	if *points[0].Value != 1.5 || points[1].Value != nil || !math.IsInf(*points[2].Value, 1) || !math.IsInf(*points[3].Value, -1) || points[3].Time != 40 {
		t.Errorf("%+v", points)
	}
	b, err := json.Marshal(points)
	if err != nil || string(b) != wire {
		t.Errorf("%s, %v", b, err)
	}
	for _, wrong := range []string{`[["x",10]]`, `[[1,"x"]]`, `[{}]`} {
		if json.Unmarshal([]byte(wrong), &points) == nil {
			t.Errorf("%s was read as %+v", wrong, points)
		}
	}
}
