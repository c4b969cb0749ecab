package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

// fleetPower is a command whose name is the kind of the visits.
func (s *session) fleetPower(what, short string) *cobra.Command {
	r := client.VisitRequest{Kind: what}
	var later bool
	cmd := &cobra.Command{
		Use: what + " HOST…", Short: short, Args: between("a host or group", 1, 10000),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Hosts = args
			return s.visitNow(cmd.Context(), r, later)
		},
	}
	visitFlags(cmd, &r, &later)
	return cmd
}

func visitFlags(cmd *cobra.Command, r *client.VisitRequest, later *bool) {
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; kept in the journal")
	cmd.Flags().BoolVar(later, "no-wait", false, "do not wait for the end")
}

func (s *session) fleetFail() *cobra.Command {
	var r client.VisitRequest
	var later bool
	cmd := &cobra.Command{
		Use: "fail HOST…", Short: "Make hosts fail, to see that the service goes on", Args: between("a host or group", 1, 10000),
		Long:    "Make hosts fail, to see that the service goes on without them. Nothing repairs them until 'steer fleet start'.\n" + failHelp,
		Example: "steer fleet fail web-1 --how freeze --reason 'do we notice?'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := knownFailure(r.Kind); err != nil {
				return err
			}
			r.Hosts = args
			return s.visitNow(cmd.Context(), r, later)
		},
	}
	howFlag(cmd, &r.Kind)
	visitFlags(cmd, &r, &later)
	return cmd
}

func (s *session) fleetDestroy() *cobra.Command {
	r := client.VisitRequest{Kind: "destroy"}
	var later, yes bool
	cmd := &cobra.Command{
		Use: "destroy HOST…", Short: "Destroy hosts that Steer made and no definition has any more", Args: between("a host", 1, 10000),
		Long: "Destroy hosts that Steer made and no definition has any more, with everything on them but their volumes.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if err := s.agree("Destroy "+strings.Join(args, ", ")+"?", "give --yes"); err != nil {
					return err
				}
			}
			r.Hosts = args
			return s.visitNow(cmd.Context(), r, later)
		},
	}
	visitFlags(cmd, &r, &later)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (s *session) fleetOffers() *cobra.Command {
	return &cobra.Command{
		Use: "offers", Short: "Hosts that teams scale and request by themselves, and those that are there for a time", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			all, err := c.Offers(cmd.Context())
			if err != nil {
				return err
			}
			if len(all) == 0 {
				s.progress("Nothing is offered (self_service: of an entry in hosts.yaml does it).")
			}
			return s.show(all, func(w io.Writer) { offerTable(w, all) })
		},
	}
}

func offerTable(w io.Writer, all []client.Offer) {
	if len(all) == 0 {
		return
	}
	row(w, "ENTRY", "HOSTS", "LEAST", "MOST", "TEAMS", "YOU")
	for _, o := range all {
		var teams []string
		for _, t := range o.Teams {
			teams = append(teams, string(t))
		}
		you := "may"
		if !o.May {
			you = "may not"
		}
		row(w, o.Entry, o.Number, o.Least, o.Most, strings.Join(teams, ", "), you)
	}
	some := false
	for _, o := range all {
		for _, l := range o.Loans {
			if !some {
				fmt.Fprintln(w)
				row(w, "FOR A TIME", "HOSTS", "UNTIL", "BY", "WHY")
			}
			some = true
			row(w, l.Name, strings.Join(l.Hosts, ", "), clock(l.Until), l.By, l.Why)
		}
	}
}

// waiting are the flags about hosts that are to come.
type waiting struct {
	wait bool
	time time.Duration
}

func (p *waiting) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.wait, "wait", false, "wait until the hosts are as declared")
	cmd.Flags().DurationVar(&p.time, "timeout", 15*time.Minute, "how long to wait at most")
}

// until waits for hosts to be as declared.
func (p *waiting) until(ctx context.Context, s *session, c *client.Client, hosts []string) error {
	if !p.wait {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.time, fault.New(fault.Unavailable, "they are not there after %s (steer fleet says how far they are)", p.time))
	defer cancel()
	for _, name := range hosts {
		s.progress("waiting for %s …", name)
		for {
			d, err := c.Host(ctx, name)
			h := d.Host
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case fault.Of(err) == fault.NotFound: // it is known in a moment
			case err != nil:
				return err
			case h.State == "converged":
			case h.State == "failed" && h.Running == 0:
				return fault.New(fault.Conflict, "%s is not as declared: %s", name, h.Error)
			case h.State == "waiting":
				if err := neverComes(ctx, c, h); err != nil {
					return err
				}
			}
			if err == nil && h.State == "converged" {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(300 * time.Millisecond):
			}
		}
	}
	return nil
}

