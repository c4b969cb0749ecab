package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"steer/base/event"
	"steer/catalog"
)

// number writes a measurement as people read it.
func number(v float64) string {
	if v >= 1e6 || v <= -1e6 {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	s := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// finding says what the last reading was: "stats.timers.x = 412, above 300".
func finding(c catalog.Check, m memory) string {
	if m.Value == nil {
		text := fmt.Sprintf("no value in the last %s", c.Window)
		if as := strings.ToUpper(c.NoData); as == OK || as == Critical {
			text += ", which counts as " + as
		}
		return text
	}
	text := number(*m.Value)
	if m.From != "" {
		text = m.From + " = " + text
	}
	for _, s := range []string{Critical, Warn} {
		if word, at := bound(c, s, *m.Value); at != nil {
			return fmt.Sprintf("%s, %s %s", text, word, number(*at))
		}
	}
	return text + ", within bounds"
}

// reason says why the check is in its state, and what is about to change.
func reason(c catalog.Check, m memory) string {
	switch pending, _ := m.pending(); {
	case m.Unknown:
		return "unknown: the query fails for more than " + minutes(unknownAfter) + ": " + m.Error
	case m.Error != "":
		return "the query fails, the state is the last one known: " + m.Error
	case m.State == "":
		return "not measured yet"
	case m.Fresh && m.Value == nil:
		return "no value yet"
	case pending == OK && c.RecoverFor > 0:
		return fmt.Sprintf("%s; OK when that lasts for %s", finding(c, m), c.RecoverFor)
	case pending != "" && c.For > 0:
		return fmt.Sprintf("%s; %s when that lasts for %s", finding(c, m), pending, c.For)
	}
	return finding(c, m)
}

func minutes(d time.Duration) string { return fmt.Sprintf("%d minutes", int(d.Minutes())) }

// title names an incident in one line of a phone's screen.
func title(c catalog.Check, level string) string {
	text := c.Name + " is " + level
	if c.Service != "" {
		text = string(c.Service) + ": " + text
	}
	if c.Environment != "" {
		text += " in " + string(c.Environment)
	}
	return text
}

// summary tells what was measured and what changed before.
func summary(c catalog.Check, m memory, changes []event.Event, suspect *event.Event, now time.Time) string {
	var text strings.Builder
	text.WriteString(finding(c, m))
	if c.For > 0 {
		fmt.Fprintf(&text, " for %s", c.For)
	}
	text.WriteString(".")
	switch {
	case suspect != nil:
		fmt.Fprintf(&text, " %s before: %s", ago(now.Sub(suspect.Time)), suspect.Summary)
	case len(changes) > 0:
		fmt.Fprintf(&text, " Last change, %s before: %s", ago(now.Sub(changes[0].Time)), changes[0].Summary)
	default:
		text.WriteString(" Nothing is known to have changed shortly before.")
	}
	return text.String()
}

func ago(d time.Duration) string { return max(d, 0).Round(time.Second).String() }
