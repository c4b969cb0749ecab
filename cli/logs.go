package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"steer/api/client"
)

func (s *session) logs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs RUN [STAGE] | NODE", Short: "What a stage or a node printed",
		Long: `Print what a stage of a run printed, by default its failed or else its newest
stage, or the last lines of a node. 'steer status SERVICE' lists the nodes.`,
		Example: "  steer logs 12 commit\n  steer logs -f shop-production-b12-1-mwtskknw",
		Args:    oneOrTwo("a run's number and stage, or a node (see 'steer runs' and 'steer status SERVICE')"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			var log io.ReadCloser
			if number, e := numbered("run", args[0], "steer runs"); e == nil || len(args) == 2 {
				if e != nil {
					return e
				}
				if len(args) == 1 {
					run, err := c.Run(cmd.Context(), number)
					if err != nil {
						return err
					}
					stage := newestStage(run)
					s.progress("Stage %s of run %d:", stage, run.ID)
					args = append(args, stage)
				}
				log, err = c.StageLog(cmd.Context(), number, args[1], follow)
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

// newestStage is the failed stage of a run, or the last that has begun.
func newestStage(r client.Run) string {
	newest := ""
	for _, stage := range r.Stages {
		if stage.State == "failed" {
			return stage.Name
		}
		if newest == "" || stage.Started != nil {
			newest = stage.Name
		}
	}
	return newest
}

// oneOrTwo wants one or two arguments and says what they are.
func oneOrTwo(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return exactly(what, min(max(len(args), 1), 2))(cmd, args)
	}
}
