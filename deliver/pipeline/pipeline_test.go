package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/base/id"
)

func TestAllTheWay(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, manifest(commit, acceptance, production))
		w.set(func() {
			w.command = func(_ context.Context, j Job) (Result, error) {
				if j.Command == "test" {
					return Result{Tests: &Tests{Unit: "tests", Passed: 3}}, nil
				}
				return Result{}, nil
			}
		})
		r := w.push("catalog")
		if r.Version != "b1" || r.ID != 1 || r.State != Queued {
			t.Errorf("new run %+v", r)
		}
		r = w.state(r.ID, Waiting)
		if !r.Green || r.Digest != "sha256:b1" || r.Stages[2].State != Waiting || r.Stages[1].DeployID != 1 || *r.Stages[0].ExitCode != 0 || r.Stages[0].Tests.Passed != 3 {
			t.Errorf("waiting run %+v", r)
		}
		if _, err := w.Approve(t.Context(), r.ID, "production", "ada", "looks good"); err != nil {
			t.Fatal(err)
		}
		r = w.state(r.ID, Passed)
		w.set(func() {
			if want := []string{"b1 commit make", "b1 commit test", "b1 acceptance smoke"}; !slices.Equal(w.ran, want) {
				t.Errorf("ran %q", w.ran)
			}
			if want := []string{"STEER_ENVIRONMENT=ci", "STEER_URL=http://127.0.0.1:20080"}; !slices.Equal(w.env["acceptance"], want) {
				t.Errorf("environment %q", w.env["acceptance"])
			}
			d := w.deploys[1]
			if d.Environment != "production" || d.Version != "b1" || d.Actor != "ada" || d.Reason != "looks good" || d.Chain != "chain-1" || d.Cause == "" {
				t.Errorf("deploy %+v", d)
			}
			if p := w.packed[0].Stages[0]; p.State != Passed || p.Tests == nil || p.Tests.Passed != 3 {
				t.Errorf("packed with %+v", p)
			}
		})
		list, types := w.events(r.ID)
		if want := "queued started stage closed stage closed ask answer stage closed finished"; types != want {
			t.Errorf("events %s\nwant   %s", types, want)
		}
		for i, e := range list {
			if e.Chain != "chain-1" || e.Service != "catalog" || e.Version != "b1" || i > 0 && e.Cause != list[i-1].ID {
				t.Errorf("event %+v", e)
			}
		}
		var data RunData
		if err := json.Unmarshal(list[len(list)-1].Data, &data); err != nil || data.Run != 1 || data.Outcome != "success" || !data.Green {
			t.Errorf("end %s, %v", list[len(list)-1].Data, err)
		}
		log, err := w.Pipeline.Log(t.Context(), r.ID, "commit")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(log)
		if string(text) != "$ make\n$ test\n[artifact sha256:b1]\n" {
			t.Errorf("log %q", text)
		}
		if follow, err := w.Pipeline.Follow(t.Context(), r.ID, "commit"); err != nil {
			t.Error(err)
		} else if over, _ := io.ReadAll(follow); string(over) != "true" {
			t.Errorf("stage over: %s", over)
		}
		if left, _ := filepath.Glob(filepath.Join(w.opts.Dir, "*", workFolder)); len(left) != 0 {
			t.Errorf("checkouts left: %v", left)
		}
	})
}

func TestFailedStageStopsTheRest(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit, acceptance, production))
	w.command = func(_ context.Context, j Job) (Result, error) {
		if j.Command == "test" {
			return Result{ExitCode: 1, Reason: "TestPrice: pricing_test.go:12: no", Tests: &Tests{Unit: "packages", Failed: 1}}, nil
		}
		return Result{}, nil
	}
	r := w.state(w.push("catalog").ID, Failed)
	if r.Reason != "commit: TestPrice: pricing_test.go:12: no" || r.Green || r.Digest != "" || r.Stages[1].State != Skipped || *r.Stages[0].ExitCode != 1 {
		t.Errorf("%+v", r)
	}
	if _, types := w.events(r.ID); types != "queued started stage closed finished" {
		t.Error(types)
	}
	if _, err := w.Latest(t.Context(), "catalog"); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "pricing_test.go") {
		t.Errorf("latest: %v", err)
	}
	w.set(func() { w.command = nil })
	if _, err := w.Retry(t.Context(), r.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	r = w.state(r.ID, Waiting)
	if !r.Green {
		t.Errorf("after retry %+v", r)
	}
	if _, err := w.Retry(t.Context(), r.ID, "ada"); fault.Of(err) != fault.Conflict {
		t.Errorf("retry of a run that waits: %v", err)
	}
}

