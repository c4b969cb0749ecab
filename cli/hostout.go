package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
)

// hostWriter shows what happens on hosts while it does.
type hostWriter struct {
	s     *session
	mu    sync.Mutex
	host  string // whose lines were shown last
	add   int
	alter int
	gone  int
	runs  int
	wrong error // of the output
}

// hostWriter refuses a form that it does not know before anything is done.
func (s *session) hostWriter() (*hostWriter, error) {
	if s.output != "table" && s.output != "json" {
		return nil, fault.Usage(fmt.Errorf("-o %s: unknown form here (use table, or json for an event on each line)", s.output))
	}
	return &hostWriter{s: s}, nil
}

// sign is how a change is shown.
func sign(action string) (text, color string) {
	switch action {
	case "create":
		return "+", green
	case "delete":
		return "-", red
	case "replace":
		return "-/+", red
	case "run":
		return "!", yellow
	}
	return "~", yellow
}

func (w *hostWriter) event(e HostEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.s.output == "json" {
		w.json(e)
		return
	}
	text, color := sign(e.Action)
	switch e.Status {
	case "ok":
		return
	case "planned", "changed":
		switch e.Action {
		case "create":
			w.add++
		case "delete":
			w.gone++
		case "run":
			w.runs++
		default:
			w.alter++
		}
	case "failed":
		text, color = "✗", red
	case "skipped":
		text, color = "…", dim
	case "drifted":
		text, color = "≠", yellow
	case "step":
		text, color = "·", dim
	}
	if e.Host != w.host {
		w.host = e.Host
		w.line(w.s.paint(bold, e.Host))
	}
	what := safe(e.Ref)
	if e.Status == "failed" || e.Status == "skipped" {
		what += " " + e.Status
	}
	switch {
	case e.Ref == "":
		what = e.Why
	case e.Why != "":
		what = strings.TrimSpace(what+" ("+safe(e.Why)) + ")"
	}
	if e.Place != "" && e.Place != e.Why {
		what += "  " + w.s.paint(dim, e.Place)
	}
	w.line("  " + w.s.paint(color, text) + " " + what)
	for _, f := range e.Fields {
		w.field(e.Action, f)
	}
}

func (w *hostWriter) field(action string, f HostField) {
	switch {
	case f.Text != "":
		w.line("      " + f.Name + ":")
		for line := range strings.Lines(f.Text) {
			line = strings.TrimRight(line, "\r\n")
			color := ""
			switch {
			case strings.HasPrefix(line, "+"):
				color = green
			case strings.HasPrefix(line, "-"):
				color = red
			case strings.HasPrefix(line, "@@"):
				color = dim
			}
			w.line("        " + w.s.paint(color, safe(line)))
		}
	case action == "create" || f.Old == "":
		if f.New != "" {
			w.line("      " + f.Name + ": " + safe(f.New))
		}
	default:
		w.line("      " + f.Name + ": " + safe(f.Old) + " -> " + safe(f.New))
	}
}

// safe keeps what a host says from moving the cursor. Its lines are indented.
func safe(text string) string {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      ")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}

func (w *hostWriter) line(text string) {
	if _, err := fmt.Fprintln(w.s.Stdout, text); err != nil && w.wrong == nil {
		w.wrong = err
	}
}

func (w *hostWriter) json(v any) {
	if err := json.NewEncoder(w.s.Stdout).Encode(v); err != nil && w.wrong == nil {
		w.wrong = err
	}
}

// recap ends the output: a line for each host, and, unless sum is empty, a sum of those
// that could be compared: its words have three numbers, and runs says what commands do.
func (w *hostWriter) recap(results []HostResult, sum, runs string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.s.output == "json" {
		for _, r := range results {
			w.json(r)
		}
		return w.wrong
	}
	if w.host != "" {
		w.line("")
	}
	g := &grid{out: w.s.Stdout}
	for _, r := range results {
		w.host1(g, r)
	}
	if err := g.Flush(); err != nil {
		return err
	}
	lost := 0
	for _, r := range results {
		if r.Error != "" {
			lost++
		}
	}
	switch {
	case sum == "":
	case lost == len(results) && strings.HasPrefix(sum, "Done"):
		w.line("No host could be converged.")
	case lost == len(results):
		w.line("No host could be compared.")
	default:
		text := fmt.Sprintf(sum, w.add, w.alter, w.gone) + also(w.runs, runs)
		if lost > 0 {
			could := "compared"
			if strings.HasPrefix(sum, "Done") {
				could = "converged"
			}
			text += fmt.Sprintf("; %d of %d hosts could not be %s", lost, len(results), could)
		}
		w.line(text + ".")
	}
	return w.wrong
}

func also(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", n, what)
}

func (w *hostWriter) host1(g io.Writer, r HostResult) {
	c := r.Counts
	if r.Error != "" {
		fmt.Fprintf(g, "%s\t%s\n", w.s.paint(red, r.Host), safe(r.Error))
		w.notes(g, r)
		return
	}
	name := w.s.paint(green, r.Host)
	if r.Failed {
		name = w.s.paint(red, r.Host)
	}
	fmt.Fprintf(g, "%s\tok=%d\tchanged=%d\tfailed=%d\tskipped=%d\t%s\n", name, c["ok"], c["changed"]+c["planned"], c["failed"], c["skipped"]+c["drifted"], r.Took.Round(time.Millisecond))
	if r.CutOff != "" {
		fmt.Fprintf(g, "  %s\n", w.s.paint(yellow, "the run before this one was cut off: "+r.CutOff))
	}
	w.notes(g, r)
}

func (w *hostWriter) notes(g io.Writer, r HostResult) {
	for _, note := range r.Notes {
		fmt.Fprintf(g, "  %s\n", w.s.paint(yellow, safe(note)))
	}
}

func sortResults(all []HostResult) {
	slices.SortFunc(all, func(a, b HostResult) int { return strings.Compare(a.Host, b.Host) })
}
