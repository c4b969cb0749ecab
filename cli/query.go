package cli

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
)

func (s *session) query() *cobra.Command {
	var from, until string
	cmd := &cobra.Command{
		Use: "query TARGET", Short: "Evaluate a Graphite target", Args: exactly("a Graphite target, such as 'servers.*.load.1m'", 1),
		Long:    "Evaluate a Graphite target and draw each series as a line of blocks with its\nlast, lowest and highest value; -o json prints the points.",
		Example: "  steer query 'servers.*.cpu.user' --from -1h",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			series, err := c.Render(cmd.Context(), args[0], from, until, 0)
			if err != nil {
				return err
			}
			return s.show(series, func(w io.Writer) {
				if len(series) == 0 {
					s.progress("Nothing has this name in that time (steer query '*' shows the first parts of names).")
					return
				}
				row(w, "SERIES", "LAST", "LOWEST", "HIGHEST", "VALUES")
				for _, one := range series {
					seriesRow(w, one)
				}
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "-1h", "begin: -15min, 20260102, 12:00_20260102, epoch")
	cmd.Flags().StringVar(&until, "until", "now", "end")
	return cmd
}

// columns of a drawn series.
const columns = 48

// seriesRow draws the means of equal parts of the time as blocks between the
// lowest and the highest value.
func seriesRow(w io.Writer, one client.Series) {
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
	for c := range sums {
		if counts[c] == 0 {
			line.WriteByte(' ')
			continue
		}
		level := 0
		if high > low {
			level = int((sums[c]/float64(counts[c]) - low) / (high - low) * float64(len(blocks)-1))
		}
		line.WriteRune(blocks[level])
	}
	fmt.Fprintf(w, "%s\t%.6g\t%.6g\t%.6g\t%s\n", one.Target, last, low, high, line.String())
}

func (s *session) flow() *cobra.Command {
	var service, environment string
	var days int
	cmd := &cobra.Command{
		Use: "flow", Short: "Lead time, deploys, failures, time to detect and restore", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			f, err := c.Flow(cmd.Context(), service, environment, days)
			if err != nil {
				return err
			}
			return s.show(f, func(w io.Writer) { flowTable(w, f) })
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only this service")
	cmd.Flags().StringVar(&environment, "environment", "production", "where a change has arrived")
	cmd.Flags().IntVar(&days, "days", 30, "length of the period that ends now")
	return cmd
}

func flowTable(w io.Writer, f client.Figures) {
	row(w, "SERVICE", "LEAD TIME", "DEPLOYS", "FAILED", "DETECTED IN", "RESTORED IN", "GOOD BUILDS")
	seconds := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return short(time.Duration(*v * float64(time.Second)))
	}
	for _, set := range append(f.Services, f.Total) {
		name := string(set.Service)
		if name == "" {
			name = "all"
		}
		failed := "-"
		if set.ChangeFailure.Rate != nil {
			failed = fmt.Sprintf("%.0f%%", 100**set.ChangeFailure.Rate)
		}
		row(w, name, seconds(set.LeadTime.Median), set.Deployments.Count, failed, seconds(set.TimeToDetect.Median),
			seconds(set.TimeToRestore.Median), fmt.Sprintf("%d of %d", set.GoodBuilds.Good, set.GoodBuilds.All))
	}
}
