package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

func (s *session) fleetVisit() *cobra.Command {
	var r client.VisitRequest
	var later, yes bool
	cmd := &cobra.Command{
		Use: "visit HOST…", Short: "Visit hosts or groups now, and show what was done",
		Long: `Visit hosts or groups now, and show what was done. --kind plan compares only;
heal puts the resources of --ref right, whatever they say about drift; rebuild destroys
the host and makes it anew; rollback undoes its newest generation, or all down to
--to, and pauses it.`,
		Args: between("a host or group", 1, 10000),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Hosts = args
			if r.Kind == "rebuild" && !yes {
				if err := s.agree("Destroy "+strings.Join(args, ", ")+" and make it anew?", "give --yes"); err != nil {
					return err
				}
			}
			return s.visitNow(cmd.Context(), r, later)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Kind, "kind", "converge", "plan, converge, heal, rebuild or rollback")
	f.StringSliceVar(&r.Refs, "ref", nil, "only these resources, like file:/etc/motd")
	f.StringVar(&r.Commit, "commit", "", "of the definitions; default: the one that the group follows")
	f.IntVar(&r.To, "to", 0, "generation to go back to")
	f.StringVar(&r.Reason, "reason", "", "why; kept in the journal")
	f.BoolVar(&later, "no-wait", false, "do not wait for the end")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// visitNow asks for visits and shows them, when they ended unless later.
func (s *session) visitNow(ctx context.Context, r client.VisitRequest, later bool) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	all, err := c.RequestVisits(ctx, r)
	if err != nil {
		return err
	}
	if !later {
		for i := range all {
			s.progress("visit %d to %s …", all[i].ID, all[i].Host)
			for all[i].State == "queued" || all[i].State == "running" {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(200 * time.Millisecond):
				}
				if all[i], err = c.Visit(ctx, fmt.Sprint(all[i].ID)); err != nil {
					return err
				}
			}
		}
	}
	if err := s.show(all, func(w io.Writer) {
		s.visitTable(w, all)
		for _, v := range all {
			if len(v.Changes) > 0 {
				fmt.Fprintf(w, "\n%s\n", s.paint(bold, v.Host))
			}
			s.changes(w, v)
		}
	}); err != nil {
		return err
	}
	for _, v := range all {
		if v.State == "failed" {
			return fault.New(fault.Conflict, "visit %d to %s failed: %s", v.ID, v.Host, v.Error)
		}
	}
	return nil
}

// where reads whom a pause is about.
func where(group string, all bool, args []string) (scope, name string, err error) {
	switch {
	case all && group == "" && len(args) == 0:
		return "all", "", nil
	case group != "" && !all && len(args) == 0:
		return "group", group, nil
	case len(args) == 1 && !all && group == "":
		return "host", args[0], nil
	}
	return "", "", fault.Usage(errors.New("name one host, or give --group NAME, or --all"))
}

func (s *session) fleetPause() *cobra.Command {
	var r client.PauseRequest
	var group string
	var all bool
	cmd := &cobra.Command{
		Use: "pause [HOST]", Short: "Keep automation away from a host, a group or all", Args: between("a host", 0, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.Scope, r.Name, err = where(group, all, args); err != nil {
				return err
			}
			if r.Reason == "" {
				return fault.Usage(errors.New("say why with --reason: others will wonder"))
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := c.Pause(cmd.Context(), r); err != nil {
				return err
			}
			s.progress("Automation keeps away from %s until 'steer fleet resume'.", strings.TrimSpace(r.Scope+" "+r.Name))
			return nil
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "a group of hosts")
	cmd.Flags().BoolVar(&all, "all", false, "all hosts")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why")
	cmd.Flags().StringVar(&r.For, "for", "", "how long, like 2h; default: until somebody ends it")
	return cmd
}

func (s *session) fleetResume() *cobra.Command {
	var r client.ResumeRequest
	var group string
	var all bool
	cmd := &cobra.Command{
		Use: "resume [HOST]", Short: "Let automation go on", Args: between("a host", 0, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.Scope, r.Name, err = where(group, all, args); err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := c.Resume(cmd.Context(), r); err != nil {
				return err
			}
			s.progress("Automation goes on with %s.", strings.TrimSpace(r.Scope+" "+r.Name))
			return nil
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "a group of hosts")
	cmd.Flags().BoolVar(&all, "all", false, "all hosts")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why")
	return cmd
}

func (s *session) fleetDecide(what string, agree bool) *cobra.Command {
	var commit, reason string
	short := "Let a change that waits reach the hosts of a group; one that failed is tried again"
	if !agree {
		short = "Keep a change that waits from the hosts of a group"
	}
	cmd := &cobra.Command{
		Use: what + " GROUP", Short: short, Args: exactly("the name of a group", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if commit == "" {
				f, err := c.Fleet(cmd.Context())
				if err != nil {
					return err
				}
				for _, g := range f.Groups {
					if g.Name == args[0] {
						commit = g.Candidate
					}
				}
				if commit == "" {
					return fault.New(fault.NotFound, "there is no group %q with a change on its way (steer fleet)", args[0])
				}
			}
			g, err := c.DecideGroup(cmd.Context(), args[0], commit, agree, reason)
			if err != nil {
				return err
			}
			s.progress("%s of %s: %s", shortCommit(g.Candidate), g.Name, g.Phase)
			return nil
		},
	}
	cmd.Flags().StringVar(&commit, "commit", "", "that the plan was made for; default: the one that waits")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the journal")
	return cmd
}

func (s *session) fleetAccept() *cobra.Command {
	var reason string
	var dry, yes bool
	cmd := &cobra.Command{
		Use: "accept DRIFT", Short: "Change the definitions to what a host drifted to", Args: exactly("the number of a drift (steer fleet drift lists them)", 1),
		Long: "Shows the commit that makes what a host drifted to its declaration, asks, and makes it. Only the item of the\nrole, or the role's file, is written anew. A role with a pipeline goes through it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := numbered("drift", args[0], "steer fleet drift")
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			p, err := c.AcceptDrift(cmd.Context(), id, true, reason)
			if err != nil {
				return err
			}
			if !dry {
				fmt.Fprint(s.Stderr, safe(p.Diff)+"\n")
				if len(p.Affects) > 0 {
					s.progress("It reaches %s too.", strings.Join(p.Affects, ", "))
				}
				if !yes {
					if err := s.agree("Make this commit?", "give --yes"); err != nil {
						return err
					}
				}
				if p, err = c.AcceptDrift(cmd.Context(), id, false, reason); err != nil {
					return err
				}
				s.progress("Commit %s.", p.Commit[:min(8, len(p.Commit))])
				if s.output == "table" {
					return nil
				}
			}
			return s.show(p, func(w io.Writer) { fmt.Fprintln(w, safe(p.Diff)) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it becomes the message of the commit")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only show the commit")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
