package deploy

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"steer/base/id"
)

// world is a model of what steps do.
type world struct {
	desired Desired
	nodes   []ActualNode
	started int
}

func (w *world) actual() Actual { return Actual{slices.Clone(w.nodes)} }

// follow takes one step. As in reality it fails if the step cannot be done.
func (w *world) follow(s Step) error {
	switch s.Do {
	case Start:
		w.started++
		w.nodes = append(w.nodes, ActualNode{ID: fmt.Sprintf("new-%03d", w.started), Release: w.desired.Release, Version: s.Version, Index: s.Index})
	case Wait:
		for i, n := range w.nodes {
			if n.Release == w.desired.Release {
				w.nodes[i].Healthy = true
			}
		}
	case Switch:
		chosen := choose(w.desired, w.actual())
		if len(chosen) != w.desired.Number {
			return fmt.Errorf("switch to %d nodes, want %d", len(chosen), w.desired.Number)
		}
		for i, n := range w.nodes {
			w.nodes[i].Serving = chosen[n.Index].ID == n.ID
		}
	case Stop:
		for _, node := range s.Nodes {
			i := slices.IndexFunc(w.nodes, func(n ActualNode) bool { return n.ID == node })
			if i < 0 || w.nodes[i].Serving {
				return fmt.Errorf("stop of %s, which serves or is not there", node)
			}
			w.nodes = slices.Delete(w.nodes, i, i+1)
		}
	}
	return nil
}

func (w *world) serving() (healthy int) {
	for _, n := range w.nodes {
		if n.Serving && n.Healthy {
			healthy++
		}
	}
	return healthy
}

func drawDesired(t *rapid.T, name string) Desired {
	release := rapid.SampledFrom([]string{"r1", "r2", "r3"})
	d := Desired{Release: release.Draw(t, name+" release"), Number: rapid.IntRange(0, 4).Draw(t, name+" number"),
		Keep: rapid.SampledFrom([]string{"", "r1", "r2", "r3"}).Draw(t, name+" keep")}
	d.Version = id.Version("b" + d.Release[1:])
	return d
}

func drawWorld(t *rapid.T) *world {
	w := &world{}
	for i := range rapid.IntRange(0, 8).Draw(t, "nodes") {
		r := rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "release")
		w.nodes = append(w.nodes, ActualNode{ID: fmt.Sprintf("old-%d", i), Release: r, Version: id.Version("b" + r[1:]),
			Index: rapid.IntRange(1, 5).Draw(t, "index"), Healthy: rapid.Bool().Draw(t, "healthy"), Serving: rapid.Bool().Draw(t, "serving")})
	}
	return w
}

// At any point of any plan, also when a plan is left for another one and when
// Steer dies in between, enough healthy nodes serve; and the way always ends.
func TestPlanKeepsServingAndArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			w.desired = drawDesired(t, fmt.Sprint("desired ", round))
			least := min(w.serving(), w.desired.Number)
			steps := Plan(w.desired, w.actual())
			for i := range rapid.IntRange(0, len(steps)).Draw(t, "steps until the crash") {
				if err := w.follow(steps[i]); err != nil {
					t.Fatalf("step %d of %v: %v", i, steps, err)
				}
				if got := w.serving(); got < least {
					t.Fatalf("after step %d of %v: %d healthy nodes serve, before %d", i, steps, got, least)
				}
			}
		}
		least := min(w.serving(), w.desired.Number)
		for i := 0; ; i++ { // one step, then a new plan, as deploys do
			steps := Plan(w.desired, w.actual())
			if len(steps) == 0 {
				break
			}
			if i > 100 {
				t.Fatalf("no end: %v", steps)
			}
			if err := w.follow(steps[0]); err != nil {
				t.Fatal(err)
			}
			if got := w.serving(); got < least {
				t.Fatalf("after %v: %d healthy nodes serve, before %d", steps[0], got, least)
			}
		}
		serving := 0
		for _, n := range w.nodes {
			if n.Serving && n.Release != w.desired.Release || !n.Serving && n.Release != w.desired.Keep {
				t.Fatalf("%+v is left", n)
			}
			if n.Serving {
				serving++
			}
		}
		if serving != w.desired.Number {
			t.Fatalf("%d nodes serve, want %d", serving, w.desired.Number)
		}
	})
}

func TestPlanOfReachedStateIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{desired: drawDesired(t, "desired")}
		for i := range w.desired.Number {
			w.nodes = append(w.nodes, ActualNode{ID: fmt.Sprint(i), Release: w.desired.Release, Index: i + 1, Serving: true,
				Healthy: rapid.Bool().Draw(t, "healthy")}) // illness is not the planner's business
		}
		if w.desired.Keep != "" && w.desired.Keep != w.desired.Release {
			w.nodes = append(w.nodes, ActualNode{ID: "warm", Release: w.desired.Keep, Index: 1})
		}
		if steps := Plan(w.desired, w.actual()); len(steps) > 0 {
			t.Fatal(steps)
		}
	})
}

func TestPlanReadsWell(t *testing.T) {
	old := Actual{[]ActualNode{{ID: "a", Release: "r1", Version: "b1", Index: 1, Healthy: true, Serving: true}}}
	for _, c := range []struct {
		name    string
		desired Desired
		actual  Actual
		want    []string
	}{
		{"first", Desired{"r1", "b1", 1, ""}, Actual{}, []string{"start node 1 of b1", "wait until 1 node of b1 is healthy", "switch traffic to b1"}},
		{"next, old kept", Desired{"r2", "b2", 2, "r1"}, old,
			[]string{"start node 1 of b2", "start node 2 of b2", "wait until 2 nodes of b2 are healthy", "switch traffic to b2"}},
		{"next", Desired{"r2", "b2", 1, ""}, old,
			[]string{"start node 1 of b2", "wait until 1 node of b2 is healthy", "switch traffic to b2", "let 1 node finish, and stop it"}},
		{"back to warm nodes", Desired{"r0", "b0", 1, "r1"}, Actual{append(slices.Clone(old.Nodes), ActualNode{ID: "w", Release: "r0", Version: "b0", Index: 1, Healthy: true})},
			[]string{"switch traffic to b0"}},
		{"more", Desired{"r1", "b1", 2, ""}, old, []string{"start node 2 of b1", "wait until 2 nodes of b1 are healthy", "switch traffic to b1"}},
		{"none", Desired{}, old, []string{"end the traffic", "let 1 node finish, and stop it"}},
	} {
		var got []string
		for _, s := range Plan(c.desired, c.actual) {
			got = append(got, s.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
