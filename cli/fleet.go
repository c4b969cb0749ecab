package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
)

func (s *session) fleet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fleet", Short: "Hosts that the server keeps as declared: their state, drift, pauses and changes on their way", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			f, err := c.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			if len(f.Hosts) == 0 {
				s.progress("There are no hosts (describe them in hosts.yaml of the definitions).")
			}
			return s.show(f, func(w io.Writer) { s.fleetTable(w, f) })
		},
	}
	cmd.AddCommand(s.fleetHost(), s.fleetVisits(), s.fleetTonight(), s.fleetDrift(),
		s.fleetVisit(), s.fleetPause(), s.fleetResume(), s.fleetDecide("approve", true), s.fleetDecide("refuse", false), s.fleetAccept(), s.fleetEnter(),
		s.fleetPower("stop", "Stop hosts in order, and keep automation away until 'steer fleet start'"),
		s.fleetPower("start", "Start hosts again, however they were stopped, and converge them"),
		s.fleetPower("restart", "Stop and start hosts, and converge them"),
		s.fleetFail(), s.fleetDestroy(), s.fleetOffers(), s.fleetScale(), s.fleetRequest(), s.fleetReturn())
	return cmd
}

func (s *session) fleetTable(w io.Writer, f client.Fleet) {
	for _, p := range f.Pauses {
		until := "until somebody ends it"
		if !p.Until.IsZero() {
			until = "until " + clock(p.Until)
		}
		fmt.Fprintf(w, "%s %s by %s since %s, %s: %s\n", s.paint(yellow, "paused:"), strings.TrimSpace(p.Scope+" "+p.Name), p.Person, clock(p.Since), until, p.Reason)
	}
	if len(f.Groups) > 0 {
		row(w, "GROUP", "HOSTS", "CHANGE", "COMMIT", "SINCE", "WHY")
		for _, g := range f.Groups {
			commit := g.Candidate
			if g.Phase == "done" {
				commit = g.Good
			}
			row(w, g.Name, g.Members, s.state(orNone(g.Phase)), shortCommit(commit), ago(g.Since), g.Reason)
		}
		fmt.Fprintln(w)
	}
	if len(f.Hosts) > 0 {
		row(w, "HOST", "STATE", "ROLES", "OWNER", "AGE", "CONTACT", "NEXT", "DRIFT", "SECURITY", "TESTS", "WHY")
		for _, h := range f.Hosts {
			state := h.State
			switch {
			case h.Gone:
				state = "gone"
			case h.Running != 0:
				state += ", visited now"
			case h.Paused != nil:
				state += ", paused"
			}
			security, next, tests := "-", "-", "-"
			if h.Security != nil {
				security = fmt.Sprint(*h.Security)
			}
			if d := time.Until(h.Next); !h.Next.IsZero() {
				next = "now"
				if d > 0 {
					next = "in " + short(d)
				}
			}
			if h.Tests > 0 {
				tests = fmt.Sprintf("%d of %d", h.Tests-h.Failing, h.Tests)
			}
			note := h.Error
			if !h.Until.IsZero() {
				note = strings.TrimPrefix(note+"; ends "+clock(h.Until), "; ")
			}
			if len(h.Unequal) > 0 && note == "" {
				note = "not equal to " + strings.Join(h.Unequal, ", ")
			}
			born := h.Rebuilt
			if born.IsZero() {
				born = h.Seen
			}
			for _, e := range h.Erosion {
				for _, b := range e.Findings {
					note = strings.TrimPrefix(note+"; "+b.Of+": "+b.Kind, "; ")
				}
			}
			row(w, h.Name, s.state(state), strings.Join(h.Roles, ", "), h.Owner, short(time.Since(born)), ago(h.Contact), next, h.Drifts, security, tests, note)
		}
	}
	for _, u := range f.Unmanaged {
		fmt.Fprintf(w, "nobody manages %s: %s", u.Address, u.What)
		if u.Name != "" {
			fmt.Fprintf(w, " (steer fleet destroy %s)", u.Name)
		}
		fmt.Fprintln(w)
	}
	if h := f.Habits; h.Visits > 0 {
		fmt.Fprintf(w, "\nIn 7 days %.0f%% of %d visits came by themselves%s.\n", 100*h.Unattended, h.Visits, habits(h))
	}
}

// habits are the signs that automation is feared, of which there are any.
func habits(h client.Habits) (text string) {
	for _, sign := range []struct {
		n    int
		what string
	}{{h.Narrow, "by hand to a few only"}, {h.Around, "changes around Steer"}, {h.Late, "hosts visited late"}} {
		if sign.n > 0 {
			text += fmt.Sprintf("; %s: %d", sign.what, sign.n)
		}
	}
	if h.PausedFor != "" {
		text += "; longest pause: " + h.PausedFor
	}
	if h.OldestPlan != "" {
		text += "; oldest plan that waits: " + h.OldestPlan
	}
	return text
}

