package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"steer/infra/verify"
)

// word is a status for people, in its colour.
func word(s verify.Status, color bool) string {
	w := map[verify.Status][2]string{
		verify.Passed: {"ok  ", "32"}, verify.Failed: {"FAIL", "31"}, verify.Error: {"ERR ", "35"}, verify.Skipped: {"skip", "33"},
	}[s]
	if !color {
		return w[0]
	}
	return "\x1b[" + w[1] + "m" + w[0] + "\x1b[0m"
}

func text(out io.Writer, all []verify.Report, s Style) error {
	w := bufio.NewWriter(out)
	for _, r := range all {
		for _, t := range r.Results {
			lines(w, of(all, r), t, s)
		}
		fmt.Fprintln(w, of(all, r)+summary(r))
	}
	return w.Flush()
}

// lines writes a test: one line if it was skipped or can't be judged as a whole.
func lines(w io.Writer, host string, t verify.Result, s Style) {
	name := host + t.Test
	place := ""
	if t.Place != "" {
		place = "  (" + t.Place + ")"
	}
	if t.Why != "" {
		fmt.Fprintf(w, "%s  %s: %s%s\n", word(t.Status, s.Color), name, t.Why, place)
		return
	}
	for _, p := range t.Properties {
		switch {
		case p.Status == verify.Passed && s.All:
			fmt.Fprintf(w, "%s  %s: %s is %s\n", word(p.Status, s.Color), name, p.Name, p.Found)
		case p.Status == verify.Skipped && !s.All: // because another one failed
		case p.Status != verify.Passed:
			fmt.Fprintf(w, "%s  %s: %s: %s%s\n", word(p.Status, s.Color), name, p.Name, reason(p), place)
		}
	}
}

func rspecish(out io.Writer, all []verify.Report, s Style) error {
	w := bufio.NewWriter(out)
	each(all, func(_ verify.Report, _ verify.Result, p verify.Property) {
		dot := map[verify.Status]string{verify.Passed: ".", verify.Failed: "F", verify.Error: "E", verify.Skipped: "S"}[p.Status]
		if s.Color {
			dot = strings.Replace(word(p.Status, true), word(p.Status, false), dot, 1)
		}
		w.WriteString(dot)
	})
	w.WriteString("\n\n")
	for _, title := range []struct {
		of   verify.Status
		text string
	}{{verify.Failed, "Failures:"}, {verify.Error, "Not judged:"}, {verify.Skipped, "Skipped:"}} {
		n := 0
		each(all, func(r verify.Report, t verify.Result, p verify.Property) {
			if p.Status != title.of {
				return
			}
			if n++; n == 1 {
				fmt.Fprintf(w, "%s\n\n", title.text)
			}
			fmt.Fprintf(w, "  %d) %s: %s\n     %s\n", n, of(all, r)+t.Test, p.Name, reason(p))
		})
		if n > 0 {
			w.WriteString("\n")
		}
	}
	for _, r := range all {
		fmt.Fprintln(w, of(all, r)+summary(r))
	}
	return w.Flush()
}
