package cli

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"steer/api/client"
	"steer/base/fault"
)

// asked is one call of steer query.
type asked struct {
	target, from, until string
	form                string
	ascii, marks        bool
	columns, rows       int
}

func (s *session) query() *cobra.Command {
	var q asked
	cmd := &cobra.Command{
		Use: "query TARGET", Short: "Evaluate a Graphite target, as a chart, table, JSON or CSV", Args: exactly("a Graphite target, such as 'servers.*.load.1m'", 1),
		Long: `Evaluate a Graphite target. A terminal gets a chart with the deploys and incidents
of its time, anything else a table: each series as a line of blocks with its last,
lowest and highest value. json has the points as /render does; csv has a line
SERIES,TIME,VALUE for each point, with times in UTC.`,
		Example: "  steer query 'servers.*.cpu.user' --from -1h\n  steer query 'movingAverage(stats.shop.orders,\"5min\")' --from now-2d --until midnight -o csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.target = args[0]
			q.ascii = q.ascii || s.Env("TERM") == "dumb"
			return s.answer(cmd, q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.from, "from", "-1h", "begin: -15min, now-2d, 20260102, 12:00_20260102, epoch")
	f.StringVar(&q.until, "until", "now", "end")
	f.StringVarP(&q.form, "output", "o", "", "chart, table, json, csv or yaml (default chart on a terminal, else table)")
	f.BoolVar(&q.ascii, "ascii", false, "draw with letters instead of braille and blocks, as with TERM=dumb")
	f.BoolVar(&q.marks, "marks", true, "mark deploys and incidents on a chart")
	f.IntVar(&q.columns, "width", 0, "characters of a chart's line (default the terminal's, or 80)")
	f.IntVar(&q.rows, "height", 0, "lines of a chart with its legend (default the terminal's, at most 30, or 24)")
	return cmd
}

func (s *session) answer(cmd *cobra.Command, q asked) error {
	if q.form == "" {
		q.form = "table"
		if terminal(s.Stdout) {
			q.form = "chart"
		}
	}
	switch q.form {
	case "chart", "table", "json", "csv", "yaml":
	default:
		return fault.Usage(fmt.Errorf("-o %s: unknown form (use chart, table, json, csv or yaml)", q.form))
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	series, err := c.Render(cmd.Context(), q.target, q.from, q.until, 0)
	if err != nil {
		return err
	}
	if len(series) == 0 {
		s.progress("Nothing has this name in that time (steer query '*' shows the first parts of names).")
	}
	switch q.form {
	case "chart":
		return s.chart(cmd.Context(), c, series, q)
	case "csv":
		return writePoints(s.Stdout, series)
	}
	s.output = q.form
	return s.show(series, func(w io.Writer) {
		if len(series) == 0 {
			return
		}
		row(w, "SERIES", "LAST", "LOWEST", "HIGHEST", "VALUES")
		for _, one := range series {
			seriesRow(w, one, q.ascii)
		}
	})
}

// writePoints writes a line for each point; a missing value is empty.
func writePoints(to io.Writer, series []client.Series) error {
	w := csv.NewWriter(to)
	_ = w.Write([]string{"series", "time", "value"}) // Error tells
	for _, one := range series {
		for _, p := range one.Points {
			value := ""
			if p.Value != nil {
				value = strconv.FormatFloat(*p.Value, 'f', -1, 64)
			}
			_ = w.Write([]string{one.Target, time.Unix(p.Time, 0).UTC().Format(time.RFC3339), value})
		}
	}
	w.Flush()
	return w.Error()
}

// columns of a drawn series.
const columns = 48

// seriesRow draws the means of equal parts of the time as blocks between the
// lowest and the highest value.
func seriesRow(w io.Writer, one client.Series, ascii bool) {
	last, low, high := math.NaN(), math.Inf(1), math.Inf(-1)
	sums, counts := make([]float64, columns), make([]int, columns)
	for i, p := range one.Points {
		if p.Value == nil {
			continue
		}
		v := *p.Value
		last, low, high = v, min(low, v), max(high, v)
		c := i * columns / len(one.Points)
		sums[c] += v
		counts[c]++
	}
	if math.IsNaN(last) {
		row(w, one.Target, "-", "-", "-", "no values")
		return
	}
	var line strings.Builder
	blocks := []rune("▁▂▃▄▅▆▇█")
	if ascii {
		blocks = []rune("_.-~=+*#")
	}
	for c := range sums {
		if counts[c] == 0 {
			line.WriteByte(' ')
			continue
		}
		level := 0
		if share := (sums[c]/float64(counts[c]) - low) / (high - low); share > 0 && share <= 1 {
			level = int(share * float64(len(blocks)-1))
		}
		line.WriteRune(blocks[level])
	}
	fmt.Fprintf(w, "%s\t%.6g\t%.6g\t%.6g\t%s\n", one.Target, last, low, high, line.String())
}

// size is how many characters the output shows: as asked for, or the terminal's.
func (s *session) size(columns, rows int) (int, int) {
	w, h := 80, 24
	if f, ok := s.Stdout.(*os.File); ok {
		if tw, th, err := term.GetSize(int(f.Fd())); err == nil && tw > 0 && th > 0 {
			w, h = tw, min(th-1, 30) // the prompt keeps its line
		}
	}
	return cmp.Or(columns, w), cmp.Or(rows, h)
}