// shortCommit names a commit of the definitions, or several: BASE+ROLE@COMMIT.
func shortCommit(commit string) string {
	parts := strings.Split(commit, "+")
	for i, p := range parts {
		role, sha, mixed := strings.Cut(p, "@")
		if !mixed {
			role, sha = "", p
		} else {
			role += "@"
		}
		parts[i] = role + sha[:min(8, len(sha))]
	}
	return strings.Join(parts, "+")
}

func orNone(s string) string {
	if s == "" {
		return "nothing yet"
	}
	return s
}

func (s *session) fleetHost() *cobra.Command {
	return &cobra.Command{
		Use: "host NAME", Short: "One host with its drift, tests and history", Args: exactly("the name of a host", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			d, err := c.Host(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(d, func(w io.Writer) {
				s.fleetTable(w, client.Fleet{Hosts: []client.FleetHost{d.Host}})
				loginState(w, d.Host)
				fmt.Fprintln(w)
				driftTable(w, d.Drifts)
				erosionList(w, d.Host.Erosion)
				for _, t := range d.Tests {
					if t.Status == "failed" {
						fmt.Fprintf(w, "test fails: %s: %s\n", t.Name, t.Found)
					}
				}
				for _, o := range d.Siblings {
					if !o.Equal {
						fmt.Fprintf(w, "differs from %s in %s\n", o.Host, strings.Join(o.Differ, ", "))
					}
				}
				s.visitTable(w, d.Visits)
			})
		},
	}
}

// erosionList tells what broke or wore out by itself, and what nobody could look at.
func erosionList(w io.Writer, all []client.Erosion) {
	for _, e := range all {
		for _, b := range e.Findings {
			fmt.Fprintf(w, "%s since %s: %s\n", e.Severity, clock(b.Since), safe(b.Text))
		}
		switch {
		case e.Off != "":
			fmt.Fprintf(w, "nobody looks at %s: %s\n", e.Look, safe(e.Off))
		case e.Error != "":
			fmt.Fprintf(w, "%s could not be looked at: %s\n", e.Look, safe(e.Error))
		}
	}
}

func driftTable(w io.Writer, all []client.Drift) {
	if len(all) == 0 {
		return
	}
	row(w, "DRIFT", "HOST", "RESOURCE", "STATE", "SINCE", "ENDED", "BY")
	for _, d := range all {
		row(w, d.ID, d.Host, d.Ref, d.State, d.Since, d.Ended, d.By)
	}
	for _, d := range all {
		for _, h := range d.Hints {
			if d.State == "open" {
				fmt.Fprintf(w, "%d  %s\n", d.ID, safe(h))
			}
		}
	}
	fmt.Fprintln(w)
}

func (s *session) visitTable(w io.Writer, all []client.Visit) {
	if len(all) == 0 {
		return
	}
	row(w, "VISIT", "HOST", "KIND", "CAUSE", "STATE", "CHANGED", "DRIFT", "BY", "ENDED", "WHY")
	for _, v := range all {
		row(w, v.ID, v.Host, v.Kind, v.Cause, s.state(v.State), v.Counts["changed"]+v.Counts["planned"], v.Drift, v.Actor, v.Finished, v.Error)
	}
}

func (s *session) fleetVisits() *cobra.Command {
	var host string
	var limit int
	cmd := &cobra.Command{
		Use: "visits [NUMBER]", Short: "Visits to hosts, newest first, or one with its changes", Args: between("a visit", 0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				id, err := numbered("visit", args[0], "steer fleet visits")
				if err != nil {
					return err
				}
				v, err := c.Visit(cmd.Context(), id)
				if err != nil {
					return err
				}
				return s.show(v, func(w io.Writer) { s.visitTable(w, []client.Visit{v}); s.changes(w, v) })
			}
			all, err := c.Visits(cmd.Context(), host, limit)
			if err != nil {
				return err
			}
			return s.show(all, func(w io.Writer) { s.visitTable(w, all) })
		},
	}
	cmd.Flags().StringVar(&host, "host", "", "only this host")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// changes shows what a visit found or did.
func (s *session) changes(w io.Writer, v client.Visit) {
	for _, c := range v.Changes {
		text, color := sign(c.Action)
		what := c.Ref
		if c.Drift {
			what += " (drift)"
		}
		fmt.Fprintf(w, "  %s %s %s", s.paint(color, text), safe(what), c.Status)
		if c.Why != "" {
			fmt.Fprintf(w, ": %s", safe(c.Why))
		}
		fmt.Fprintf(w, "  %s\n", s.paint(dim, c.Place))
		if h := c.History; h != nil {
			fmt.Fprintf(w, "      %s\n", s.paint(dim, history(*h)))
		}
		for _, f := range c.Fields {
			if f.Text != "" {
				fmt.Fprintf(w, "      %s:\n      %s\n", f.Name, safe(f.Text))
			} else {
				fmt.Fprintf(w, "      %s: %s -> %s\n", f.Name, safe(f.Old), safe(f.New))
			}
		}
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "  %s\n", safe(n))
	}
	if v.Cut > 0 {
		fmt.Fprintf(w, "  and %d more\n", v.Cut)
	}
	for _, t := range v.Tests {
		if t.Status == "failed" {
			fmt.Fprintf(w, "  test fails: %s: %s\n", safe(t.Name), safe(t.Found))
		}
	}
}