func TestBuildFails(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit))
	w.command = func(context.Context, Job) (Result, error) {
		return Result{ExitCode: 2, Reason: "main.go:3: undefined: x"}, nil
	}
	if r := w.state(w.push("catalog").ID, Failed); r.Reason != "commit: build: main.go:3: undefined: x" {
		t.Errorf("%+v", r)
	}
}

func TestFirstStageThatDeploysIsPackedBefore(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(acceptance))
	w.state(w.push("catalog").ID, Passed)
	if want := []string{"b1 acceptance make", "b1 acceptance smoke"}; !slices.Equal(w.ran, want) || len(w.deploys) != 1 || len(w.packed) != 1 {
		t.Errorf("ran %q, deploys %+v", w.ran, w.deploys)
	}
}

func TestBadSteerYaml(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit))
	w.noSteer = fault.New(fault.Invalid, "steer.yaml:3:1: pipelin: unknown key (did you mean \"pipeline\"?)")
	r := w.state(w.push("catalog").ID, Failed)
	if r.Reason != w.noSteer.Error() || len(r.Stages) != 0 {
		t.Errorf("%+v", r)
	}
	list, _ := w.events(r.ID)
	if e := list[len(list)-1]; !strings.Contains(string(e.Data), `"failure"`) || e.Reason != r.Reason {
		t.Errorf("%+v", e)
	}
}

func TestNewerApprovalSupersedesOlder(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, manifest(commit, production))
		one, two, three := w.push("catalog"), w.push("catalog"), w.push("catalog")
		for _, r := range []Run{one, two, three} {
			w.state(r.ID, Waiting)
		}
		if _, err := w.Approve(t.Context(), two.ID, "production", "ada", ""); err != nil {
			t.Fatal(err)
		}
		w.state(two.ID, Passed)
		old := w.state(one.ID, Passed)
		if old.Stages[1].State != Skipped || old.Stages[1].Reason != "superseded by b2" || old.Reason != "production: superseded by b2" {
			t.Errorf("%+v", old)
		}
		if _, types := w.events(one.ID); types != "queued started stage closed ask answer finished" {
			t.Error(types)
		}
		w.state(three.ID, Waiting)
		if len(w.deploys) != 1 || w.deploys[0].Version != "b2" {
			t.Errorf("%+v", w.deploys)
		}
		_, err := w.Approve(t.Context(), one.ID, "production", "ada", "")
		if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "it is skipped, not waiting") {
			t.Errorf("approve the old one: %v", err)
		}
	})
}

