package state

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/config"
	"steer/catalog"
)

func limit(v float64) *float64 { return &v }

// drive feeds one reading per interval and returns the states after each.
func drive(c catalog.Check, readings string) (states []string, m memory) {
	now := time.Unix(1_800_000_000, 0)
	for _, r := range readings {
		m, _ = step(c, m, letter(c, r), now, time.Minute)
		states = append(states, m.State)
		now = now.Add(10 * time.Second)
	}
	return states, m
}

// letter is o OK, w WARN, c CRITICAL, n no value, e error.
func letter(c catalog.Check, r rune) reading {
	switch r {
	case 'e':
		return reading{err: errors.New("store is away")}
	case 'n':
		return read(c, nil)
	}
	v := map[rune]float64{'o': 1, 'w': 6, 'c': 11}[r]
	return reading{state: judge(c, v), value: &v}
}

func TestStep(t *testing.T) {
	at := func(worse, better time.Duration) catalog.Check {
		return catalog.Check{Above: limit(10), WarnAbove: limit(5), For: config.Duration(worse), RecoverFor: config.Duration(better)}
	}
	const s = time.Second
	for name, c := range map[string]struct {
		check          catalog.Check
		readings, want string // one letter per state: O W C N
	}{
		"at once":                       {at(0, 0), "ocwonoc", "OCWONOC"},
		"for: 30 s are 4 readings":      {at(30*s, 0), "occcc", "OOOOC"},
		"a good value resets pending":   {at(30*s, 0), "occcoccccc", "OOOOOOOOCC"},
		"a warning resets critical":     {at(30*s, 0), "occcwcccc", "OOOOWWWWC"},
		"alternating is a warning":      {at(30*s, 0), "owcwcwcwc", "OOOOWWWWW"},
		"no value resets pending":       {at(30*s, 0), "occcncccc", "OOOOOOOOC"},
		"recover_for: 20 s":             {at(0, 20*s), "coocooo", "CCCCCCO"},
		"flapping never recovers":       {at(0, 20*s), "cocoocococoo", "CCCCCCCCCCCC"},
		"critical goes to warning":      {at(0, 20*s), "cwwwooo", "CCCWWWO"},
		"warning bound as recovery":     {at(0, 20*s), "cwwooo", "CCCWWO"},
		"silence is no recovery":        {at(0, 20*s), "connoo", "CCNNNN"},
		"first value counts at once":    {at(30*s, 30*s), "nno", "NNO"},
		"first bad value waits":         {at(30*s, 30*s), "cccc", "NNNC"},
		"back from silence":             {at(0, 20*s), "onooo", "ONNNO"},
		"silence must last":             {at(30*s, 0), "onnnn", "OOOON"},
		"an error changes nothing":      {at(0, 0), "oeeceeoe", "OOOCCCOO"},
		"an error alone is never OK":    {at(0, 0), "eee", "NNN"},
		"a short error is no break":     {at(30*s, 0), "oceec", "OOOOC"},
		"a long error is cut out":       {at(30*s, 0), "oceeeeeeeecccc", "OOOOOOOOOOOOOC"},
		"no value is OK where it says":  {catalog.Check{Above: limit(10), NoData: "ok"}, "cn", "CO"},
		"no value is bad where it says": {catalog.Check{Above: limit(10), NoData: "critical"}, "on", "OC"},
	} {
		states, _ := drive(c.check, c.readings)
		got := ""
		for _, s := range states {
			got += s[:1]
		}
		if got != c.want {
			t.Errorf("%s: readings %s give %s, want %s", name, c.readings, got, c.want)
		}
	}
}

func TestErrorIsMarkedAndBecomesUnknown(t *testing.T) {
	c := catalog.Check{Above: limit(10)}
	m, _ := step(c, memory{}, letter(c, 'o'), time.Unix(0, 0), time.Minute)
	m, _ = step(c, m, letter(c, 'e'), time.Unix(10, 0), time.Minute)
	if m.State != OK || m.Error == "" || m.Unknown {
		t.Errorf("after one error: %+v", m)
	}
	m, _ = step(c, m, letter(c, 'e'), time.Unix(310, 0), time.Minute)
	if m.State != OK || !m.Unknown {
		t.Errorf("after 5 minutes of errors: %+v", m)
	}
	if m, _ = step(c, m, letter(c, 'c'), time.Unix(320, 0), time.Minute); m.State != Critical || m.Error != "" || m.Unknown {
		t.Errorf("after an answer: %+v", m)
	}
}

// The promises of the package, on any readings at any times.
func TestStepKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := catalog.Check{
			Above: limit(10), WarnAbove: limit(5), NoData: rapid.SampledFrom([]string{"nodata", "ok", "critical"}).Draw(t, "no_data"),
			For:        config.Duration(time.Duration(rapid.IntRange(0, 60).Draw(t, "for")) * time.Second),
			RecoverFor: config.Duration(time.Duration(rapid.IntRange(0, 60).Draw(t, "recover_for")) * time.Second),
		}
		const patience = 30 * time.Second
		type look struct {
			r       reading
			at      time.Time
			watched time.Duration // seconds before it that somebody watched
		}
		var looks []look
		var m memory
		now := time.Unix(1_800_000_000, 0)
		last := now
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			r := letter(c, rapid.SampledFrom([]rune("oooowccccne")).Draw(t, "reading"))
			gap := time.Duration(rapid.SampledFrom([]int{1, 5, 10, 10, 10, 45, -3}).Draw(t, "gap")) * time.Second
			now = now.Add(gap)
			before := m
			var change *transition
			m, change = step(c, m, r, now, patience)

			if r.err != nil {
				if change != nil || before.State != "" && m.State != before.State {
					t.Fatalf("an error led from %s to %s", before.State, m.State)
				}
				continue
			}
			since := now.Sub(last)
			if since > patience || since < 0 || len(looks) == 0 {
				since = 0
			}
			looks, last = append(looks, look{r, now, since}), now
			// How long, of the watched time up to now, all readings were as wanted.
			lasted := func(wanted func(string) bool) time.Duration {
				total := time.Duration(-1)
				for n := len(looks) - 1; n >= 0 && wanted(looks[n].r.state); n-- {
					if total < 0 {
						total = 0
					}
					if n > 0 && wanted(looks[n-1].r.state) {
						total += looks[n].watched
					}
				}
				return total
			}
			switch {
			case change == nil:
				if m.State != before.State && before.State != "" {
					t.Fatalf("%s to %s without a transition", before.State, m.State)
				}
			case change.To == Critical:
				if d := lasted(func(s string) bool { return s == Critical }); d < c.For.Std() {
					t.Fatalf("CRITICAL after %s of %s", d, c.For)
				}
			case change.To == OK && !before.Fresh && before.State != "":
				if d := lasted(func(s string) bool { return s == OK }); d < c.RecoverFor.Std() {
					t.Fatalf("OK after %s of %s", d, c.RecoverFor)
				}
			case change.To == NoData:
				if r.value != nil {
					t.Fatal("NODATA with a value")
				}
			}
			if r.state == OK && (!m.AtCritical.IsZero() || !m.AtWarn.IsZero()) {
				t.Fatal("a good value left something pending")
			}
			if m.State == OK && r.state != OK && c.For == 0 && change == nil {
				t.Fatalf("stays OK on %s without a for", r.state)
			}
			// A restart between any two readings loses nothing.
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			m = memory{}
			if err := json.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
		}
	})
}
