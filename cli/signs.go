package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
)

func (s *session) signs() *cobra.Command {
	var team, environment string
	var days int
	cmd := &cobra.Command{
		Use: "signs", Short: "Signs of doing well: failures, rebuild times, patches, requests, working hours", Args: cobra.NoArgs,
		Long: `Signs of doing well, each beside the period before: mean time to repair and between
failures, how fast hosts and services are made anew, pending security updates, how
long people wait for what they ask for and whether they need the infrastructure team,
and how many changes are made in working hours.

The figures are for conversations, not for rankings. -o json names what each was made
from. docs/guide/signs.md says what counts.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			a, err := c.Signs(cmd.Context(), team, environment, days)
			if err != nil {
				return err
			}
			return s.show(a, func(w io.Writer) { signsTable(w, a, days) })
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "only what belongs to this team")
	cmd.Flags().StringVar(&environment, "environment", "", "only this environment, without commits of the definitions")
	cmd.Flags().IntVar(&days, "days", 30, "length of the period that ends now, at most 400")
	return cmd
}

func signsTable(w io.Writer, a client.Signs, days int) {
	fmt.Fprintf(w, "The last %d days, in brackets the %d days before; medians, if nothing else is said.\n", days, days)
	if a.First.After(a.Before) {
		fmt.Fprintf(w, "There is data since %s.\n", a.First.Local().Format("2006-01-02 15:04"))
	}
	fmt.Fprintln(w)
	failureTable(w, a.Failures)
	rebuildTable(w, a)
	patchTable(w, a)
	requestTable(w, a.Requests)
	changeTable(w, a.Changes)
}

func failureTable(w io.Writer, f client.Failures) {
	row(w, "FAILURES", "OF", "COUNT", "BETWEEN (MEAN)", "REPAIRED IN", "MEAN", "OPEN")
	line := func(kind string, r client.Reliability) {
		row(w, r.Name, kind, fmt.Sprintf("%d (%s)", r.Failures, earlier(r.Before)), meanBetween(r), beside(r.Repair), seconds(r.Repair.Mean), r.Open)
	}
	for _, part := range []struct {
		kind string
		list []client.Reliability
	}{{"environment", f.Environments}, {"service", f.Services}, {"hosts", f.Groups}} {
		for _, r := range part.list {
			line(part.kind, r)
		}
	}
	f.Total.Name = "all"
	line("everything", f.Total)
	fmt.Fprintln(w)
}

// between tells the mean time between failures, with that of before.
func meanBetween(r client.Reliability) string {
	now := "none in " + short(time.Duration(r.Observed*float64(time.Second)))
	if r.Between != nil {
		now = seconds(r.Between)
	}
	if r.Before.Observed == 0 {
		return now
	}
	if r.Before.Between == nil {
		return now + " (none)"
	}
	return fmt.Sprintf("%s (%s)", now, seconds(r.Before.Between))
}

func earlier(e client.EarlierReliability) string {
	if e.Observed == 0 {
		return "-"
	}
	return fmt.Sprint(e.Failures)
}

func rebuildTable(w io.Writer, a client.Signs) {
	r := a.Rebuild
	if len(r.Hosts)+len(r.Deploys)+len(r.Rollbacks) > 0 {
		row(w, "MADE ANEW", "WHAT", "TIMES", "LAST", "MEDIAN", "LONGEST")
		for _, part := range []struct {
			what string
			list []client.Element
		}{{"hosts rebuilt", r.Hosts}, {"deploy", r.Deploys}, {"rollback", r.Rollbacks}} {
			for _, e := range part.list {
				row(w, e.Name, part.what, fmt.Sprintf("%d (%d)", e.Times.Count, e.Times.Before.Count), seconds(&e.Last.Seconds), beside(e.Times), seconds(e.Times.Longest))
			}
		}
		fmt.Fprintln(w)
	}
	if len(r.Oldest) > 0 {
		row(w, "NOT REBUILT", "GROUP", "FOR", "WHY")
		for _, o := range r.Oldest[:min(len(r.Oldest), 5)] {
			why := "last rebuilt " + clock(o.Since)
			switch {
			case !o.Made:
				why = "Steer cannot make it"
			case o.Never:
				why = "never"
			}
			row(w, o.Host, o.Group, short(a.Until.Sub(o.Since)), why)
		}
		fmt.Fprintln(w)
	}
}

func patchTable(w io.Writer, a client.Signs) {
	p := a.Patches
	if p.Hosts == 0 {
		return
	}
	row(w, "PATCHES", "HOSTS", "PATCHED", "BEHIND", "UNKNOWN", "REBOOT")
	for _, g := range p.Groups {
		row(w, g.Group, g.Hosts, g.Patched, g.Hosts-g.Patched-g.Unknown, g.Unknown, g.Reboot)
	}
	row(w, "all", p.Hosts, p.Patched, p.Behind, p.Unknown, p.Reboot)
	fmt.Fprintln(w)
	if len(p.Laggards) > 0 {
		row(w, "BEHIND", "GROUP", "SECURITY", "SINCE", "REBOOT")
		for _, l := range p.Laggards[:min(len(p.Laggards), 5)] {
			reboot := ""
			if l.Reboot {
				reboot = "needed"
			}
			row(w, l.Host, l.Group, l.Security, ago(l.Since), reboot)
		}
		fmt.Fprintln(w)
	}
}

func requestTable(w io.Writer, r client.Requests) {
	row(w, "REQUESTS", "FULFILLED", "IN", "LONGEST", "WITHOUT THE INFRASTRUCTURE TEAM", "OPEN", "FAILED")
	for _, k := range r.Kinds {
		if k.Times.Count+k.Times.Before.Count+k.Open > 0 {
			row(w, k.Kind, fmt.Sprintf("%d (%d)", k.Times.Count, k.Times.Before.Count), beside(k.Times), seconds(k.Times.Longest), part(k.Alone), k.Open, k.Failed)
		}
	}
	all := 0
	for _, k := range r.Kinds {
		all += k.Times.Count
	}
	row(w, "all", all, "", "", part(r.Alone), "", "")
	fmt.Fprintf(w, "\nWaited for somebody's decision: %s, %d times; %d wait now.\n\n", beside(r.Waiting), r.Waiting.Count, len(r.Waits))
}

func changeTable(w io.Writer, c client.Changes) {
	row(w, "IN WORKING HOURS", "BY PEOPLE", "AUTOMATIC")
	for _, k := range c.Kinds {
		row(w, k.Kind, part(k.People), part(k.Automatic))
	}
	row(w, "all changes", part(c.People), part(c.Automatic))
	row(w, "incidents", part(c.Incidents), "")
}

// part writes a share: "80% of 5 (75%)".
func part(s client.MeasuredShare) string {
	percent := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.0f%%", 100**v)
	}
	if s.Rate == nil && s.Before == nil {
		return "-"
	}
	return fmt.Sprintf("%s of %d (%s)", percent(s.Rate), s.Of, percent(s.Before))
}

// beside writes a median and that of the period before.
func beside(t client.MeasuredTimes) string {
	if t.Count+t.Before.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", seconds(t.Median), seconds(t.Before.Median))
}
