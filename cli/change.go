package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

// pairs reads key=value words; flags of the same names are given in set.
func pairs(args []string, keys ...string) (map[string]string, error) {
	got := map[string]string{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || !slices.Contains(keys, key) {
			return nil, fault.Usage(fmt.Errorf("%q is not one of %s=…", a, strings.Join(keys, "=…, ")))
		}
		if _, twice := got[key]; twice {
			return nil, fault.Usage(fmt.Errorf("%s= is given twice", key))
		}
		got[key] = value
	}
	return got, nil
}

func need(got map[string]string, keys ...string) error {
	for _, k := range keys {
		if got[k] == "" {
			return fault.Usage(fmt.Errorf("missing: %s=…", k))
		}
	}
	return nil
}

func (s *session) deploy() *cobra.Command {
	var artifact, environment, version, reason string
	var dryRun, noWait bool
	cmd := &cobra.Command{
		Use:   "deploy artifact=NAME environment=NAME version=VERSION",
		Short: "Deploy a version of a service to an environment",
		Long: `Deploy a version of a service to an environment and wait until it serves.

version is local: what is in this folder, built and uploaded; latest: the newest
green build that is not pinned; or exactly that build, such as b12.

A deploy that does not become healthy leaves the old version serving and says
why. Exit codes: 0 it serves, 1 it does not, 2 wrong usage.`,
		Example: `  steer deploy artifact=catalog environment=local version=local
  steer deploy artifact=catalog environment=ci version=b456
  steer deploy artifact=catalog environment=integrated_qa version=latest`,
		Args: cobra.MaximumNArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, err := pairs(args, "artifact", "environment", "version", "reason")
			if err != nil {
				return err
			}
			for key, value := range map[string]string{"artifact": artifact, "environment": environment, "version": version, "reason": reason} {
				if value != "" {
					got[key] = value
				}
			}
			if err := need(got, "artifact", "environment", "version"); err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if got["version"] == "local" {
				if got["version"], err = s.upload(cmd.Context(), c, got["artifact"]); err != nil {
					return err
				}
			}
			d, err := c.Deploy(cmd.Context(), got["artifact"], got["environment"], got["version"], got["reason"], dryRun)
			if err != nil {
				return err
			}
			if dryRun || noWait {
				return s.show(d, func(w io.Writer) { deployTable(w, d) })
			}
			return s.await(cmd.Context(), c, d)
		},
	}
	f := cmd.Flags()
	f.StringVar(&artifact, "artifact", "", "same as artifact=")
	f.StringVar(&environment, "environment", "", "same as environment=")
	f.StringVar(&version, "version", "", "same as version=")
	f.StringVar(&reason, "reason", "", "why; kept in the journal")
	f.BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&noWait, "no-wait", false, "don't wait until it serves")
	return cmd
}

// errUploadOver ends packing when the server wants no more.
var errUploadOver = errors.New("the upload is over")

// upload packs what is in this folder as a local version.
func (s *session) upload(ctx context.Context, c *client.Client, artifact string) (string, error) {
	s.progress("Building what is in this folder …")
	read, write := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := s.Pack(ctx, ".", artifact, write, s.Stderr)
		write.CloseWithError(err)
		packed <- err
	}()
	version, err := c.Upload(ctx, artifact, read)
	read.CloseWithError(errUploadOver)
	// If packing failed, the server's answer only tells of half an upload.
	if failed := <-packed; failed != nil && !errors.Is(failed, errUploadOver) {
		return "", failed
	}
	return version, err
}

func deployTable(w io.Writer, d client.Deploy) {
	if d.ID == 0 { // a dry run
		fmt.Fprintf(w, "%s %s to %s would:\n", d.Service, d.Version, d.Environment)
		for _, step := range d.Steps {
			fmt.Fprintf(w, "  %s\n", step.Name)
		}
		if len(d.Steps) == 0 {
			fmt.Fprintln(w, "  change nothing, it serves already")
		}
		return
	}
	row(w, "DEPLOY", "SERVICE", "ENVIRONMENT", "VERSION", "STATE", "STEP")
	row(w, d.ID, d.Service, d.Environment, d.Version, d.State, d.Step)
	if len(d.Steps) > 0 {
		row(w)
		row(w, "STEP", "STATE", "TOOK")
		for _, step := range d.Steps {
			row(w, step.Name, step.State, short(time.Duration(step.Took*float64(time.Second))))
			for _, line := range step.Log {
				row(w, "  "+line)
			}
		}
	}
}

// await follows a deploy to its end.
func (s *session) await(ctx context.Context, c *client.Client, d client.Deploy) error {
	start, step := time.Now(), ""
	for d.State == "queued" || d.State == "running" {
		if d.Step != "" && d.Step != step {
			step = d.Step
			s.progress("%5s  %s", short(time.Since(start)), step)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("deploy %d goes on without this command: %w", d.ID, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
		var err error
		if d, err = c.DeployByID(ctx, d.ID); err != nil {
			return err
		}
	}
	if d.State != "passed" {
		return deployFailure(d)
	}
	return s.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s serves in %s (deploy %d, %s)\n", d.Service, d.Version, d.Environment, d.ID, short(time.Since(start)))
	})
}

