package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

// colour of a state's name.
func (s *session) state(name string) string {
	switch strings.ToLower(name) {
	case "ok", "passed", "serving", "healthy", "resolved":
		return s.paint(green, name)
	case "warn", "degraded", "waiting", "acknowledged", "nodata", "draining":
		return s.paint(yellow, name)
	case "critical", "failed", "down", "open", "dead", "unhealthy":
		return s.paint(red, name)
	}
	return name
}

func (s *session) status() *cobra.Command {
	return &cobra.Command{
		Use: "status [SERVICE]", Short: "What runs where, builds, open incidents", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return s.serviceStatus(cmd.Context(), c, args[0])
			}
			now, err := c.Now(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(now, func(w io.Writer) {
				if len(now.Services) == 0 {
					fmt.Fprintf(w, "No services yet. Push one: git push %s/git/NAME.git main\n", c.Server())
				} else {
					row(w, "SERVICE", "STATE", "BUILD", "ENVIRONMENT", "VERSION", "NODES", "ADDRESS", "SINCE")
				}
				for _, service := range now.Services {
					build := "-"
					if service.Build != nil {
						build = fmt.Sprintf("%s %s", service.Build.Version, service.Build.State)
					}
					if len(service.Placements) == 0 {
						row(w, service.Service, s.state(service.State), build, "-", "-", "-", "-", "-")
					}
					for _, p := range service.Placements {
						row(w, service.Service, s.state(service.State), build, p.Environment, p.Version, healthy(p), addresses(p.Address), ago(p.Since))
					}
				}
				if len(now.Incidents) > 0 {
					row(w)
					row(w, "INCIDENT", "STATE", "SEVERITY", "SERVICE", "OPENED", "TITLE")
					for _, i := range now.Incidents {
						row(w, i.ID, s.state(i.State), i.Severity, i.Service, ago(i.Opened), i.Title)
					}
				}
			})
		},
	}
}

func addresses(byPort map[string]string) string {
	var all []string
	for name, address := range byPort {
		if strings.HasPrefix(name, "http") {
			address = "http://" + address
		}
		all = append(all, address)
	}
	return strings.Join(all, ",")
}

// healthy counts the nodes that serve well, of those that should; nodes of the
// version before that only stand by do not count.
func healthy(p client.Placement) string {
	n := 0
	for _, node := range p.Nodes {
		if node.Serving && node.State == "healthy" {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, p.Number)
}

func (s *session) serviceStatus(ctx context.Context, c *client.Client, name string) error {
	service, err := c.Service(ctx, name)
	if err != nil {
		return err
	}
	return s.show(service, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\n", service.Service, s.state(service.State))
		for _, p := range service.Placements {
			fmt.Fprintf(w, "\n%s: %s %s at %s since %s\n", p.Environment, p.Version, s.state(p.State), addresses(p.Address), clock(p.Since))
			row(w, "  NODE", "VERSION", "STATE", "PID", "RESTARTS", "STARTED")
			for _, n := range p.Nodes {
				row(w, "  "+n.ID, n.Version, s.state(n.State), n.PID, n.Restarts, n.Started)
			}
		}
		if len(service.Runs) > 0 {
			fmt.Fprintln(w)
			runsTable(s, w, service.Runs)
		}
		if len(service.Statuses) > 0 {
			fmt.Fprintln(w)
			checksTable(s, w, service.Statuses)
		}
	})
}

func runsTable(s *session, w io.Writer, runs []client.Run) {
	row(w, "RUN", "VERSION", "STATE", "COMMIT", "AUTHOR", "MESSAGE", "STAGES")
	for _, r := range runs {
		var stages []string
		for _, stage := range r.Stages {
			stages = append(stages, stage.Name+":"+stage.State)
		}
		message, _, _ := strings.Cut(r.Message, "\n")
		row(w, r.ID, r.Version, s.state(r.State), clip(r.Commit, 8), r.Author, clip(message, 40), strings.Join(stages, " "))
	}
}

func clip(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n])
	}
	return text
}

func runTable(w io.Writer, r client.Run) {
	fmt.Fprintf(w, "run %d: %s %s, %s\n", r.ID, r.Service, r.Version, r.State)
	if r.Reason != "" {
		fmt.Fprintf(w, "  %s\n", r.Reason)
	}
	row(w, "STAGE", "STATE", "STARTED", "FINISHED", "REASON")
	for _, stage := range r.Stages {
		row(w, stage.Name, stage.State, stage.Started, stage.Finished, stage.Reason)
	}
}

