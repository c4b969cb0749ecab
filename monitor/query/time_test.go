package query

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"steer/base/fault"
)

func TestParseTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// A Thursday afternoon in winter.
	now := time.Date(2026, 1, 15, 15, 4, 5, 0, berlin)
	for text, want := range map[string]string{
		"now":                  "2026-01-15 15:04:05",
		"":                     "!it is empty",
		"-1h":                  "2026-01-15 14:04:05",
		"now-2d":               "2026-01-13 15:04:05",
		"now+90s":              "2026-01-15 15:05:35",
		"-1h30min":             "2026-01-15 13:34:05",
		"-1d+2h":               "2026-01-14 17:04:05",
		"-2weeks":              "2026-01-01 15:04:05",
		"-1mon":                "2025-12-16 15:04:05",
		"-1y":                  "2025-01-15 15:04:05",
		"-5 minutes":           "2026-01-15 14:59:05",
		"midnight":             "2026-01-15 00:00:00",
		"noon":                 "2026-01-15 12:00:00",
		"teatime":              "2026-01-15 16:00:00",
		"noon+1day":            "2026-01-16 12:00:00",
		"noon_yesterday":       "2026-01-14 12:00:00",
		"midnight tomorrow":    "2026-01-16 00:00:00",
		"6pm+2days":            "2026-01-17 18:00:00",
		"6pm today":            "2026-01-15 18:00:00",
		"12am":                 "2026-01-15 00:00:00",
		"12pm":                 "2026-01-15 12:00:00",
		"11:30pm":              "2026-01-15 23:30:00",
		"16:30":                "2026-01-15 16:30:00",
		"today":                "2026-01-15 00:00:00",
		"yesterday":            "2026-01-14 00:00:00",
		"tomorrow":             "2026-01-16 00:00:00",
		"monday":               "2026-01-12 00:00:00",
		"thursday":             "2026-01-15 00:00:00",
		"friday":               "2026-01-09 00:00:00",
		"8am monday":           "2026-01-12 08:00:00",
		"20260102":             "2026-01-02 00:00:00",
		"16:30_20260102":       "2026-01-02 16:30:00",
		"04:00_20260102+1h":    "2026-01-02 05:00:00",
		"noon 20260102":        "2026-01-02 12:00:00",
		"01/02/26":             "2026-01-02 00:00:00",
		"1/2/2026":             "2026-01-02 00:00:00",
		"12/31/99":             "1999-12-31 00:00:00",
		"january 2":            "2026-01-02 00:00:00",
		"Feb_28":               "2026-02-28 00:00:00",
		"6pm january 2, ":      "2026-01-02 18:00:00",
		"1767312000":           "2026-01-02 01:00:00",
		"0":                    "1970-01-01 01:00:00",
		"19009999":             "1970-08-09 01:33:19", // no date, so an epoch
		"-1m":                  `!unknown unit "m" (use s, min, h, d, w, mon or y)`,
		"now-":                 "!an offset is a number and a unit",
		"-1":                   `!unknown unit ""`,
		"1h":                   "!a relative time needs a sign",
		"25:00":                "!there is no such time of day",
		"13pm":                 "!there is no such time of day",
		"10:5":                 "!the minutes behind the colon need two digits",
		"february 30":          "!there is no such day",
		"january":              "!the month needs the number of the day",
		"13/01/26":             "!there is no such month",
		"soon":                 `!unknown reference "soon"`,
		"99999999999999":       "!the number of seconds is too large",
		"-999999999999999999y": "!it is too long",
		"-200y-200y":           "!it is too long",
	} {
		got, err := ParseTime(text, now, berlin)
		if why, wrong := strings.CutPrefix(want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), why) || fault.Of(err) != fault.Invalid {
				t.Errorf("%q: want an error with %q, got %v, %v", text, why, got, err)
			}
		} else if err != nil || got.Format(time.DateTime) != want {
			t.Errorf("%q: %s, %v; want %s", text, got.Format(time.DateTime), err, want)
		}
	}
}

// Offsets are lengths of time, also over the night in which the clocks change.
func TestParseTimeOverClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTime("midnight_20260329+1d", time.Now(), berlin)
	if want := "2026-03-30 01:00:00"; err != nil || got.Format(time.DateTime) != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
}

func TestParseInterval(t *testing.T) {
	for text, want := range map[string]int64{"5min": 300, "1h30min": 5400, "-1d": -86400, " 2 ": -1, "1mon": 30 * 86400, "10s": 10, "": -1, "5": -1} {
		got, err := ParseInterval(text)
		if want == -1 != (err != nil) || err == nil && got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"now", "-1h", "noon+1day", "16:30_20260102", "20260102", "1767312000", "6pm+2days", "01/02/26", "january 2", "monday", "-1mon2w3d4h5min6s", "::", "12am-", "9:99", "ÿ"} {
		f.Add(seed)
	}
	now := time.Unix(1767312000, 0)
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseTime(s, now, nil)
		if err == nil && (at.Unix() > maxEpoch || at.Unix() < -maxEpoch) {
			t.Errorf("%q is %v", s, at)
		}
		if err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	})
}