func TestDecisionsOfPeople(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit, production))
	r := w.state(w.push("catalog").ID, Waiting)
	if _, err := w.Approve(t.Context(), r.ID, "prod", "ada", ""); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "it has: commit, production") {
		t.Errorf("unknown stage: %v", err)
	}
	if _, err := w.Approve(t.Context(), 99, "production", "ada", ""); fault.Of(err) != fault.NotFound {
		t.Errorf("unknown run: %v", err)
	}
	if _, err := w.Approve(t.Context(), r.ID, "commit", "ada", ""); fault.Of(err) != fault.Conflict {
		t.Errorf("stage that passed: %v", err)
	}
	w.set(func() { w.may = fault.New(fault.Denied, "eve is in none of the teams storefront") })
	if _, err := w.Approve(t.Context(), r.ID, "production", "eve", ""); fault.Of(err) != fault.Denied {
		t.Errorf("not entitled: %v", err)
	}
	w.set(func() { w.may = nil })
	if _, err := w.Reject(t.Context(), r.ID, "production", "ada", " "); fault.Of(err) != fault.Invalid {
		t.Errorf("no reason: %v", err)
	}
	r, err := w.Reject(t.Context(), r.ID, "production", "ada", "wrong prices")
	if err != nil || r.State != Failed || r.Reason != "production: rejected by ada: wrong prices" || r.Green {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = w.Retry(t.Context(), r.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	w.state(r.ID, Waiting) // a decision is not undone by trying again: somebody must approve
}

func TestOrder(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit))
	hold, other := make(chan struct{}), make(chan struct{}, 10)
	w.set(func() {
		w.command = func(ctx context.Context, j Job) (Result, error) {
			if j.Service == "catalog" {
				<-hold
			} else {
				other <- struct{}{}
			}
			return Result{}, nil
		}
	})
	var runs []Run
	for range 3 {
		runs = append(runs, w.push("catalog"))
	}
	w.until(runs[0].ID, "running", func(r Run) bool { return len(r.Stages) > 0 && r.Stages[0].Attempt == 1 })
	w.set(func() { w.manifest.Service = "shop" })
	w.push("shop")
	<-other // another service is not held up
	w.set(func() { w.manifest.Service = "catalog" })
	if r, err := w.Get(t.Context(), runs[1].ID); err != nil || r.State != Queued {
		t.Errorf("the second run does not wait for the first: %+v, %v", r, err)
	}
	close(hold)
	for _, r := range runs {
		w.state(r.ID, Passed)
	}
	if got := strings.Join(w.ran, ", "); strings.Index(got, "b2 commit test") > strings.Index(got, "b3 commit make") {
		t.Error(got)
	}
}

// A run that waits for a person, or for a place, holds nothing.
func TestWaitingRunsHoldNobody(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit, production))
	w.slots = 1
	for range 20 {
		w.push("catalog")
	}
	for run := range int64(20) {
		w.state(run+1, Waiting)
	}
	v, err := w.Versions(t.Context(), "catalog", 5)
	if err != nil || len(v) != 5 || v[0].Version != "b20" {
		t.Errorf("%+v, %v", v, err)
	}
	w.set(func() { w.pinned = []id.Version{"b20", "b19"} })
	if got, err := w.Latest(t.Context(), "catalog"); err != nil || got != "b18" {
		t.Errorf("latest %s, %v", got, err)
	}
	if v, err = w.Versions(t.Context(), "catalog", 1); err != nil || !v[0].Pinned {
		t.Errorf("%+v, %v", v, err)
	}
	runs, err := w.Runs(t.Context(), Filter{State: Waiting, Before: 5, Limit: 2})
	if err != nil || len(runs) != 2 || runs[0].ID != 4 {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestDeploys(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit, acceptance))
	w.deploy = fault.New(fault.Conflict, "deploy catalog to ci: deploy 3 by ada is on its way")
	r := w.push("catalog")
	w.until(r.ID, "waiting for the lock", func(r Run) bool {
		return len(r.Stages) == 2 && r.Stages[1].Reason == "deploy catalog to ci: deploy 3 by ada is on its way"
	})
	w.set(func() { w.deploy, w.deployed = nil, Running })
	w.until(r.ID, "deploying", func(r Run) bool { return r.Stages[1].DeployID == 1 && r.Stages[1].Reason == "" })
	w.stop() // a restart while the deploy goes on
	w.start()
	w.set(func() { w.deployed, w.why = Failed, "node 1 is not healthy after 10s" })
	r = w.state(r.ID, Failed)
	if want := "acceptance: deploy 1 to ci: node 1 is not healthy after 10s"; r.Reason != want || r.Green {
		t.Errorf("%+v, want %s", r, want)
	}
	if len(w.deploys) != 1 {
		t.Errorf("%d deploys", len(w.deploys))
	}
	w.set(func() { w.deployed = Passed })
	newer := w.state(w.push("catalog").ID, Passed)
	_, err := w.Retry(t.Context(), r.ID, "ada")
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), string(newer.Version)+" has been deployed by stage acceptance since") {
		t.Errorf("retry of an old version: %v", err)
	}
	w.set(func() {
		w.deploy = fault.New(fault.NotFound, "deploy catalog to \"ci\": no such environment (known: production)")
	})
	if r = w.state(w.push("catalog").ID, Failed); !strings.Contains(r.Reason, "no such environment") {
		t.Errorf("%+v", r)
	}
	w.set(func() {
		w.deploy = fault.New(fault.Conflict, "deploy 9 is on its way")
		m := acceptance
		m.Timeout = config.Duration(time.Millisecond)
		w.manifest = manifest(commit, m)
	})
	if r = w.state(w.push("catalog").ID, Failed); !strings.Contains(r.Reason, "deploy 9 is on its way (waited 1ms)") {
		t.Errorf("%+v", r)
	}
}

