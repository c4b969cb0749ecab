package pipeline

import (
	"fmt"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

// Action is what a run needs next.
type Action string

// The actions. Those on a stage name it by its position.
const (
	None        Action = "none"         // the run is over
	Begin       Action = "begin"        // leave the queue
	Plan        Action = "plan"         // read steer.yaml and list the stages
	Open        Action = "open"         // begin a stage
	Ask         Action = "ask"          // begin to wait for an approval
	Await       Action = "await"        // go on waiting for an approval
	Execute     Action = "execute"      // run commands in a clean checkout
	Deploy      Action = "deploy"       // ask for a deploy
	AwaitDeploy Action = "await deploy" // see what became of it
	Close       Action = "close"        // end a stage, as State and Reason say
	Finish      Action = "finish"       // end the run, as State and Reason say
)

// Decision is what a run needs next, with the details.
type Decision struct {
	Action  Action
	Stage   int
	Pack    bool // Execute: build before the command, pack after it
	Command bool // Execute: run the stage's command
	State   string
	Reason  string
}

// attempts is how often a stage's commands are begun.
const attempts = 2

// Next decides what a run needs, from its record alone. Whoever performs a
// decision changes the record so that the next one follows.
func Next(r Run) Decision {
	switch {
	case r.Over():
		return Decision{Action: None}
	case r.State == Queued:
		return Decision{Action: Begin}
	case r.Manifest == nil:
		return Decision{Action: Plan}
	}
	for i, s := range r.Stages {
		switch s.State {
		case Passed:
			continue
		case Failed:
			return Decision{Action: Finish, Stage: i, State: Failed, Reason: fmt.Sprintf("%s: %s", s.Name, s.Reason)}
		case Skipped: // a newer version took its place
			return Decision{Action: Finish, Stage: i, State: Passed, Reason: fmt.Sprintf("%s: %s", s.Name, s.Reason)}
		case Waiting:
			return Decision{Action: Await, Stage: i}
		case Pending:
			if s.Manual && s.ApprovedBy == "" {
				return Decision{Action: Ask, Stage: i}
			}
			return Decision{Action: Open, Stage: i}
		}
		return nextInStage(r, i)
	}
	return Decision{Action: Finish, State: Passed}
}

// nextInStage decides for a running stage.
func nextInStage(r Run, i int) Decision {
	s := r.Stages[i]
	pack := i == 0 && r.builds() && r.Digest == ""
	execute := func(pack, command bool) Decision {
		if s.Attempt >= attempts {
			return Decision{Action: Close, Stage: i, State: Failed, Reason: "Steer was stopped twice during this stage"}
		}
		return Decision{Action: Execute, Stage: i, Pack: pack, Command: command}
	}
	switch {
	case s.Deploy == "" && !s.Ran && (pack || s.Command != ""):
		return execute(pack, s.Command != "")
	case s.Deploy != "" && pack:
		return execute(true, false)
	case s.Deploy != "" && s.DeployID == 0:
		return Decision{Action: Deploy, Stage: i}
	case s.Deploy != "" && !s.Deployed:
		return Decision{Action: AwaitDeploy, Stage: i}
	case s.Command != "" && !s.Ran:
		return execute(false, true)
	}
	return Decision{Action: Close, Stage: i, State: Passed}
}

// Green tells whether a version may be deployed where somebody asks for
// "latest": its artifact is stored, all automatic stages before the first deploy
// passed, and no later stage has found it bad.
func Green(r Run) bool {
	if r.Digest == "" {
		return false
	}
	before := true
	for _, s := range r.Stages {
		before = before && s.Deploy == ""
		if s.State == Failed || before && !s.Manual && s.State != Passed {
			return false
		}
	}
	return true
}

// stages lists the stages of a steer.yaml, or says why they cannot run. A
// manifest without a pipeline has one stage, which builds the artifact.
func stages(m catalog.Manifest, service id.Service) ([]Stage, error) {
	bad := func(format string, args ...any) ([]Stage, error) {
		return nil, fault.New(fault.Invalid, "steer.yaml: "+format, args...)
	}
	if m.Service != service {
		return bad("service is %q, but this repository is that of %q (correct one of them)", m.Service, service)
	}
	builds := len(m.Artifact.Paths) > 0
	if len(m.Pipeline) == 0 {
		if !builds {
			return bad("there is nothing to do: it has neither pipeline nor artifact.paths")
		}
		m.Pipeline = []catalog.Stage{{Name: "build"}}
	}
	seen := map[string]bool{}
	list := make([]Stage, len(m.Pipeline))
	for i, s := range m.Pipeline {
		if _, err := id.Parse[string]("stage", s.Name); err != nil {
			return bad("pipeline: stage %d: %w", i+1, err)
		}
		if seen[s.Name] {
			return bad("pipeline: two stages are named %q", s.Name)
		}
		seen[s.Name] = true
		if s.Deploy != "" && !builds {
			return bad("pipeline: stage %s deploys to %s, but there is no artifact (list its files under artifact.paths)", s.Name, s.Deploy)
		}
		if s.Timeout <= 0 {
			s.Timeout = config.Duration(15 * time.Minute)
		}
		list[i] = Stage{
			Name: s.Name, State: Pending, Manual: s.Manual, Approvers: s.Approvers, Deploy: s.Deploy,
			Strategy: s.Strategy, Command: s.Run, Timeout: s.Timeout,
		}
	}
	return list, nil
}
