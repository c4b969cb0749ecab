package cli

import (
	"strings"
	"testing"
	"time"
)

func TestColoursTakeNoSpace(t *testing.T) {
	var out strings.Builder
	g := &grid{out: &out}
	row(g, "NAME", "STATE", "SINCE")
	row(g, "  catalog", green+"ok"+reset, "now")
	row(g, "ä", red+"critical"+reset, time.Time{})
	row(g)
	row(g, "ALONE")
	row(g, "A", "B")
	if err := g.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "NAME       STATE     SINCE\n" +
		"  catalog  " + green + "ok" + reset + "        now\n" +
		"ä          " + red + "critical" + reset + "  -\n" +
		"\nALONE\nA  B\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
