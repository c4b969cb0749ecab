package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

// colour of a state's name.
func (s *session) state(name string) string {
	switch strings.ToLower(name) {
	case "ok", "passed", "serving", "healthy", "resolved", "converged", "done", "complete", "found", "confirmed", "given":
		return s.paint(green, name)
	case "warn", "degraded", "waiting", "acknowledged", "nodata", "draining", "drifted", "asking", "planning", "canary", "soaking", "following", "waived":
		return s.paint(yellow, name)
	case "critical", "failed", "down", "open", "dead", "unhealthy", "unreachable", "without", "returned":
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
						row(w, service.Service, s.state(service.State), build, p.Environment, p.Version, healthy(p), addresses(p.Address), ago(p.Since)+held(p))
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
	slices.Sort(all)
	return strings.Join(all, ",")
}

// held tells of a hold, which is easily forgotten.
func held(p client.Placement) string {
	if p.Hold == nil {
		return ""
	}
	why := ""
	if p.Hold.Reason != "" {
		why = ": " + p.Hold.Reason
	}
	return fmt.Sprintf(", held by %s%s", p.Hold.By, why)
}

// nodeState is "warm" for a node of an earlier version that only stands by.
func nodeState(n client.Node) string {
	if n.State == "healthy" && !n.Serving {
		return "warm"
	}
	return n.State
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
			fmt.Fprintf(w, "\n%s: %s %s at %s since %s%s\n", p.Environment, p.Version, s.state(p.State), addresses(p.Address), clock(p.Since), held(p))
			if slices.ContainsFunc(p.Nodes, func(n client.Node) bool { return n.Host != "" }) {
				row(w, "  NODE", "VERSION", "STATE", "HOST", "PID", "RESTARTS", "STARTED")
				for _, n := range p.Nodes {
					row(w, "  "+n.ID, n.Version, s.state(nodeState(n)), cmp.Or(n.Host, "-"), n.PID, n.Restarts, n.Started)
				}
				continue
			}
			row(w, "  NODE", "VERSION", "STATE", "PID", "RESTARTS", "STARTED")
			for _, n := range p.Nodes {
				row(w, "  "+n.ID, n.Version, s.state(nodeState(n)), n.PID, n.Restarts, n.Started)
			}
		}
		for _, pin := range service.Pins {
			fmt.Fprintf(w, "\n%s is kept out of latest by %s since %s\n", pin.Version, pin.By, clock(pin.Since))
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

// of names the service that a list is limited to.
func of(service string) string {
	if service == "" {
		return ""
	}
	return " of " + service
}

// numbered reads the number of a run or an incident, such as 7 or incident/7.
func numbered(kind, text, lists string) (string, error) {
	number := strings.TrimPrefix(text, kind+"/")
	if _, err := strconv.ParseInt(number, 10, 64); err != nil {
		return "", fault.Usage(fmt.Errorf("%s %q: write its number, such as 7 (%s lists them)", kind, text, lists))
	}
	return number, nil
}

func runsTable(s *session, w io.Writer, runs []client.Run) {
	if len(runs) == 0 {
		return
	}
	of := func(any) []any { return nil }
	if slices.ContainsFunc(runs, func(r client.Run) bool { return r.Service != runs[0].Service }) { // versions alone say little
		of = func(service any) []any { return []any{service} }
	}
	row(w, slices.Concat([]any{"RUN"}, of("OF"), []any{"VERSION", "STATE", "COMMIT", "AUTHOR", "MESSAGE", "STAGES"})...)
	for _, r := range runs {
		var stages []string
		for _, stage := range r.Stages {
			stages = append(stages, stage.Name+":"+stage.State)
		}
		message, _, _ := strings.Cut(r.Message, "\n")
		row(w, slices.Concat([]any{r.ID}, of(r.Service), []any{r.Version, s.state(r.State), clip(r.Commit, 8), r.Author, clip(message, 40), strings.Join(stages, " ")})...)
	}
}

func clip(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n])
	}
	return text
}

func runTable(s *session, w io.Writer, r client.Run) {
	fmt.Fprintf(w, "run %d: %s %s, %s\n", r.ID, r.Service, r.Version, s.state(r.State))
	if r.Reason != "" {
		fmt.Fprintf(w, "  %s\n", r.Reason)
	}
	row(w, "STAGE", "STATE", "STARTED", "FINISHED")
	for _, stage := range r.Stages {
		row(w, stage.Name, s.state(stage.State), stage.Started, stage.Finished)
	}
	for _, stage := range r.Stages {
		if stage.Reason != "" && !strings.Contains(r.Reason, stage.Reason) {
			fmt.Fprintf(w, "%s: %s\n", stage.Name, stage.Reason)
		}
		if stage.State == "waiting" {
			fmt.Fprintf(w, "%s waits for a person: steer approve %d %s, or steer reject %d %s\n", stage.Name, r.ID, stage.Name, r.ID, stage.Name)
		}
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
				number, err := numbered("run", args[0], "steer runs")
				if err != nil {
					return err
				}
				run, err := c.Run(cmd.Context(), number)
				if err != nil {
					return err
				}
				return s.show(run, func(w io.Writer) { runTable(s, w, run) })
			}
			runs, err := c.Runs(cmd.Context(), service, limit)
			if err != nil {
				return err
			}
			if len(runs) == 0 {
				s.progress("No runs%s: a push to a service's repository makes one.", of(service))
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
			if len(deploys) == 0 {
				in := ""
				if environment != "" {
					in = " in " + environment
				}
				s.progress("No deploys%s%s yet.", of(strings.Join(args, "")), in)
			}
			return s.show(deploys, func(w io.Writer) {
				if len(deploys) == 0 {
					return
				}
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
