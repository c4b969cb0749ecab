package role

import (
	"errors"
	"fmt"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// FirstStage is the stage that every pipeline of a role begins with: the definitions
// are checked, and compared with the hosts of each environment.
const FirstStage = "commit"

// Stage is one step of a role's pipeline: a deploy, or a test on a throw-away host.
type Stage struct {
	Name      string                `yaml:"stage" json:"stage" doc:"Name, unique in the pipeline; the first one, commit, is always there."`
	Deploy    id.Environment        `yaml:"deploy" json:"deploy,omitempty" doc:"Environment whose hosts get the role. Without it, the role is applied to a throw-away host, tested, and applied again, which must change nothing."`
	Manual    bool                  `yaml:"manual" json:"manual,omitempty" doc:"Wait for a person's approval."`
	Approvers []id.Team             `yaml:"approvers" json:"approvers,omitempty" doc:"Teams whose members may approve; empty: every operator."`
	Image     string                `yaml:"image" json:"image,omitempty" doc:"Container image of the throw-away host." default:"debian:12"`
	Systemd   bool                  `yaml:"systemd" json:"systemd,omitempty" doc:"The throw-away host runs systemd; the image has to have it." default:"false"`
	With      map[string]config.Raw `yaml:"with" json:"-" doc:"Parameters of the role on the throw-away host."`
	Timeout   config.Duration       `yaml:"timeout" json:"timeout,omitempty" doc:"Time the test may take." default:"15m"`
}

// Check says what is wrong with the stage by itself.
func (s Stage) Check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fault.New(fault.Invalid, format, args...)) }
	if s.Name == "" {
		bad("stage: the name of the stage is missing")
	} else if _, err := id.Parse[id.Service]("stage", s.Name); err != nil {
		bad("stage: %w", err)
	}
	if s.Name == FirstStage {
		bad("stage: %s is the stage that is always there (choose another name)", FirstStage)
	}
	if len(s.Approvers) > 0 && !s.Manual {
		bad("approvers: only manual stages are approved (add manual: true)")
	}
	if s.Deploy != "" && (s.Systemd || len(s.With) > 0) {
		bad("systemd and with are about a throw-away host, and this stage deploys (the parameters of hosts are in hosts.yaml)")
	}
	if s.Timeout <= 0 {
		bad("timeout: %s is no time that a test could take", s.Timeout)
	}
	return errors.Join(all...)
}

// Command is the test of the stage as people can run it; empty if it deploys.
func (s Stage) Command(role string) string {
	if s.Deploy != "" {
		return ""
	}
	c := fmt.Sprintf("steer test role %s --image %s", role, s.Image)
	if s.Systemd {
		c += " --systemd"
	}
	return c
}

// checkPipeline looks at the stages together.
func (l *Library) checkPipeline(r *Role) (errs []error) {
	doc := l.docs[r.Name]
	seen := map[string]bool{}
	for i, s := range r.Pipeline {
		key := fmt.Sprintf("pipeline[%d]", i)
		if seen[s.Name] {
			errs = append(errs, doc.Problem(key+".stage", fmt.Sprintf("two stages are called %q (each needs its own name)", s.Name)))
		}
		seen[s.Name] = true
		for p := range s.With {
			if err := r.CheckParameter(p); err != nil {
				errs = append(errs, doc.Problem(key+".with."+p, err.Error()))
			}
		}
	}
	return errs
}