// neverComes says why a host is not made: its group has no commit that its hosts could
// follow.
func neverComes(ctx context.Context, c *client.Client, h client.FleetHost) error {
	f, err := c.Fleet(ctx)
	for _, g := range f.Groups {
		if g.Name == h.Group && g.Good == "" && g.Phase == "failed" {
			return fault.New(fault.Conflict, "%s is not made, since the first hosts of %s do not get along: %s (put that right, or try again: steer fleet approve %[2]s)", h.Name, g.Name, g.Reason)
		}
	}
	return err
}

func needReason(reason string) error {
	if reason == "" {
		return fault.Usage(errors.New("say why with --reason: it becomes the message of the commit"))
	}
	return nil
}

func (s *session) fleetScale() *cobra.Command {
	var r client.ScaleRequest
	var wait waiting
	cmd := &cobra.Command{
		Use: "scale ENTRY NUMBER", Short: "Set how many hosts an entry of hosts.yaml has", Args: exactly("an entry and a number", 2),
		Long: `Sets number: of an entry with self_service: in hosts.yaml, by a commit of yours; the
server makes the new hosts. When there are fewer, those with the highest numbers go; removed:
of the entry says whether they are destroyed or kept.`,
		Example: "steer fleet scale web 4 --reason 'Christmas' --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fault.Usage(fmt.Errorf("%q is no number of hosts", args[1]))
			}
			if err := needReason(r.Reason); err != nil {
				return err
			}
			r.Entry, r.Number = args[0], n
			c, err := s.client()
			if err != nil {
				return err
			}
			o, err := c.Scale(cmd.Context(), r)
			if err != nil {
				return err
			}
			if err := wait.until(cmd.Context(), s, c, o.Hosts); err != nil {
				return err
			}
			return s.show(o, func(w io.Writer) { offerTable(w, []client.Offer{o}) })
		},
	}
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; it becomes the message of the commit")
	wait.flags(cmd)
	return cmd
}

func (s *session) fleetRequest() *cobra.Command {
	var r client.LoanRequest
	var wait waiting
	cmd := &cobra.Command{
		Use: "request ENTRY", Short: "Get hosts like those of an entry, for a time", Args: exactly("an entry", 1),
		Long: `Makes further hosts that are like those of an entry with self_service: in hosts.yaml, by a
commit of yours, and writes their names, a line each. They are destroyed when their time is over; the
journal tells it before. With the --name of hosts that are there, changes their time and number.`,
		Example: "steer fleet request web --for 2h --name ci-$BUILD --reason 'tests of the build' --wait\nsteer fleet return web-ci-$BUILD",
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.For == "" {
				return fault.Usage(errors.New("say for how long, like --for 8h"))
			}
			if err := needReason(r.Reason); err != nil {
				return err
			}
			r.Entry = args[0]
			c, err := s.client()
			if err != nil {
				return err
			}
			l, err := c.RequestHosts(cmd.Context(), r)
			if err != nil {
				return err
			}
			s.progress("%s until %s; 'steer fleet return %[1]s' ends it before.", l.Name, clock(l.Until))
			if err := wait.until(cmd.Context(), s, c, l.Hosts); err != nil {
				return err
			}
			return s.show(l, func(w io.Writer) { fmt.Fprintln(w, strings.Join(slices.Sorted(slices.Values(l.Hosts)), "\n")) })
		},
	}
	cmd.Flags().StringVar(&r.For, "for", "", "how long, like 8h")
	cmd.Flags().IntVar(&r.Number, "number", 1, "how many")
	cmd.Flags().StringVar(&r.Name, "name", "", "what their names begin with, after that of the entry; default: made up")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; it becomes the message of the commit")
	wait.flags(cmd)
	return cmd
}

func (s *session) fleetReturn() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "return NAME", Short: "Give hosts back that are there for a time", Args: exactly("what 'steer fleet request' answered", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := c.ReturnHosts(cmd.Context(), args[0], reason); err != nil {
				return err
			}
			s.progress("%s will be destroyed.", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it becomes the message of the commit")
	return cmd
}
