package pipeline

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
)

// change is one transaction on one run. Events are collected and appended last,
// because they hold the journal's lock.
type change struct {
	*record
	p      *Pipeline
	ctx    context.Context
	tx     *sql.Tx
	events []event.Event
	leaves bool      // the run makes room for the next one in line
	goesOn bool      // the run gets a job
	others []*change // other runs that change in the same transaction
}

func (c *change) now() *time.Time {
	t := database.Time(database.Micros(c.p.Now()))
	return &t
}

// Data of the events of a run.
type (
	// RunData is the data of run events.
	RunData struct {
		Run     int64  `json:"run"`
		Outcome string `json:"outcome,omitempty"` // finished: success, failure, cancel, error
		Green   bool   `json:"green"`
		Commit  string `json:"commit"`
		Branch  string `json:"branch"`
		Author  string `json:"author"`
		Message string `json:"message"`
	}
	// StageData is the data of stage and approval events.
	StageData struct {
		Run         int64          `json:"run"`
		Stage       string         `json:"stage"`
		Outcome     string         `json:"outcome,omitempty"`  // finished: success, failure, error
		Decision    string         `json:"decision,omitempty"` // approval closed: approved, rejected, superseded, canceled
		Environment id.Environment `json:"environment,omitempty"`
		Deploy      int64          `json:"deploy,omitempty"`
		ExitCode    *int           `json:"exit_code,omitempty"`
		Tests       *Tests         `json:"tests,omitempty"`
		Approvers   []id.Team      `json:"approvers,omitempty"`
	}
)

// tell collects an event about the run.
func (c *change) tell(kind string, actor id.Person, reason, summary string, data any) {
	body, err := json.Marshal(data)
	if err != nil {
		panic("BUG: event data: " + err.Error())
	}
	e := event.Event{
		ID: id.New(), Source: "/steer/pipeline", Type: kind, Subject: fmt.Sprintf("run/%d", c.ID), Summary: summary, Actor: actor, Reason: reason,
		Service: c.Service, Version: c.Version, Chain: c.Chain, Cause: c.Last, Data: body,
	}
	if d, ok := data.(StageData); ok {
		e.Environment = d.Environment
	}
	c.Last = e.ID
	c.events = append(c.events, e)
}

func (c *change) tellRun(kind, outcome, summary string) {
	c.tell(kind, event.Steer, c.Reason, summary, RunData{c.ID, outcome, Green(c.Run), c.Commit, c.Branch, c.Author, c.Message})
}

func (c *change) data(i int) StageData {
	s := c.Stages[i]
	return StageData{Run: c.ID, Stage: s.Name, Environment: s.Deploy, Deploy: s.DeployID}
}

// commit saves what changed, then the events, then the jobs that follow.
func (c *change) commit() error {
	all := append([]*change{c}, c.others...)
	for _, c := range all {
		if err := save(c.ctx, c.tx, c.record); err != nil {
			return fmt.Errorf("save run %d: %w", c.ID, err)
		}
	}
	for _, c := range all {
		for i := range c.events {
			if err := c.p.Journal.Append(c.ctx, c.tx, &c.events[i]); err != nil {
				return err
			}
		}
	}
	for _, c := range all {
		if c.goesOn {
			if err := c.p.enqueue(c.ctx, c.tx, c.ID); err != nil {
				return err
			}
		}
		if c.leaves {
			if err := c.p.next(c.ctx, c.tx, c.Service); err != nil {
				return err
			}
		}
	}
	return nil
}

// open begins a stage.
func (c *change) open(i int) {
	s := &c.Stages[i]
	s.State, s.Reason, s.Started = Running, "", c.now()
	if s.Command != "" || i == 0 && c.builds() {
		s.Log = fmt.Sprintf("%d/%s", c.ID, s.Name)
	}
	c.tell(event.StageStarted, cmp.Or(s.ApprovedBy, event.Steer), s.ApprovedReason, fmt.Sprintf("%s %s: stage %s started", c.Service, c.Version, s.Name), c.data(i))
}

// ask begins to wait for a person. The run leaves the line.
func (c *change) ask(i int) {
	s := &c.Stages[i]
	s.State, c.State = Waiting, Waiting
	c.leaves, c.InLine = c.InLine, false
	d := c.data(i)
	d.Approvers = s.Approvers
	c.tell(event.ApprovalCreated, event.Steer, "", fmt.Sprintf("%s %s waits for approval of stage %s", c.Service, c.Version, s.Name), d)
}

// close ends a stage.
func (c *change) close(i int, state, reason string) {
	s := &c.Stages[i]
	s.State, s.Reason, s.Finished = state, reason, c.now()
	d := c.data(i)
	d.ExitCode, d.Tests = s.ExitCode, s.Tests
	d.Outcome = "success"
	if state == Failed {
		d.Outcome = "failure"
		if c.Broken {
			d.Outcome = "error"
		}
	}
	c.tell(event.StageFinished, event.Steer, reason, fmt.Sprintf("%s %s: stage %s %s", c.Service, c.Version, s.Name, state), d)
}

// finish ends the run; stages whose turn did not come are skipped.
func (c *change) finish(state, reason string) {
	c.State, c.Reason, c.Finished = state, reason, c.now()
	c.leaves, c.InLine = c.InLine, false
	for i := range c.Stages {
		if s := &c.Stages[i]; s.State == Pending {
			s.State = Skipped
		}
	}
	outcome := map[string]string{Passed: "success", Failed: "failure", Canceled: "cancel"}[state]
	if state == Failed && c.Broken {
		outcome = "error"
	}
	c.tellRun(event.RunFinished, outcome, fmt.Sprintf("%s %s: run %d %s", c.Service, c.Version, c.ID, state))
}
