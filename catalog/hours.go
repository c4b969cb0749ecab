package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hours are when people work. What is empty is as the server's server.yaml says, and
// there as in usualHours.
type Hours struct {
	Days     string   `yaml:"days" json:"days,omitempty" doc:"Working days: mon-fri, or a list like mon,tue,thu. Default: mon-fri."`
	From     string   `yaml:"from" json:"from,omitempty" doc:"When work begins, HH:MM. Default: 09:00."`
	To       string   `yaml:"to" json:"to,omitempty" doc:"When it ends, HH:MM; 24:00 is midnight. Default: 17:00."`
	Zone     string   `yaml:"zone" json:"zone,omitempty" doc:"Time zone, like Europe/Berlin. Default: UTC."`
	Holidays []string `yaml:"holidays" json:"holidays,omitempty" doc:"Days off, like 2026-12-25."`
}

// usualHours stand where nobody said anything.
var usualHours = Hours{Days: "mon-fri", From: "09:00", To: "17:00", Zone: "UTC"}

// Or fills what is empty from others, then with what is usual.
func (h Hours) Or(others ...Hours) Hours {
	for _, o := range append(others, usualHours) {
		h.Days, h.From, h.To, h.Zone = cmp.Or(h.Days, o.Days), cmp.Or(h.From, o.From), cmp.Or(h.To, o.To), cmp.Or(h.Zone, o.Zone)
		if h.Holidays == nil {
			h.Holidays = o.Holidays
		}
	}
	return h
}

// Check says what is wrong with the hours.
func (h Hours) Check() error {
	full := h.Or()
	_, err := full.days()
	all := []error{err}
	from, err := minutes("from", full.From)
	all = append(all, err)
	to, err := minutes("to", full.To)
	all = append(all, err)
	if errors.Join(all...) == nil && from >= to {
		all = append(all, wrong("to: %s is not after %s, when work begins", full.To, full.From))
	}
	if _, err := time.LoadLocation(full.Zone); err != nil || full.Zone == "Local" {
		all = append(all, wrong("zone: there is no time zone %q (write it like Europe/Berlin or UTC)", full.Zone))
	}
	if len(h.Holidays) > mostHolidays {
		all = append(all, wrong("holidays: are %d, at most %d are kept", len(h.Holidays), mostHolidays))
	}
	for i, day := range h.Holidays {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			all = append(all, wrong("%s: %q is no day (write it like 2026-12-25)", at("holidays", i), day))
		}
	}
	return errors.Join(all...)
}

// mostHolidays bounds the list; it is searched for each change.
const mostHolidays = 500

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// days are the working days, Monday first.
func (h Hours) days() (on [7]bool, err error) {
	for _, part := range strings.Split(h.Days, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from := slices.Index(weekdays, first)
		to := from
		if isRange {
			to = slices.Index(weekdays, last)
		}
		if from < 0 || to < 0 {
			return on, wrong("days: %q is no day (write mon-fri, or a list of %s)", part, strings.Join(weekdays, ", "))
		}
		for day := from; ; day = (day + 1) % 7 { // sun-thu goes over the end of the week
			on[day] = true
			if day == to {
				break
			}
		}
	}
	return on, nil
}

// minutes since midnight of the clock on the wall.
func minutes(key, text string) (int, error) {
	var h, m int
	if n, err := fmt.Sscanf(text, "%d:%d", &h, &m); err != nil || n != 2 || fmt.Sprintf("%02d:%02d", h, m) != text || h < 0 || m < 0 || m > 59 || h*60+m > 24*60 {
		return 0, wrong("%s: %q is no time of a day (write it like 09:00)", key, text)
	}
	return h*60 + m, nil
}

// Worked are hours that passed Check, ready to be asked about many times.
type Worked struct {
	Hours
	zone     *time.Location
	days     [7]bool
	from, to int // minutes on the clock
}

// Worked prepares the hours. What Check refuses is as if it were usual.
func (h Hours) Worked() Worked {
	h = h.Or()
	if h.Check() != nil {
		h = usualHours
	}
	w := Worked{Hours: h}
	w.zone, _ = time.LoadLocation(h.Zone)
	w.days, _ = h.days()
	w.from, _ = minutes("from", h.From)
	w.to, _ = minutes("to", h.To)
	return w
}

// At tells whether people work at a time, on which weekday it is for them (0 is
// Monday), and in which hour on their clocks. Clocks that are put back show an hour
// twice, and both count alike.
func (w Worked) At(t time.Time) (work bool, weekday, hour int) {
	t = t.In(w.zone)
	weekday, hour = (int(t.Weekday())+6)%7, t.Hour()
	minute := hour*60 + t.Minute()
	work = w.days[weekday] && minute >= w.from && minute < w.to && !slices.Contains(w.Holidays, t.Format(time.DateOnly))
	return work, weekday, hour
}
