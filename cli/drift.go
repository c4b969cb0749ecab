package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (s *session) drift() *cobra.Command {
	var h HostArgs
	var c ConvergeArgs
	var detailed bool
	cmd := &cobra.Command{
		Use: "drift [ROLE…]", Short: "Show what was changed on hosts by hand",
		Long: `Compares hosts with their roles, like plan, and shows what was as declared once and is no
longer, although its declaration is the same. Changes of the definitions that were not
applied yet are only counted. On a host that never was as declared, all that differs is
shown. It changes nothing.` + exits,
		Example: "steer drift --limit web --detailed-exitcode",
		RunE: func(cmd *cobra.Command, args []string) error {
			h.Roles = args
			p, err := s.drifted(cmd.Context(), h, c)
			if err != nil {
				return err
			}
			return p.end(detailed)
		},
	}
	hostFlags(cmd, &h)
	waveFlags(cmd, &c)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 2 when something differs")
	cmd.AddCommand(s.fleetAccept())
	return cmd
}

// drifted shows the drift of hosts.
func (s *session) drifted(ctx context.Context, h HostArgs, c ConvergeArgs) (*planned, error) {
	c.MaxFail = -1
	w, err := s.hostWriter()
	if err != nil {
		return nil, err
	}
	var events []HostEvent
	p := &planned{}
	if p.results, err = s.Infra.Converge(ctx, h, c, func(e HostEvent) { events = append(events, e) }); err != nil {
		return nil, err
	}
	sortResults(p.results)
	index := map[string]int{}
	for i, r := range p.results {
		index[r.Host] = i
	}
	pending, unknown := map[string]int{}, map[string]bool{}
	for _, e := range events {
		switch i, ok := index[e.Host]; {
		case e.Status != "planned" || e.Drift || e.Action == "replace" || !ok: // what differs on an immutable host is drift
		case p.results[i].Remembers:
			pending[e.Host]++
			continue
		default:
			unknown[e.Host] = true
		}
		w.event(e)
	}
	for i := range p.results {
		r := &p.results[i]
		if n := pending[r.Host]; n > 0 {
			r.Counts["planned"] -= n
			r.Counts["pending"] = n
			what := "change of the definitions is"
			if n > 1 {
				what = "changes of the definitions are"
			}
			r.Notes = append(r.Notes, fmt.Sprintf("%d %s not applied yet (steer plan shows more)", n, what))
		}
		if unknown[r.Host] {
			r.Notes = append(r.Notes, "it never was as declared, so that what differs need not be drift (steer apply)")
		}
	}
	return p, w.recap(p.results, "Drift: %d to add, %d to change, %d to destroy", "to run")
}
