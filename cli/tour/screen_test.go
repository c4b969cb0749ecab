package tour

import (
	"strings"
	"testing"
	"time"
)

// fixed is a screen whose clock the test moves.
func fixed(live, colour bool) (*screen, *strings.Builder, *time.Time) {
	var out strings.Builder
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newScreen(&out, live, colour)
	s.start, s.now = now, func() time.Time { return now }
	return s, &out, &now
}

func TestPlainLines(t *testing.T) {
	s, out, now := fixed(false, false)
	s.stepf("A server")
	s.say("It keeps\nits state in one folder.")
	s.command("steer serve")
	s.waitf("waiting for it") // not shown without a terminal
	*now = now.Add(1234 * time.Millisecond)
	s.okf("%s is ready", "http://127.0.0.1:1")
	s.output("a  \nb\n")
	*now = now.Add(100 * time.Second)
	s.notef("traffic")
	s.stepf("Another")
	s.badf("broken\nbecause")
	want := `
 1  A server
    It keeps
    its state in one folder.
          $ steer serve
   1.2s  ✓ http://127.0.0.1:1 is ready
          a
          b
 101.2s  · traffic

 2  Another
 101.2s  ✗ broken
            because
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestColoursOnlyWhereAsked(t *testing.T) {
	for _, colour := range []bool{false, true} {
		s, out, _ := fixed(false, colour)
		s.stepf("A step")
		s.okf("fine")
		if got := strings.Contains(out.String(), "\x1b"); got != colour {
			t.Errorf("colour %v: escapes %v in %q", colour, got, out.String())
		}
	}
}

func TestWaitingLineIsErased(t *testing.T) {
	s, out, now := fixed(true, false)
	s.waitf("building")
	*now = now.Add(2 * time.Second)
	s.waitf("building")
	if !strings.HasSuffix(out.String(), clearLine+"   2.0s  ⠋ building 2s") {
		t.Errorf("waiting line: %q", out.String())
	}
	s.notef("half of it") // ends the wait
	if got := out.String(); !strings.HasSuffix(got, clearLine+"   2.0s  · half of it\n") {
		t.Errorf("after a note: %q", got)
	}
	s.waitf("more")
	s.output("x")
	if got := out.String(); !strings.HasSuffix(got, clearLine+"          x\n"+clearLine+"   2.0s  ⠋ more 0s") {
		t.Errorf("output above the waiting line: %q", got)
	}
}
