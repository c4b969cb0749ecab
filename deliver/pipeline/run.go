package pipeline

import (
	"time"

	"steer/base/config"
	"steer/base/id"
	"steer/catalog"
)

// States of a run, and of a stage where it shares the word.
const (
	Queued   = "queued"   // run: will start by itself
	Running  = "running"  // run, stage
	Waiting  = "waiting"  // run, stage: for a person's approval
	Passed   = "passed"   // run, stage
	Failed   = "failed"   // run, stage
	Canceled = "canceled" // run

	Pending = "pending" // stage: not yet its turn
	Skipped = "skipped" // stage: its turn will not come
)

// Run is one commit on its way.
type Run struct {
	ID        int64      `json:"id"`
	Service   id.Service `json:"service"`
	Version   id.Version `json:"version"`
	Repo      string     `json:"repo"`
	Commit    string     `json:"commit"`
	Branch    string     `json:"branch"`
	Author    string     `json:"author"`
	Message   string     `json:"message"`
	Committed time.Time  `json:"committed"`
	Queued    time.Time  `json:"queued"`
	Started   *time.Time `json:"started,omitempty"`
	Finished  *time.Time `json:"finished,omitempty"`
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"` // why it failed or ended early: the first thing a reader needs
	Chain     string     `json:"chain"`
	Digest    string     `json:"digest,omitempty"` // of the artifact, once it is stored
	Green     bool       `json:"green"`            // may be deployed as "latest"; see Green
	Stages    []Stage    `json:"stages"`           // empty until steer.yaml was read

	// Manifest is the steer.yaml of the commit, nil until it was read.
	Manifest *catalog.Manifest `json:"-"`
}

// Stage is one step of a run.
type Stage struct {
	Name           string          `json:"name"`
	State          string          `json:"state"`
	Manual         bool            `json:"manual"`
	Approvers      []id.Team       `json:"approvers,omitempty"`
	ApprovedBy     id.Person       `json:"approved_by,omitempty"`
	ApprovedReason string          `json:"approved_reason,omitempty"`
	Deploy         id.Environment  `json:"deploy,omitempty"`
	DeployID       int64           `json:"deploy_id,omitempty"`
	Deployed       bool            `json:"deployed,omitempty"` // the deploy passed
	Strategy       string          `json:"strategy,omitempty"`
	Command        string          `json:"command,omitempty"`
	Timeout        config.Duration `json:"timeout"`
	Ran            bool            `json:"ran,omitempty"` // the command passed
	Attempt        int             `json:"attempt,omitempty"`
	Reason         string          `json:"reason,omitempty"` // why it failed, was skipped, or does not go on
	Started        *time.Time      `json:"started,omitempty"`
	Finished       *time.Time      `json:"finished,omitempty"`
	ExitCode       *int            `json:"exit_code,omitempty"`
	Tests          *Tests          `json:"tests,omitempty"`
	Log            string          `json:"log,omitempty"` // names its log, once there is one
}

// Tests counts what a stage's command reported.
type Tests struct {
	Unit         string `json:"unit"` // what is counted: tests or packages
	Passed       int    `json:"passed"`
	Failed       int    `json:"failed"`
	Skipped      int    `json:"skipped"`
	FirstFailure string `json:"first_failure,omitempty"`
}

// Over tells whether a run has ended.
func (r Run) Over() bool { return r.State == Passed || r.State == Failed || r.State == Canceled }

// stage returns the position of a stage by name, -1 if there is none.
func (r Run) stage(name string) int {
	for i, s := range r.Stages {
		if s.Name == name {
			return i
		}
	}
	return -1
}

// builds tells whether the service has an artifact.
func (r Run) builds() bool { return r.Manifest != nil && len(r.Manifest.Artifact.Paths) > 0 }
