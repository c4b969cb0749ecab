package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
	"golang.org/x/term"

	"steer/base/fault"
)

// show prints a value in the form that -o asks for; table writes the table.
func (s *session) show(value any, table func(w io.Writer)) error {
	switch s.output {
	case "json":
		e := json.NewEncoder(s.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(value)
	case "yaml":
		// Through JSON, so that both forms have the same keys.
		b, err := json.Marshal(value)
		if err != nil {
			return err
		}
		var plain any
		if err := yaml.Unmarshal(b, &plain); err != nil {
			return err
		}
		b, err = yaml.Marshal(plain)
		if err != nil {
			return err
		}
		_, err = s.Stdout.Write(b)
		return err
	case "table":
		w := &grid{out: s.Stdout}
		table(w)
		return w.Flush()
	}
	return fault.Usage(fmt.Errorf("-o %s: unknown form (use table, json or yaml)", s.output))
}

// row prints cells of one table line.
func row(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		switch c := c.(type) {
		case time.Time:
			fmt.Fprint(w, clock(c))
		case *time.Time:
			if c == nil {
				fmt.Fprint(w, "-")
			} else {
				fmt.Fprint(w, clock(*c))
			}
		default:
			whole := fmt.Sprint(c)
			text := strings.Join(strings.Fields(whole), " ")
			if text == "" {
				text = "-"
			}
			indent := len(whole) - len(strings.TrimLeft(whole, " "))
			fmt.Fprint(w, whole[:indent], text)
		}
	}
	fmt.Fprintln(w)
}

// clock prints a time in the local zone, without the date when it is today's.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t = t.Local()
	if time.Since(t) < 20*time.Hour {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// ago prints how long ago something was.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(time.Since(t)) + " ago"
}

// short prints a duration with one unit.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0fm", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0fh", d.Hours())
	}
	return fmt.Sprintf("%.0fd", d.Hours()/24)
}

// colours of states; the words alone tell them apart too.
const (
	red, yellow, green, dim, bold, reset = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
)

// paint colours text on a terminal.
func (s *session) paint(colour, text string) string {
	if s.noColor || !terminal(s.Stdout) {
		return text
	}
	return colour + text + reset
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress tells what is going on, beside the data on standard output.
func (s *session) progress(format string, args ...any) {
	fmt.Fprintf(s.Stderr, format+"\n", args...)
}
