package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"steer/api/client"
)

func (s *session) followupTable(w io.Writer, f client.Followup) {
	waived := ""
	if f.Waived > 0 {
		waived = fmt.Sprintf(", %d waived", f.Waived)
	}
	fmt.Fprintf(w, "From incident to improvement: %s, %d of %d steps%s\n", s.state(f.State), f.Done, len(f.Steps), waived)
	if f.ReturnOf != 0 {
		fmt.Fprintf(w, "It is the return of incident %d. (If not: steer incident doubt %d return --reason …)\n", f.ReturnOf, f.Incident)
	}
	if f.ReturnedAs != 0 {
		fmt.Fprintf(w, "It came back as incident %d.\n", f.ReturnedAs)
	}
	for _, step := range f.Steps {
		mark := "[ ]"
		switch step.State {
		case "found", "confirmed", "given":
			mark = "[x]"
		case "waived":
			mark = "[-]"
		}
		fmt.Fprintf(w, "  %s %-12s  %s", mark, step.Name, step.State)
		if step.By != "" {
			fmt.Fprintf(w, " by %s", step.By)
		}
		fmt.Fprintln(w)
		if e := step.Evidence; e != nil {
			fmt.Fprintf(w, "      %s  %s  (%s)\n", clock(e.At), e.Text, e.Ref)
		}
		if step.Reason != "" {
			fmt.Fprintf(w, "      %s\n", strings.Join(strings.Fields(step.Reason), " "))
		}
	}
	if f.Next != "" {
		fmt.Fprintf(w, "Next: %s\n", f.Next)
	}
	if f.State == "following" && f.Until != nil {
		fmt.Fprintf(w, "Until %s.\n", f.Until.Local().Format("2006-01-02 15:04"))
	}
}

// unimproved lists what ended without an improvement.
func (s *session) unimproved(ctx context.Context, c *client.Client) error {
	all, err := c.Followups(ctx, "without", 100)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.progress("No incident ended without an improvement.")
	}
	return s.show(all, func(w io.Writer) {
		if len(all) == 0 {
			return
		}
		row(w, "INCIDENT", "SERVICE", "TEAM", "RESOLVED", "STEPS OPEN", "TITLE")
		for _, f := range all {
			row(w, f.Incident, f.Service, f.Team, f.Resolved, strings.Join(f.Open(), ","), f.Title)
		}
	})
}

func (s *session) learnFrom() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "learn INCIDENT STEP [REF]", Short: "Confirm or give the evidence of a step",
		Long: `Say that a step from an incident to an improvement is done. Without REF this
confirms what Steer found; with REF it gives the evidence: run/12/acceptance,
deploy/14, commit/SHA, definitions/SHA, check/SERVICE/NAME, visit/3, or the
address of a page elsewhere. Steer looks whether the journal shows it: a test
has to have failed, a check to have been CRITICAL, a fix to be deployed.`,
		Example: "  steer incident learn 7 fix\n  steer incident learn 7 test run/12/acceptance",
		Args:    between("the incident's number, a step (see 'steer incident NUMBER'), and maybe its evidence", 2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref := strings.Join(args[2:], "")
			return s.aboutStep(args[0], func(c *client.Client, number string) (client.Followup, error) {
				return c.Learn(cmd.Context(), number, args[1], ref, reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is evidence; kept in the journal")
	return cmd
}

func (s *session) doubtStep() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "doubt INCIDENT STEP", Short: "Say that what stands for a step is no evidence",
		Long: `Say that what stands for a step is no evidence: it is not taken again, and Steer
looks for other. A step that is waived is not waived any more. With "return" as
STEP: the incident is not the return of an earlier one.`,
		Example: "  steer incident doubt 7 test --reason 'that run failed for want of disk'",
		Args:    exactly("the incident's number and a step (see 'steer incident NUMBER')", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.aboutStep(args[0], func(c *client.Client, number string) (client.Followup, error) {
				return c.Doubt(cmd.Context(), number, args[1], reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the journal (needed)")
	return cmd
}

func (s *session) waiveSteps() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "waive INCIDENT [STEP…]", Short: "Say that steps are not worth it",
		Example: "  steer incident waive 7 test test-passes --reason 'the service is retired in May'\n  steer incident waive 7 --reason 'same fault as incident 6'",
		Args:    between("the incident's number, and maybe steps (see 'steer incident NUMBER')", 1, 7),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.aboutStep(args[0], func(c *client.Client, number string) (client.Followup, error) {
				return c.Waive(cmd.Context(), number, args[1:], reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the journal (needed)")
	return cmd
}

// aboutStep says something about a step, and shows what became of it.
func (s *session) aboutStep(incident string, say func(*client.Client, string) (client.Followup, error)) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	number, err := numbered("incident", incident, "steer incident --all")
	if err != nil {
		return err
	}
	f, err := say(c, number)
	if err != nil {
		return err
	}
	return s.show(f, func(w io.Writer) { s.followupTable(w, f) })
}

func (s *session) incidentShares() *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use: "shares", Short: "How many incidents ended with all steps, by service and team", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			shares, err := c.Shares(cmd.Context(), days)
			if err != nil {
				return err
			}
			return s.show(shares, func(w io.Writer) {
				row(w, "OF", "NAME", "SHARE", "ALL STEPS", "WITHOUT", "WAIVED", "CAME BACK", "ON THE WAY")
				for _, kind := range []struct {
					of   string
					list []client.Share
				}{{"service", shares.Services}, {"team", shares.Teams}, {"all", []client.Share{shares.Total}}} {
					for _, one := range kind.list {
						share := "-"
						if one.Rate != nil {
							share = fmt.Sprintf("%.0f%%", 100**one.Rate)
						}
						name := one.Name
						if name == "" {
							name = "-"
						}
						row(w, kind.of, name, share, one.Complete, one.Without, one.Waived, one.Returned, one.Following)
					}
				}
			})
		},
	}
	cmd.Flags().IntVar(&days, "days", 90, "length of the period that ends now, in which incidents were resolved")
	return cmd
}
