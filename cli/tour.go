package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"steer/cli/tour"
)

func (s *session) tour() *cobra.Command {
	var stay, keep bool
	cmd := &cobra.Command{
		Use:   "tour",
		Short: "Watch one change go all the way round, on this machine",
		Long: `Start a server of its own on free ports in a temporary folder, push a sample
service, let customers use it, push a change that is slow in production, and
watch Steer notice, tell, go back and recover. Every command is printed before
it runs and every step is verified. It needs git and go, and takes about a
minute. At the end everything is stopped and removed.

Exit codes: 0 every step was verified, 1 one was not.`,
		Example: "  steer tour\n  steer tour --stay",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("tour: find this program: %w", err)
			}
			return tour.Run(cmd.Context(), tour.Options{
				Program: program, Examples: s.Examples, Out: s.Stdout, Terminal: terminal(s.Stdout),
				Colour: terminal(s.Stdout) && !s.noColor, Stay: stay, Keep: keep,
			})
		},
	}
	cmd.Flags().BoolVar(&stay, "stay", false, "leave it running at the end, print its address and login, and wait for Ctrl-C")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the folder with all its state")
	return cmd
}