func deployFailure(d client.Deploy) error {
	text := fmt.Sprintf("deploy %d: %s %s to %s %s", d.ID, d.Service, d.Version, d.Environment, d.State)
	if f := d.Failure; f != nil {
		text += ": " + f.Message
		if f.Probe != "" {
			text += "\n  probe: " + f.Probe
		}
		if len(f.Log) > 0 {
			text += "\n  last lines of its log:\n    " + strings.Join(f.Log, "\n    ")
		}
	}
	if d.Previous != "" {
		text += fmt.Sprintf("\n  %s still serves", d.Previous)
	}
	return fault.New(fault.Conflict, "%s", text)
}

func (s *session) rollback() *cobra.Command {
	var reason, to string
	cmd := &cobra.Command{
		Use:     "rollback artifact=NAME environment=NAME [version=VERSION]",
		Short:   "Go back to an earlier version",
		Long:    "Go back to an earlier version, by default the one before. It is instant while\nthe earlier version's nodes are still warm.",
		Example: "  steer rollback artifact=catalog environment=production --reason 'prices are wrong'",
		Args:    cobra.MaximumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, err := pairs(args, "artifact", "environment", "version")
			if err != nil {
				return err
			}
			if err := need(got, "artifact", "environment"); err != nil {
				return err
			}
			if to != "" {
				got["version"] = to
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			d, err := c.Rollback(cmd.Context(), got["artifact"], got["environment"], got["version"], reason)
			if err != nil {
				return err
			}
			return s.await(cmd.Context(), c, d)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the journal")
	cmd.Flags().StringVar(&to, "to", "", "same as version=")
	return cmd
}

// runArgs is what approve, reject and retry act on: a run's number and a stage.
func (s *session) decide(use, short, verb string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: use + " RUN STAGE", Short: short, Args: exactly("the run's number and the stage (see 'steer runs')", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			number, err := numbered("run", args[0], "steer runs")
			if err != nil {
				return err
			}
			run, err := c.Decide(cmd.Context(), number, args[1], verb, reason)
			if err != nil {
				return err
			}
			return s.show(run, func(w io.Writer) { runTable(s, w, run) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the journal")
	return cmd
}

func (s *session) approve() *cobra.Command {
	return s.decide("approve", "Let a waiting stage go on", "approve")
}

func (s *session) reject() *cobra.Command {
	return s.decide("reject", "Stop a run at a waiting stage", "reject")
}

func (s *session) retry() *cobra.Command {
	return &cobra.Command{
		Use: "retry RUN", Short: "Run again from the failed stage", Args: exactly("the run's number", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			number, err := numbered("run", args[0], "steer runs")
			if err != nil {
				return err
			}
			run, err := c.Retry(cmd.Context(), number)
			if err != nil {
				return err
			}
			return s.show(run, func(w io.Writer) { runTable(s, w, run) })
		},
	}
}

// simple is a command that posts key=value words and says that it is done.
func (s *session) simple(use, short, path, done string, keys []string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.MaximumNArgs(len(keys)),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, err := pairs(args, keys...)
			if err != nil {
				return err
			}
			if err := need(got, keys...); err != nil {
				return err
			}
			body := map[string]string{"reason": reason}
			for k, v := range got {
				if k == "artifact" {
					k = "service"
				}
				body[k] = v
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := c.Do(cmd.Context(), "POST", "/api/v1"+path, body, nil); err != nil {
				return err
			}
			s.progress(done, got[keys[0]], got[keys[1]])
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the journal")
	return cmd
}

func (s *session) pin() *cobra.Command {
	return s.simple("pin artifact=NAME version=VERSION", "Keep a version out of latest", "/pins", "%s %s is kept out of latest.", []string{"artifact", "version"})
}

func (s *session) unpin() *cobra.Command {
	return s.simple("unpin artifact=NAME version=VERSION", "Let a version be latest again", "/unpins", "%s %s may be latest again.", []string{"artifact", "version"})
}

func (s *session) hold() *cobra.Command {
	return s.simple("hold artifact=NAME environment=NAME", "Stop automation for a service in an environment", "/holds", "%s in %s is held: pipelines and automatic rollback leave it alone.", []string{"artifact", "environment"})
}

func (s *session) release() *cobra.Command {
	return s.simple("release artifact=NAME environment=NAME", "Let automation go on", "/releases", "%s in %s: automation goes on.", []string{"artifact", "environment"})
}

func (s *session) ack() *cobra.Command {
	var comment string
	cmd := &cobra.Command{
		Use: "ack INCIDENT", Short: "Say that you take care of an incident", Args: exactly("the incident's number", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			number, err := numbered("incident", args[0], "steer incident")
			if err != nil {
				return err
			}
			i, err := c.Acknowledge(cmd.Context(), number, comment)
			if err != nil {
				return err
			}
			return s.show(i, func(w io.Writer) { incidentTable(w, i) })
		},
	}
	cmd.Flags().StringVarP(&comment, "comment", "m", "", "what is being done")
	return cmd
}
