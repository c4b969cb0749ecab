package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

func genManifest() *rapid.Generator[catalog.Manifest] {
	return rapid.Custom(func(t *rapid.T) catalog.Manifest {
		m := catalog.Manifest{Service: "catalog"}
		if rapid.Bool().Draw(t, "artifact") {
			m.Artifact.Paths = []string{"out"}
			m.Artifact.Build = rapid.SampledFrom([]string{"", "make"}).Draw(t, "build")
		}
		for i := range rapid.IntRange(1, 5).Draw(t, "stages") {
			s := catalog.Stage{Name: fmt.Sprintf("s%d", i), Manual: rapid.Bool().Draw(t, "manual")}
			s.Run = rapid.SampledFrom([]string{"", "test"}).Draw(t, "run")
			if len(m.Artifact.Paths) > 0 {
				s.Deploy = rapid.SampledFrom([]id.Environment{"", "ci"}).Draw(t, "deploy")
			}
			m.Pipeline = append(m.Pipeline, s)
		}
		return m
	})
}

// A world that performs decisions in every way that the real one can: commands
// and deploys pass or fail, Steer dies in the middle, people approve or reject.
// Whatever happens, a run comes to an end that is right.
func TestNextProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genManifest().Draw(t, "manifest")
		r := Run{ID: 1, Service: "catalog", Version: "b1", State: Queued}
		asked, begun := map[int]bool{}, map[int]int{}
		for step := 0; ; step++ {
			if step > 200 {
				t.Fatal("the run does not end")
			}
			d := Next(r)
			if d.Action == None {
				break
			}
			for i := range d.Stage { // nothing happens before its turn
				if d.Action != Finish && r.Stages[i].State != Passed {
					t.Fatalf("%+v while stage %d is %s", d, i, r.Stages[i].State)
				}
			}
			switch d.Action {
			case Begin:
				r.State = Running
			case Plan:
				list, err := stages(m, "catalog")
				if err != nil {
					t.Fatal(err)
				}
				r.Manifest, r.Stages = &m, list
			case Open:
				if s := &r.Stages[d.Stage]; s.Manual && s.ApprovedBy == "" {
					t.Fatal("a manual stage begins without approval")
				}
				r.Stages[d.Stage].State = Running
			case Ask:
				asked[d.Stage] = true
				r.Stages[d.Stage].State, r.State = Waiting, Waiting
			case Await:
				s := &r.Stages[d.Stage]
				switch rapid.SampledFrom([]string{"approve", "reject", "supersede"}).Draw(t, "decision") {
				case "approve":
					s.State, s.ApprovedBy, r.State = Pending, "ada", Queued
				case "reject":
					s.State, s.Reason = Failed, "rejected by ada: no"
				case "supersede":
					s.State, s.Reason = Skipped, "superseded by b2"
				}
			case Execute:
				s := &r.Stages[d.Stage]
				if begun[d.Stage]++; d.Pack && d.Stage != 0 || !d.Pack && !d.Command && s.Command != "" {
					t.Fatalf("%+v", d)
				}
				s.Attempt++
				switch rapid.SampledFrom([]string{"pass", "pass", "fail", "die"}).Draw(t, "end") {
				case "pass":
					if d.Pack {
						r.Digest = "sha256:1"
					}
					s.Ran, s.Attempt = d.Command || s.Deploy == "", 0
				case "fail":
					s.State, s.Reason = Failed, "no"
				}
			case Deploy:
				if r.Digest == "" {
					t.Fatal("a deploy before there is an artifact")
				}
				r.Stages[d.Stage].DeployID = 7
			case AwaitDeploy:
				s := &r.Stages[d.Stage]
				switch rapid.SampledFrom([]string{"wait", "pass", "fail"}).Draw(t, "deployed") {
				case "pass":
					s.Deployed = true
				case "fail":
					s.State, s.Reason = Failed, "unhealthy"
				}
			case Close:
				r.Stages[d.Stage].State, r.Stages[d.Stage].Reason = d.State, d.Reason
			case Finish:
				r.State, r.Reason = d.State, d.Reason
			default:
				t.Fatalf("unknown %+v", d)
			}
		}
		passed := true
		for i, s := range r.Stages {
			if s.Manual && s.State == Passed && !asked[i] {
				t.Errorf("stage %d passed without a question", i)
			}
			if passed && s.State == Passed && (s.Deploy != "" && !s.Deployed || s.Command != "" && !s.Ran) {
				t.Errorf("stage %d passed without its work: %+v", i, s)
			}
			if s.Deployed && s.DeployID == 0 || s.Attempt > attempts {
				t.Errorf("stage %d: %+v", i, s)
			}
			if passed = passed && s.State == Passed; !passed && s.State == Passed {
				t.Errorf("stage %d passed after one that did not", i)
			}
		}
		superseded := strings.Contains(r.Reason, "superseded")
		if (r.State == Passed) != (passed || superseded) || r.State == Failed && r.Reason == "" {
			t.Errorf("run %s (%s), stages %+v", r.State, r.Reason, r.Stages)
		}
		if r.State == Passed && !superseded && r.builds() && r.Digest == "" {
			t.Error("the run passed without an artifact")
		}
		if r.State == Passed && !superseded && r.builds() != Green(r) || r.State == Failed && Green(r) {
			t.Errorf("green is %v: %+v", Green(r), r)
		}
	})
}

