package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

func (s *session) fleetEnter() *cobra.Command {
	var r client.EnterRequest
	cmd := &cobra.Command{
		Use: "enter HOST --reason WHY -- COMMAND…", Short: "Run a command on a host that nobody can log in to",
		Long: `Run a command as root on a host with login: false, by the engine that it runs in: the way
in when all else fails. The command, its author and the reason are in the journal before
it begins, so it should hold no secret; what it writes is shown and kept nowhere.
Automation keeps away from the host from then on, and it counts as touched: after
'steer fleet resume HOST' it is made anew from its image.`,
		Example: "steer fleet enter shop-1 --reason 'incident 12' -- sh -c 'ps aux; df -h'\nsteer fleet resume shop-1",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(r.Reason) == "" {
				return fault.Usage(errors.New("say why with --reason: the journal keeps it"))
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			r.Command = args[1:]
			out, err := c.EnterHost(cmd.Context(), args[0], r)
			if err != nil {
				return err
			}
			fmt.Fprint(s.Stdout, out.Stdout)
			fmt.Fprint(s.Stderr, out.Stderr)
			s.progress("Automation keeps away from %s until 'steer fleet resume %[1]s', which has it made anew.", args[0])
			if out.Code != 0 {
				return exitCode(out.Code)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; kept in the journal")
	return cmd
}

// loginState says what there is to say about logging in to a host.
func loginState(w io.Writer, h client.FleetHost) {
	if !h.NoLogin {
		return
	}
	fmt.Fprintf(w, "Logging in is off. In an emergency: steer fleet enter %s --reason WHY -- COMMAND\n", h.Name)
	if t := h.Touched; t != nil {
		then := "It is made anew once automation may (steer fleet resume " + h.Name + ")."
		if !h.Made {
			then = "Steer cannot make it anew: have it replaced, then steer fleet resume " + h.Name + "."
		}
		fmt.Fprintf(w, "%s was on it %s: %s. %s\n", t.By, ago(t.At), safe(t.Reason), then)
	}
}