// history says how changes of a resource went before.
func history(h client.History) string {
	if h.Changes == 0 {
		return "never changed before"
	}
	times := fmt.Sprintf("%d times", h.Changes)
	switch h.Changes {
	case 1:
		times = "once"
	case 100:
		times += " or more"
	}
	hosts := "1 host"
	if h.Hosts != 1 {
		hosts = fmt.Sprintf("%d hosts", h.Hosts)
	}
	text := fmt.Sprintf("changed %s before on %s, %d failed", times, hosts, h.Failed)
	if h.Failed == 0 {
		text = fmt.Sprintf("changed %s before on %s, none failed", times, hosts)
	}
	if h.Took >= time.Millisecond {
		text += fmt.Sprintf(", takes %s", short(h.Took))
	}
	text += ", last " + ago(h.Last)
	for i, n := range h.Incidents {
		text += fmt.Sprintf("%s%d", map[bool]string{true: ", followed within an hour by incident ", false: ", "}[i == 0], n)
	}
	return text
}

func (s *session) fleetTonight() *cobra.Command {
	since := 12 * time.Hour
	cmd := &cobra.Command{
		Use: "tonight", Short: "What was done to hosts lately, most important first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			t, err := c.Tonight(cmd.Context(), time.Now().Add(-since))
			if err != nil {
				return err
			}
			return s.show(t, func(w io.Writer) { s.tonightTable(w, t) })
		},
	}
	cmd.Flags().DurationVar(&since, "since", since, "how far back")
	return cmd
}

func (s *session) tonightTable(w io.Writer, t client.Tonight) {
	fmt.Fprintf(w, "%d visits, %d of them found everything as declared.\n", t.Visits, t.Quiet)
	for _, part := range []struct {
		title string
		all   []client.Visit
	}{{"Failed", t.Failed}, {"Drifted", t.Drifted}, {"Made anew", t.Rebuilt}, {"Changed by the definitions", t.Changed}} {
		if len(part.all) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s:\n", part.title)
		for _, v := range part.all {
			fmt.Fprintf(w, "%s  %s  visit %d, %s, %s  %s\n", clock(v.Finished), s.paint(bold, v.Host), v.ID, v.Kind, v.Cause, safe(v.Error))
			if v.State != "failed" || len(v.Changes) < 20 {
				s.changes(w, v)
			}
		}
	}
	if len(t.Rollouts) > 0 {
		fmt.Fprintln(w, "\nOn their way:")
		for _, g := range t.Rollouts {
			fmt.Fprintf(w, "%s  %s %s  %s\n", s.paint(bold, g.Name), orNone(g.Phase), shortCommit(g.Candidate), g.Reason)
		}
	}
	for _, h := range t.Late {
		fmt.Fprintf(w, "late: %s, visited %s\n", h.Name, ago(h.Visited))
	}
	for _, p := range t.Pauses {
		fmt.Fprintf(w, "paused: %s by %s: %s\n", strings.TrimSpace(p.Scope+" "+p.Name), p.Person, p.Reason)
	}
	if len(t.Drifts) > 0 {
		fmt.Fprintln(w, "\nOpen drift:")
		driftTable(w, t.Drifts)
	}
}

func (s *session) fleetDrift() *cobra.Command {
	return &cobra.Command{
		Use: "drift", Short: "What differs from the definitions, and is left so", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			t, err := c.Tonight(cmd.Context(), time.Now())
			if err != nil {
				return err
			}
			if len(t.Drifts) == 0 {
				s.progress("Nothing drifted.")
			}
			return s.show(t.Drifts, func(w io.Writer) { driftTable(w, t.Drifts) })
		},
	}
}
