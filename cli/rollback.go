package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/base/fault"
)

// GuardCommand is the hidden command that guards a generation on a host: folder, number
// and time.
const GuardCommand = "host-guard"

// guardFlag adds --guard; without it the value stays nil.
func guardFlag(cmd *cobra.Command, into **time.Duration) {
	cmd.Flags().Func("guard", "time after which a host undoes the change by itself unless a new connection to it can be made, as 60s; 0 for never (default 60s for hosts by SSH, else 0)", func(text string) error {
		d, err := time.ParseDuration(text)
		if text == "0" {
			d, err = 0, nil
		}
		if err != nil || d < 0 || d > time.Hour {
			return fmt.Errorf("%q is no time from 0s to 1h", text)
		}
		*into = &d
		return nil
	})
}

const whichHosts = "Hosts are names or groups of hosts.yaml; without any, this machine or --host."

// someHosts takes hosts of the inventory as arguments.
func someHosts(cmd *cobra.Command, h *HostArgs) {
	hostFlags(cmd, h)
	for _, name := range []string{"param", "key", "environment"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
}

func (h *HostArgs) named(args []string) error {
	if h.Limit = append(h.Limit, args...); len(h.Limit) > 0 && h.Address != "" {
		return fault.Usage(errors.New("--host is instead of names of hosts"))
	}
	return nil
}

func (s *session) hostGenerations() *cobra.Command {
	var h HostArgs
	var dir string
	cmd := &cobra.Command{
		Use: "generations [HOST…]", Short: "List the changes that hosts can go back from",
		Long: "Lists the runs that changed something on hosts, the newest first. " + whichHosts + "\nA host keeps the last 20, and at most 64 MiB.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.named(args); err != nil {
				return err
			}
			all, err := s.Infra.Generations(cmd.Context(), h, dir)
			if err != nil {
				return err
			}
			if err := s.show(all, func(w io.Writer) {
				row(w, "HOST", "GENERATION", "WHEN", "BY", "CHANGED")
				for _, one := range all {
					if one.Error != "" {
						row(w, one.Host, "", "", "", safe(one.Error))
					}
					for _, g := range one.Generations {
						row(w, one.Host, strconv.Itoa(g.Number), g.Since.Local().Format(time.DateTime), safe(g.By), safe(g.what()))
					}
				}
			}); err != nil {
				return err
			}
			for _, one := range all {
				if one.Error != "" {
					return exitCode(fault.ExitError)
				}
			}
			return nil
		},
	}
	someHosts(cmd, &h)
	cmd.Flags().StringVar(&dir, "state", "", "folder where the host remembers what was done (default /var/lib/steer-host)")
	return cmd
}

// what says what a generation changed, on one line.
func (g HostGeneration) what() string {
	const shown = 3
	changed := g.Changed[:min(len(g.Changed), shown)]
	text := strings.Join(changed, ", ")
	if more := len(g.Changed) - len(changed) + g.More; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if g.BackTo != nil {
		text = fmt.Sprintf("back to %d: %s", *g.BackTo, text)
	}
	switch {
	case g.Ended.IsZero():
		text += " (cut off, or under way)"
	case g.Counts["failed"] > 0:
		text += fmt.Sprintf(" (%d failed)", g.Counts["failed"])
	}
	if g.Unconfirmed {
		text += " (waits to be confirmed)"
	}
	if g.Version != "" {
		text += " [" + g.Version + "]"
	}
	return strings.TrimSpace(text)
}

func (s *session) hostRollback() *cobra.Command {
	var h HostArgs
	c := RollbackArgs{To: -1}
	var yes, dry, detailed bool
	cmd := &cobra.Command{
		Use: "rollback [HOST…]", Short: "Undo what the last runs changed on hosts",
		Long: `Shows what would change, asks, and brings hosts back to the state after an earlier
generation, by default the one before the newest. ` + whichHosts + `
It is a generation too, so that it can be undone. What commands did stays, and is named.
The next apply brings the state of the roles again: revert the commit, too.` + exits,
		Example: "steer host rollback                    # this machine\nsteer host rollback web-1 --to 12 --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.named(args); err != nil {
				return err
			}
			if c.To < 0 && cmd.Flags().Changed("to") {
				return fault.Usage(fmt.Errorf("--to %d: write the number of a generation, or 0 for before the first", c.To))
			}
			if dry || !yes {
				p, err := s.goBack(cmd, "Rollback: %d to add, %d to change, %d to destroy", "to run", h, c)
				if err != nil {
					return err
				}
				if dry || p.changes() == 0 {
					return p.end(detailed)
				}
				if err := s.agree("Undo these changes?", "give --yes"); err != nil {
					return err
				}
			}
			c.Apply, c.By = true, who(s)
			p, err := s.goBack(cmd, "Undone: %d added, %d changed, %d destroyed", "run", h, c)
			if err != nil {
				return err
			}
			if p.changes() > 0 {
				fmt.Fprintln(s.Stderr, "The next apply brings the state of the roles again: revert the commit, too.")
			}
			return p.end(detailed)
		},
	}
	someHosts(cmd, &h)
	cmd.Flags().IntVar(&c.To, "to", -1, "generation whose state is wanted, 0 for before the first (default: the one before the newest)")
	cmd.Flags().Lookup("to").DefValue = ""
	cmd.Flags().StringVar(&c.StateDir, "state", "", "folder where the host remembers what was done (default /var/lib/steer-host)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only show what would change")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 2 when something was or would be changed")
	guardFlag(cmd, &c.Guard)
	return cmd
}

// goBack rolls back, or shows what that would do.
func (s *session) goBack(cmd *cobra.Command, sum, runs string, h HostArgs, c RollbackArgs) (*planned, error) {
	w, err := s.hostWriter()
	if err != nil {
		return nil, err
	}
	p := &planned{}
	if p.results, err = s.Infra.Rollback(cmd.Context(), h, c, w.event); err != nil {
		return nil, err
	}
	sortResults(p.results)
	return p, w.recap(p.results, sum, runs)
}

// hostGuard is this program as the guard of a change of this host.
func (s *session) hostGuard() *cobra.Command {
	return &cobra.Command{Use: GuardCommand, Hidden: true, Args: exactly("a folder, a generation and a time", 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			generation, err1 := strconv.Atoi(args[1])
			within, err2 := time.ParseDuration(args[2])
			if err := errors.Join(err1, err2); err != nil {
				return fault.Usage(err)
			}
			return s.Infra.Guard(cmd.Context(), args[0], generation, within)
		}}
}
