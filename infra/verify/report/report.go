// Package report writes how tests of hosts came out, for people and for programs.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"steer/infra/verify"
)

// Format is one way to write reports.
type Format struct {
	Name string
	Doc  string // one sentence for operators
	// Write writes one document, in which each host has a report.
	Write func(w io.Writer, all []verify.Report, s Style) error
}

// Style is for formats that people read.
type Style struct {
	Color bool // with ANSI escapes
	All   bool // also what passed
}

// Formats are all formats; the first is the usual one.
func Formats() []Format {
	return []Format{
		{"text", "A line for each property that is not as expected, and a summary.", text},
		{"json", "The whole report as one JSON object on a line, a line for each host; lengths of time are nanoseconds.", asJSON},
		{"junit", "JUnit's XML, as build servers read it: a suite for each host, a test case for each property.", junit},
		{"tap", "Test Anything Protocol 13, with a diagnosis in YAML; also good for readers of version 14.", tap},
		{"nagios", "One line for Nagios and its heirs, with performance data; exit code 0, 2 or 3.", nagios},
		{"prometheus", "Prometheus' text format, with a series for each property, named after its host and test.", prometheus},
		{"rspecish", "A dot for each property as it is expected, F, E and S for others; then what is wrong.", rspecish},
	}
}

// Find returns the format of a name.
func Find(name string) (Format, bool) {
	all := Formats()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return all[i], true
}

// Code is the exit code of a program that ran the tests: 0 when nothing failed,
// skipped tests or not, else 1. In the format nagios it is that of a plugin: 2 when
// something failed, 3 when something could not be judged or there was nothing to
// judge. Of several hosts it is that of the worst, and failed is worse than not judged.
func Code(format string, all ...verify.Report) int {
	worst := 0
	for _, r := range all {
		if c := code(format, r); worst != 2 && (c == 2 || c > worst) {
			worst = c
		}
	}
	return worst
}

func code(format string, r verify.Report) int {
	switch {
	case format != "nagios" && r.Failed():
		return 1
	case format != "nagios":
		return 0
	case r.Counts[verify.Failed] > 0:
		return 2
	case r.Counts[verify.Error] > 0 || r.Tests == 0:
		return 3
	}
	return 0
}

// asJSON writes reports as their type says, a line each: so that one host is a JSON
// document, and files of several can be put together.
func asJSON(w io.Writer, all []verify.Report, _ Style) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, r := range all {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// each calls f with every property, in order.
func each(all []verify.Report, f func(verify.Report, verify.Result, verify.Property)) {
	for _, r := range all {
		for _, t := range r.Results {
			for _, p := range t.Properties {
				f(r, t, p)
			}
		}
	}
}

// of tells whose test it is, where that is in doubt.
func of(all []verify.Report, r verify.Report) string {
	if len(all) == 1 {
		return ""
	}
	return r.Host + ": "
}

// reason says in one line why a property is not as expected.
func reason(p verify.Property) string {
	switch {
	case p.Status == verify.Failed:
		return fmt.Sprintf("expected %s, found %s", p.Expected, p.Found)
	case p.Why != "" && p.Found != "":
		return fmt.Sprintf("expected %s, found %s: %s", p.Expected, p.Found, p.Why)
	}
	return p.Why
}

// summary is the last line for people.
func summary(r verify.Report) string {
	properties := 0
	for _, n := range r.Counts {
		properties += n
	}
	parts := []string{fmt.Sprintf("%d passed", r.Counts[verify.Passed]), fmt.Sprintf("%d failed", r.Counts[verify.Failed])}
	if n := r.Counts[verify.Error]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d not judged", n))
	}
	if n := r.Counts[verify.Skipped]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped", n))
	}
	return fmt.Sprintf("%s, %s: %s, in %s", many(r.Tests, "test", "tests"), many(properties, "property", "properties"), strings.Join(parts, ", "), took(r.Took))
}

// took rounds to what tells something: tests of files take microseconds.
func took(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
