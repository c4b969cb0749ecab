package deploy

import (
	"cmp"
	"fmt"
	"slices"

	"steer/base/id"
)

// Desired is what should run for a service in an environment.
type Desired struct {
	Release string // fingerprint of version and configuration
	Version id.Version
	Number  int    // of nodes that serve
	Keep    string // release whose nodes stay up without traffic; may be empty
}

// Actual is what runs.
type Actual struct{ Nodes []ActualNode }

// ActualNode is one node.
type ActualNode struct {
	ID      string
	Release string
	Version id.Version
	Index   int // 1 to the number of nodes
	Healthy bool
	Serving bool // gets requests
}

// Action is what a step does.
type Action string

// The actions.
const (
	Start  Action = "start"  // a node of the desired release with Index
	Wait   Action = "wait"   // until the desired nodes are healthy
	Switch Action = "switch" // all traffic to the desired nodes
	Stop   Action = "stop"   // Nodes, once they have no request under way
)

// Step is one step of a plan.
type Step struct {
	Do      Action
	Version id.Version
	Index   int      // of Start
	Number  int      // of nodes of Wait and Switch
	Nodes   []string // of Stop
}

// String is the step for people.
func (s Step) String() string {
	switch s.Do {
	case Start:
		return fmt.Sprintf("start node %d of %s", s.Index, s.Version)
	case Wait:
		return fmt.Sprintf("wait until %s of %s %s", count(s.Number, "node"), s.Version, map[bool]string{true: "is healthy", false: "are healthy"}[s.Number == 1])
	case Switch:
		if s.Number == 0 {
			return "end the traffic"
		}
		return "switch traffic to " + string(s.Version)
	}
	return fmt.Sprintf("let %s finish, and stop %s", count(len(s.Nodes), "node"), map[bool]string{true: "it", false: "them"}[len(s.Nodes) == 1])
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Plan returns the steps from actual to desired; none if it is reached. A node
// that serves is never stopped, and traffic is only switched to a full set of
// healthy nodes. So however far the plan is followed, not fewer healthy nodes
// serve than before, or than are desired if that is fewer.
//
// Nodes that serve stay the desired ones when they fall ill: bringing them back is
// up to the driver, and leaving them out of the traffic up to the load balancer.
func Plan(desired Desired, actual Actual) []Step {
	chosen := choose(desired, actual)
	var steps []Step
	ready, settled := true, true
	for i := 1; i <= desired.Number; i++ {
		n, ok := chosen[i]
		if !ok {
			steps = append(steps, Step{Do: Start, Version: desired.Version, Index: i})
		}
		ready = ready && ok && n.Healthy
		settled = settled && ok && n.Serving
	}
	var extra []string
	for _, n := range actual.Nodes {
		if c, ok := chosen[n.Index]; ok && c.ID == n.ID {
			continue
		}
		settled = settled && !n.Serving
		if n.Release != desired.Keep || n.Release == desired.Release {
			extra = append(extra, n.ID)
		}
	}
	if !settled {
		if !ready {
			steps = append(steps, Step{Do: Wait, Version: desired.Version, Number: desired.Number})
		}
		steps = append(steps, Step{Do: Switch, Version: desired.Version, Number: desired.Number})
	}
	if len(extra) > 0 {
		steps = append(steps, Step{Do: Stop, Nodes: extra})
	}
	return steps
}

// choose takes the node for each place from 1 to the desired number: of those of
// the desired release one that serves, else the oldest (ids of one place grow). Health does not
// matter, so that the choice stays the same while nodes come up.
func choose(desired Desired, actual Actual) map[int]ActualNode {
	chosen := map[int]ActualNode{}
	for _, n := range slices.SortedFunc(slices.Values(actual.Nodes), better) {
		if _, taken := chosen[n.Index]; !taken && n.Release == desired.Release && n.Index >= 1 && n.Index <= desired.Number {
			chosen[n.Index] = n
		}
	}
	return chosen
}

func better(a, b ActualNode) int {
	if a.Serving != b.Serving {
		return map[bool]int{true: -1, false: 1}[a.Serving]
	}
	return cmp.Compare(a.ID, b.ID)
}