func (s *session) runs() *cobra.Command {
	var service string
	var limit int
	cmd := &cobra.Command{
		Use: "runs [RUN]", Short: "Pipeline runs, or one with its stages", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				run, err := c.Run(cmd.Context(), strings.TrimPrefix(args[0], "run/"))
				if err != nil {
					return err
				}
				return s.show(run, func(w io.Writer) { runTable(w, run) })
			}
			runs, err := c.Runs(cmd.Context(), service, limit)
			if err != nil {
				return err
			}
			return s.show(runs, func(w io.Writer) { runsTable(s, w, runs) })
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only this service")
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many")
	return cmd
}

func (s *session) history() *cobra.Command {
	var environment string
	var limit int
	cmd := &cobra.Command{
		Use: "history [SERVICE]", Short: "Deploys and rollbacks, newest first", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			deploys, err := c.Deploys(cmd.Context(), strings.Join(args, ""), environment, limit)
			if err != nil {
				return err
			}
			return s.show(deploys, func(w io.Writer) {
				row(w, "DEPLOY", "WHEN", "SERVICE", "ENVIRONMENT", "VERSION", "BEFORE", "KIND", "STATE", "BY", "REASON")
				for _, d := range deploys {
					row(w, d.ID, d.Created, d.Service, d.Environment, d.Version, d.Previous, d.Kind, s.state(d.State), d.Actor, d.Reason)
				}
			})
		},
	}
	cmd.Flags().StringVar(&environment, "environment", "", "only this environment")
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many")
	return cmd
}

func (s *session) logs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs RUN STAGE | NODE", Short: "What a stage or a node printed",
		Example: "  steer logs 12 commit\n  steer logs -f NODE   # see 'steer status SERVICE'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			var log io.ReadCloser
			if len(args) == 2 {
				log, err = c.StageLog(cmd.Context(), strings.TrimPrefix(args[0], "run/"), args[1], follow)
			} else {
				log, err = c.NodeLog(cmd.Context(), strings.TrimPrefix(args[0], "node/"), follow)
			}
			if err != nil {
				return err
			}
			defer log.Close()
			if _, err := io.Copy(s.Stdout, log); err != nil && cmd.Context().Err() == nil {
				return fmt.Errorf("read log: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until it is over")
	return cmd
}

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
			row(w, "  "+clock(e.Time), e.Actor, e.Summary)
		}
	}
}

func (s *session) incident() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "incident [NUMBER]", Aliases: []string{"incidents"}, Short: "Open incidents, or one and what changed before it", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				i, err := c.Incident(cmd.Context(), strings.TrimPrefix(args[0], "incident/"))
				if err != nil {
					return err
				}
				return s.show(i, func(w io.Writer) { incidentTable(w, i) })
			}
			incidents, err := c.Incidents(cmd.Context(), !all, 50)
			if err != nil {
				return err
			}
			return s.show(incidents, func(w io.Writer) {
				row(w, "INCIDENT", "STATE", "SEVERITY", "SERVICE", "ENVIRONMENT", "OPENED", "RESOLVED", "TITLE")
				for _, i := range incidents {
					row(w, i.ID, s.state(i.State), i.Severity, i.Service, i.Environment, i.Opened, i.Resolved, i.Title)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "resolved ones too")
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
		fmt.Fprintf(w, "%s  %6s  %s (%s)\n", clock(e.Time), gap, strings.Join(strings.Fields(e.Summary), " "), e.Actor)
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

// eventRow is one line; summaries are too different in length for columns.
func eventRow(w io.Writer, e client.Event) {
	fmt.Fprintf(w, "%s  %s (%s)\n", clock(e.Time), strings.Join(strings.Fields(e.Summary), " "), e.Actor)
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

func checksTable(s *session, w io.Writer, statuses []client.Status) {
	row(w, "CHECK", "STATE", "VALUE", "SINCE", "REASON")
	for _, st := range statuses {
		value := "-"
		if st.Value != nil {
			value = strconv.FormatFloat(*st.Value, 'g', 6, 64)
		}
		row(w, st.Key, s.state(st.State), value, ago(st.Since), st.Reason)
	}
}

func (s *session) checks() *cobra.Command {
	return &cobra.Command{
		Use: "checks", Short: "The state of every check", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			statuses, err := c.Checks(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(statuses, func(w io.Writer) { checksTable(s, w, statuses) })
		},
	}
}
