package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/event"
	"steer/base/fault"
)

func incidentTable(w io.Writer, i client.Incident) {
	fmt.Fprintf(w, "incident %d: %s (%s, %s)\n%s\n", i.ID, i.Title, i.Severity, i.State, i.Summary)
	fmt.Fprintf(w, "opened %s", clock(i.Opened))
	if i.Acknowledged != nil {
		fmt.Fprintf(w, ", acknowledged %s by %s: %s", clock(*i.Acknowledged), i.AckedBy, i.AckComment)
	}
	if i.Resolved != nil {
		fmt.Fprintf(w, ", resolved %s", clock(*i.Resolved))
	}
	fmt.Fprintf(w, "\nquery: %s\n", i.Query)
	if len(i.Changes) > 0 {
		fmt.Fprintf(w, "\nWhat changed shortly before:\n")
		for _, e := range i.Changes {
			fmt.Fprintf(w, "  %s  %s\n", clock(e.Time), told(e))
		}
	}
}

func (s *session) incident() *cobra.Command {
	var all, without bool
	cmd := &cobra.Command{
		Use: "incident [NUMBER]", Aliases: []string{"incidents"}, Short: "Open incidents, or one, what changed before it, and the steps to an improvement",
		Long: `List open incidents, or show one: what changed before it, and how far it is on the
way to an improvement. The steps are: ` + "`quick-fix`, `check`, `test`, `fix`, `test-passes`" + `
and ` + "`check-passes`" + `. Steer finds their evidence where the journal shows it.`,
		Example: "  steer incident 7\n  steer incident --without\n  steer incident learn 7 test run/12/acceptance",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			switch {
			case without && (all || len(args) > 0):
				return fault.Usage(errors.New("--without lists incidents, and takes neither a number nor --all"))
			case without:
				return s.unimproved(cmd.Context(), c)
			}
			if len(args) == 1 {
				number, err := numbered("incident", args[0], "steer incident --all")
				if err != nil {
					return err
				}
				i, err := c.Incident(cmd.Context(), number)
				if err != nil {
					return err
				}
				f, err := c.Followup(cmd.Context(), number)
				if err != nil {
					return err
				}
				return s.show(struct {
					client.Incident
					Followup client.Followup `json:"followup"`
				}{i, f}, func(w io.Writer) {
					incidentTable(w, i)
					fmt.Fprintln(w)
					s.followupTable(w, f)
				})
			}
			incidents, err := c.Incidents(cmd.Context(), !all, 50)
			if err != nil {
				return err
			}
			if len(incidents) == 0 && all {
				s.progress("There were no incidents yet.")
			} else if len(incidents) == 0 {
				s.progress("No incident is open (--all lists those that are over).")
			}
			return s.show(incidents, func(w io.Writer) {
				if len(incidents) == 0 {
					return
				}
				row(w, "INCIDENT", "STATE", "SEVERITY", "SERVICE", "ENVIRONMENT", "OPENED", "RESOLVED", "TITLE")
				for _, i := range incidents {
					row(w, i.ID, s.state(i.State), i.Severity, i.Service, i.Environment, i.Opened, i.Resolved, i.Title)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "resolved ones too")
	cmd.Flags().BoolVar(&without, "without", false, "those that ended without an improvement")
	cmd.AddCommand(s.learnFrom(), s.doubtStep(), s.waiveSteps(), s.incidentShares())
	return cmd
}

func (s *session) why() *cobra.Command {
	return &cobra.Command{
		Use: "why REF", Short: "The chain from commit to now that a thing is part of",
		Long: `Print the chain of events that a thing is part of, from the commit to what came
of it. REF is incident/7, deploy/12, run/5, SERVICE/VERSION, a commit, or an
event's id.`,
		Example: "  steer why incident/7\n  steer why catalog/b12",
		Args:    exactly("what to explain: incident/7, deploy/12, run/5, catalog/b12 or a commit", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			chain, err := c.Why(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(chain, func(w io.Writer) { whyTable(w, chain) })
		},
	}
}

func whyTable(w io.Writer, chain client.Why) {
	var last time.Time
	for _, e := range chain.Events {
		gap := ""
		if !last.IsZero() {
			gap = "+" + short(e.Time.Sub(last))
		}
		last = e.Time
		fmt.Fprintf(w, "%s  %6s  %s\n", clock(e.Time), gap, told(e))
	}
}

func (s *session) events() *cobra.Command {
	var follow bool
	var service, environment, chain, subject string
	var limit int
	cmd := &cobra.Command{
		Use: "events", Short: "The journal: what happened, by whom, why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for k, v := range map[string]string{"service": service, "environment": environment, "chain": chain, "subject": subject} {
				if v != "" {
					query.Set(k, v)
				}
			}
			events, err := c.Events(cmd.Context(), query)
			if err != nil {
				return err
			}
			if !follow {
				return s.show(events, func(w io.Writer) {
					for i := len(events) - 1; i >= 0; i-- {
						eventRow(w, events[i])
					}
				})
			}
			after := int64(0)
			for i := len(events) - 1; i >= 0; i-- {
				s.event(events[i])
				after = events[i].Seq
			}
			return s.followEvents(cmd.Context(), c, after, func(e client.Event) bool {
				return (service == "" || string(e.Service) == service) && (environment == "" || string(e.Environment) == environment) &&
					(chain == "" || e.Chain == chain) && (subject == "" || e.Subject == subject)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with new events")
	f.StringVar(&service, "service", "", "only this service")
	f.StringVar(&environment, "environment", "", "only this environment")
	f.StringVar(&chain, "chain", "", "only this chain")
	f.StringVar(&subject, "subject", "", "only this subject, such as deploy/12")
	f.IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// told is what happened, and who did it unless that is Steer or said already.
func told(e client.Event) string {
	text := strings.Join(strings.Fields(e.Summary), " ")
	if e.Actor == event.Steer || e.Actor == "" || strings.HasPrefix(text, string(e.Actor)+" ") {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, e.Actor)
}

// eventRow is one line; summaries are too different in length for columns.
func eventRow(w io.Writer, e client.Event) {
	fmt.Fprintf(w, "%s  %s\n", clock(e.Time), told(e))
	if e.Reason != "" && !strings.Contains(e.Summary, e.Reason) {
		fmt.Fprintf(w, "          %s\n", strings.Join(strings.Fields(e.Reason), " "))
	}
}

func (s *session) event(e client.Event) {
	if s.output == "json" {
		json.NewEncoder(s.Stdout).Encode(e)
		return
	}
	eventRow(s.Stdout, e)
}

func (s *session) followEvents(ctx context.Context, c *client.Client, after int64, want func(client.Event) bool) error {
	body, err := c.Open(ctx, "GET", "/api/v1/events/stream?after="+strconv.FormatInt(after, 10), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e client.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if want(e) {
			s.event(e)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fault.New(fault.Unavailable, "the server ended the stream of events")
}