func TestGreen(t *testing.T) {
	stage := func(state string, deploy id.Environment, manual bool) Stage {
		return Stage{State: state, Deploy: deploy, Manual: manual}
	}
	for name, c := range map[string]struct {
		digest string
		stages []Stage
		want   bool
	}{
		"nothing stored":           {"", []Stage{stage(Passed, "", false)}, false},
		"all passed":               {"d", []Stage{stage(Passed, "", false), stage(Passed, "ci", false)}, true},
		"before the deploy":        {"d", []Stage{stage(Passed, "", false), stage(Running, "ci", false)}, true},
		"tests still run":          {"d", []Stage{stage(Passed, "", false), stage(Running, "", false), stage(Pending, "ci", false)}, false},
		"a person is not awaited":  {"d", []Stage{stage(Passed, "", false), stage(Waiting, "", true), stage(Pending, "ci", false)}, true},
		"acceptance failed":        {"d", []Stage{stage(Passed, "", false), stage(Failed, "ci", false)}, false},
		"first stage deploys":      {"d", []Stage{stage(Running, "ci", false)}, true},
		"canceled before it ended": {"d", []Stage{stage(Passed, "", false), stage(Skipped, "", false)}, false},
	} {
		if got := Green(Run{Digest: c.digest, Stages: c.stages}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestBadManifests(t *testing.T) {
	built := catalog.Artifact{Paths: []string{"out"}}
	for want, m := range map[string]catalog.Manifest{
		`steer.yaml: service is "shop", but this repository is that of "catalog"`: {Service: "shop"},
		`steer.yaml: there is nothing to do`:                                      {Service: "catalog"},
		`steer.yaml: pipeline: stage 2: stage name "a b"`:                         {Service: "catalog", Pipeline: []catalog.Stage{{Name: "a"}, {Name: "a b"}}},
		`steer.yaml: pipeline: two stages are named "a"`:                          {Service: "catalog", Pipeline: []catalog.Stage{{Name: "a"}, {Name: "a"}}},
		`steer.yaml: pipeline: stage a deploys to ci, but there is no artifact`:   {Service: "catalog", Pipeline: []catalog.Stage{{Name: "a", Deploy: "ci"}}},
	} {
		if _, err := stages(m, "catalog"); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
	list, err := stages(catalog.Manifest{Service: "catalog", Artifact: built}, "catalog")
	if err != nil || len(list) != 1 || list[0].Name != "build" {
		t.Errorf("no pipeline: %+v, %v", list, err)
	}
}
