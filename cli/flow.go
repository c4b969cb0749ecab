package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
)

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

// seconds writes a duration that may be unknown.
func seconds(v *float64) string {
	if v == nil {
		return "-"
	}
	return short(time.Duration(*v * float64(time.Second)))
}