func TestShutdownDoesNotCountAsAttempt(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit))
	w.command = func(ctx context.Context, j Job) (Result, error) {
		<-ctx.Done()
		return Result{}, ctx.Err()
	}
	r := w.push("catalog")
	for range 3 {
		w.until(r.ID, "running", func(r Run) bool { return len(r.Stages) == 1 && r.Stages[0].Attempt == 1 })
		w.stop()
		w.until(r.ID, "put back", func(r Run) bool { return r.Stages[0].Attempt == 0 && r.State == Running })
		w.start()
	}
	w.set(func() { w.command = nil })
	w.stop()
	w.start()
	w.state(r.ID, Passed)
}

// Steer died after the artifact was stored and before that was recorded.
func TestStoredArtifactIsNotBuiltAgain(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit))
	w.artifacts["catalog b1"] = "sha256:stored"
	if r := w.state(w.push("catalog").ID, Passed); r.Digest != "sha256:stored" || len(w.ran) != 0 {
		t.Errorf("%+v, ran %q", r, w.ran)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit, production))
	stopped := make(chan error, 1)
	w.command = func(ctx context.Context, j Job) (Result, error) {
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return Result{}, ctx.Err()
	}
	r, second := w.push("catalog"), w.push("catalog")
	w.until(r.ID, "running", func(r Run) bool { return len(r.Stages) > 0 && r.Stages[0].Attempt == 1 })
	if _, err := w.Cancel(t.Context(), r.ID, "ada", "wrong branch"); err != nil {
		t.Fatal(err)
	}
	<-stopped
	r = w.state(r.ID, Canceled)
	if r.Reason != "canceled by ada: wrong branch" || r.Stages[0].State != Skipped || r.Green {
		t.Errorf("%+v", r)
	}
	if _, err := w.Cancel(t.Context(), r.ID, "ada", ""); fault.Of(err) != fault.Conflict {
		t.Errorf("cancel twice: %v", err)
	}
	w.set(func() { w.command = nil })
	// The second run may have begun with the old command.
	w.until(second.ID, "next", func(r Run) bool { return r.State != Queued })
	if s, _ := w.Get(t.Context(), second.ID); s.State == Running {
		w.stop()
		w.start()
	}
	w.state(second.ID, Waiting)
	if s, err := w.Cancel(t.Context(), second.ID, "ada", ""); err != nil || s.State != Canceled || !s.Green {
		t.Errorf("%+v, %v", s, err)
	}
	if _, types := w.events(second.ID); types != "queued started stage closed ask answer finished" {
		t.Error(types)
	}
	list, _ := w.events(r.ID)
	if e := list[len(list)-1]; !strings.Contains(string(e.Data), `"cancel"`) {
		t.Errorf("%s", e.Data)
	}
}

// What Steer cannot do is no failure of the commit.
func TestBroken(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), manifest(commit))
	w.command = func(context.Context, Job) (Result, error) { return Result{}, fmt.Errorf("run stage commit: disk full") }
	r := w.state(w.push("catalog").ID, Failed)
	list, _ := w.events(r.ID)
	if e := list[len(list)-1]; !strings.Contains(string(e.Data), `"outcome":"error"`) || r.Reason != "commit: run stage commit: disk full" {
		t.Errorf("%s %s", r.Reason, e.Data)
	}
}
