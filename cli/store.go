package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
)

func (s *session) store() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Look into the metric store", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{
		Use: "stats [GLOB]", Short: "What series take up, by schema and archive", Args: cobra.MaximumNArgs(1),
		Long: `Show, for each pattern of the storage schemas, how many series it has, how many of
these are active, and what they take up in each archive on disk; then the store's
totals. With a Graphite glob (* ? [a-z] {a,b} within a part of the name, ** across
parts) only the series that it matches count, but in the totals.

Active is a series with points in memory or in the newest stretch of its finest
archive. Points are slots from the first value to the last of each block, with the
gaps in between, since gaps are stored too.`,
		Example: "  steer store stats\n  steer store stats 'servers.web*.**'",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			u, err := c.Usage(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if len(args) > 0 && len(u.Schemas) == 0 {
				s.progress("No series has a name like %s.", args[0])
			}
			return s.show(u, func(w io.Writer) { s.usageTable(w, u) })
		},
	})
	return cmd
}

func (s *session) usageTable(w io.Writer, u client.Usage) {
	if len(u.Schemas) > 0 {
		row(w, "SCHEMA", "PATTERN", "SERIES", "ACTIVE", "IN MEMORY", "OLDEST", "NEWEST", "AGGREGATION")
	}
	for _, sc := range u.Schemas {
		var rolls []string
		for _, a := range sc.Aggregations {
			rolls = append(rolls, fmt.Sprintf("%s %d", a.Method, a.Series))
		}
		row(w, sc.Name, pattern(sc.Pattern), sc.Series, sc.Active, sc.Recent, sc.Oldest, sc.Newest, strings.Join(rolls, ", "))
	}
	if len(u.Schemas) > 0 {
		row(w)
		row(w, "SCHEMA", "ARCHIVE", "BLOCKS", "POINTS", "SIZE", "BYTES/POINT", "OLDEST", "NEWEST")
	}
	for _, sc := range u.Schemas {
		for _, a := range sc.Archives {
			each, retention := "-", a.Retention
			if a.Points > 0 {
				each = fmt.Sprintf("%.2f", a.BytesPerPoint)
			}
			if a.Former {
				retention += " (former)"
			}
			row(w, sc.Name, retention, a.Blocks, a.Points, bytesText(a.Bytes), each, a.Oldest, a.Newest)
		}
	}
	if len(u.Schemas) > 0 {
		row(w)
	}
	t := u.Totals
	row(w, "STORE", "SERIES", "NEW/MIN", "POINTS", "MEMORY", "LOG", "BLOCKS", "SIZE", "DAMAGED", "LAST SYNC")
	row(w, "all", fmt.Sprintf("%d of %d", t.Series, t.MaxSeries), t.NewPerMin, t.Points, bytesText(t.Memory), bytesText(t.WALBytes), t.Blocks, bytesText(t.BlockBytes), t.Damaged, syncedAt(t.LastSync))
	var dropped []string
	for _, reason := range slices.Sorted(maps.Keys(t.Dropped)) {
		dropped = append(dropped, fmt.Sprintf("%s %d", reason, t.Dropped[reason]))
	}
	fmt.Fprintf(w, "Left out since the start: %s; refused: %d\n", strings.Join(dropped, ", "), t.Refused)
	for _, top := range []struct {
		title string
		all   []client.Top
	}{{"SENDER", t.TopSenders}, {"BELOW", t.TopPrefixes}} {
		if len(top.all) > 0 {
			row(w)
			row(w, top.title, "NEW SERIES IN AN HOUR", "POINTS LEFT OUT", "NEW SERIES EVER")
		}
		for _, one := range top.all {
			row(w, one.Name, one.Count, one.Dropped, one.Total)
		}
	}
	if t.Failure != "" {
		fmt.Fprintln(w, s.paint(red, t.Failure))
	}
}

// pattern is a schema's pattern for people: an empty one finds every name.
func pattern(p string) string {
	if p == "" {
		return "(every name)"
	}
	return p
}

func syncedAt(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return clock(t)
}
