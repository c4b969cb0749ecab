// Package report writes what benches measured as tables in Markdown.
package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Row is one figure of several systems.
type Row struct {
	Title  string
	Format string    // of a value
	Ratio  bool      // Steer / peer says something
	Values []float64 // one for each system; NaN: there is no such figure
}

// Table writes a row per figure, a column per system, and behind them Steer's
// figure over each peer's. Systems whose names start with "steer" are no peers of
// the one that is called so.
func Table(out io.Writer, systems []string, rows []Row) {
	head := append([]string{""}, systems...)
	mine := -1
	for i, s := range systems {
		if s == "steer" {
			mine = i
		}
	}
	var peers []int
	for i, s := range systems {
		if mine >= 0 && !strings.HasPrefix(s, "steer") {
			peers = append(peers, i)
			head = append(head, "steer / "+s)
		}
	}
	line(out, head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	line(out, rule)
	for _, r := range rows {
		cells := []string{r.Title}
		for _, v := range r.Values {
			cells = append(cells, cell(r.Format, v))
		}
		for _, p := range peers {
			ratio := math.NaN()
			if r.Ratio {
				ratio = r.Values[mine] / r.Values[p]
			}
			cells = append(cells, cell("%.2f", ratio))
		}
		line(out, cells)
	}
}

func cell(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func line(out io.Writer, cells []string) { fmt.Fprintln(out, "| "+strings.Join(cells, " | ")+" |") }
