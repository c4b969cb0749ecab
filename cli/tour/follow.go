package tour

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"steer/api/client"
	"steer/base/id"
)

// follow watches a commit's run to its end and says what each stage did.
func (t *tour) follow(ctx context.Context, commit string) (client.Run, error) {
	var run client.Run
	err := t.until(ctx, "its pipeline to start", func(ctx context.Context) (bool, error) {
		runs, err := t.ada.Runs(ctx, sampleName, 10)
		for _, r := range runs {
			if r.Commit == commit {
				run = r
			}
		}
		return run.ID != 0, err
	})
	if err != nil {
		return run, err
	}
	t.notef("run %d: commit %.8s becomes version %s", run.ID, commit, run.Version)
	told := 0 // stages that were told about
	what := "its first stage"
	for {
		err = t.until(ctx, what, func(ctx context.Context) (bool, error) {
			var err error
			run, err = t.ada.Run(ctx, strconv.FormatInt(run.ID, 10))
			return told < len(run.Stages) && run.Stages[told].Finished != nil && run.Stages[told].State != "running" || run.Over(), err
		})
		if err != nil {
			return run, err
		}
		for told < len(run.Stages) && run.Stages[told].State == "passed" {
			t.okf("%s", stageLine(run, told))
			told++
		}
		switch {
		case run.State == "passed":
			return run, nil
		case run.Over():
			return run, fmt.Errorf("run %d %s: %s", run.ID, run.State, run.Reason)
		case told < len(run.Stages):
			what = fmt.Sprintf("stage %s", run.Stages[told].Name)
		default:
			what = "the end of the run"
		}
	}
}

// stageLine says what a stage did.
func stageLine(run client.Run, n int) string {
	s := run.Stages[n]
	var did []string
	if n == 0 {
		did = append(did, "built once")
	}
	if s.Deploy != "" {
		did = append(did, "deployed to "+string(s.Deploy))
	}
	if s.Command != "" {
		command := s.Command
		if c := s.Tests; c != nil && c.Passed > 0 {
			unit := c.Unit
			if c.Passed == 1 {
				unit = strings.TrimSuffix(unit, "s")
			}
			command += fmt.Sprintf(" (%d %s passed)", c.Passed, unit)
		}
		did = append(did, command)
	}
	took := ""
	if s.Started != nil && s.Finished != nil {
		took = brief(s.Finished.Sub(*s.Started))
	}
	return fmt.Sprintf("%-11s %6s   %s", s.Name, took, strings.Join(did, ", "))
}

// verifyDelivery makes sure that the same artifact serves in every environment,
// and finds its address.
func (t *tour) verifyDelivery(ctx context.Context, run client.Run) error {
	digests := map[string]string{}
	for _, s := range run.Stages {
		if s.Deploy == "" {
			continue
		}
		d, err := t.ada.DeployByID(ctx, s.DeployID)
		if err != nil {
			return err
		}
		if d.State != "passed" || d.Version != run.Version {
			return fmt.Errorf("deploy %d of %s to %s is %s with version %s", d.ID, run.Version, s.Deploy, d.State, d.Version)
		}
		digests[d.Digest] += " " + string(s.Deploy)
	}
	if len(digests) != 1 {
		return fmt.Errorf("%s should run the same artifact everywhere, it runs %d: %v", run.Version, len(digests), digests)
	}
	for digest, where := range digests {
		t.okf("the same artifact %.19s… runs in%s", digest, strings.ReplaceAll(where, " "+environment, " and "+environment))
	}
	p, err := t.serving(ctx, run.Version)
	if err != nil {
		return err
	}
	t.address = "http://" + p.Address["http"]
	t.okf("production: %d healthy nodes behind the load balancer at %s", len(p.Nodes), t.address)
	return nil
}

// serving returns production once it serves a version with two healthy nodes.
func (t *tour) serving(ctx context.Context, version id.Version) (client.Placement, error) {
	var found client.Placement
	err := t.until(ctx, fmt.Sprintf("two healthy nodes of %s", version), func(ctx context.Context) (bool, error) {
		now, err := t.ada.Now(ctx)
		if err != nil {
			return false, err
		}
		for _, s := range now.Services {
			for _, p := range s.Placements {
				if s.Service != sampleName || p.Environment != environment || p.Version != version || p.Address["http"] == "" {
					continue
				}
				found = p
				found.Nodes = nil
				for _, n := range p.Nodes {
					if n.Version == version && n.State == "healthy" {
						found.Nodes = append(found.Nodes, n)
					}
				}
				return len(found.Nodes) == 2, nil
			}
		}
		return false, nil
	})
	return found, err
}

// served makes sure that a run's version was deployed to production, whatever has
// become of it since.
func (t *tour) served(ctx context.Context, run client.Run) error {
	deploys, err := t.ada.Deploys(ctx, sampleName, environment, 10)
	if err != nil {
		return err
	}
	for _, d := range deploys {
		if d.Version == run.Version && d.State == "passed" {
			c := t.customers.counted()
			if err := c.error(); err != nil {
				return err
			}
			t.okf("%s took over from %s in production: %d requests until now, none failed", d.Version, d.Previous, c.answered)
			return nil
		}
	}
	return fmt.Errorf("run %d passed, but no deploy of %s to production did", run.ID, run.Version)
}

// newest returns the newest value of a Graphite target in the last minute.
func (t *tour) newest(ctx context.Context, target string) (value float64, ok bool, err error) {
	all, err := t.ada.Render(ctx, target, "-1min", "now", 0)
	for _, s := range all {
		for _, p := range s.Points {
			if p.Value != nil {
				value, ok = *p.Value, true
			}
		}
	}
	return value, ok, err
}

// brief prints a duration for people.
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
