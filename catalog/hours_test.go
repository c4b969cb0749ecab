package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func TestHours(t *testing.T) {
	berlin := Hours{Days: "mon-fri", From: "09:00", To: "17:00", Zone: "Europe/Berlin", Holidays: []string{"2026-12-25"}}
	for _, c := range []struct {
		hours Hours
		at    string
		want  string // works, weekday, hour
	}{
		{Hours{}, "2026-03-02T09:00:00Z", "true 0 9"},
		{Hours{}, "2026-03-02T08:59:59Z", "false 0 8"},
		{Hours{}, "2026-03-02T17:00:00Z", "false 0 17"},
		{Hours{}, "2026-03-01T12:00:00Z", "false 6 12"},
		{berlin, "2026-03-27T08:00:00Z", "true 4 9"},   // Friday, winter
		{berlin, "2026-03-30T07:00:00Z", "true 0 9"},   // Monday, summer since Sunday
		{berlin, "2026-03-30T06:59:59Z", "false 0 8"},  //
		{berlin, "2026-03-30T15:00:00Z", "false 0 17"}, //
		{berlin, "2026-10-26T15:59:59Z", "true 0 16"},  // winter again
		{berlin, "2026-10-25T00:30:00Z", "false 6 2"},  // 02:30, the first time
		{berlin, "2026-10-25T01:30:00Z", "false 6 2"},  // 02:30, the second time
		{berlin, "2026-12-25T10:00:00Z", "false 4 11"}, // a Friday off
		{Hours{Days: "sat,sun"}, "2026-03-01T12:00:00Z", "true 6 12"},
		{Hours{Days: "sun-thu"}, "2026-03-01T12:00:00Z", "true 6 12"},
		{Hours{Days: "sun-thu"}, "2026-03-06T12:00:00Z", "false 4 12"},
		{Hours{From: "00:00", To: "24:00"}, "2026-03-02T23:59:59Z", "true 0 23"},
		{Hours{Zone: "Asia/Kathmandu"}, "2026-03-02T03:15:00Z", "true 0 9"}, // five hours and three quarters ahead
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		works, day, hour := c.hours.Worked().At(at)
		if got := fmt.Sprint(works, day, hour); got != c.want || c.hours.Check() != nil {
			t.Errorf("%+v at %s: %s, want %s; %v", c.hours, c.at, got, c.want, c.hours.Check())
		}
	}
	team := Hours{From: "08:00"}.Or(berlin)
	if team.From != "08:00" || team.Zone != "Europe/Berlin" || team.To != "17:00" || len(team.Holidays) != 1 {
		t.Errorf("%+v", team)
	}
}

func TestWrongHours(t *testing.T) {
	for text, h := range map[string]Hours{
		`days: "monday" is no day`:       {Days: "monday"},
		`days: "mon-" is no day`:         {Days: "mon-"},
		`from: "9" is no time`:           {From: "9"},
		`from: "9:00" is no time`:        {From: "9:00"},
		`to: "25:00" is no time`:         {To: "25:00"},
		`to: "10:75" is no time`:         {To: "10:75"},
		`to: 09:00 is not after 09:00`:   {To: "09:00"},
		`zone: there is no time zone`:    {Zone: "Berlin"},
		`zone: there is no time zone "L`: {Zone: "Local"},
		`holidays[0]: "Christmas"`:       {Holidays: []string{"Christmas"}},
		`holidays: are 501`:              {Holidays: make([]string, 501)},
	} {
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q", h, err, text)
		}
	}
}

// In any zone and week, the hours at work are as many as declared, give or take what
// clocks are put forward or back.
func TestHoursOfAWeek(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, length := rapid.IntRange(0, 20).Draw(t, "from"), rapid.IntRange(1, 4).Draw(t, "length")
		h := Hours{From: fmt.Sprintf("%02d:00", from), To: fmt.Sprintf("%02d:00", from+length), Zone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"}).Draw(t, "zone")}
		w := h.Worked()
		begin := time.Date(2026, 1, 1+rapid.IntRange(0, 360).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		n := 0
		for minute := range 7 * 24 * 4 {
			if work, _, _ := w.At(begin.Add(time.Duration(minute) * 15 * time.Minute)); work {
				n++
			}
		}
		if want := 5 * 4 * length; n < want-4 || n > want+4 {
			t.Fatalf("%d quarters of an hour from %s, want about %d", n, begin, want)
		}
	})
}
