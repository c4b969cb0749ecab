package fleet

import (
	"time"
)

// Overview is everything at a glance.
type Overview struct {
	Hosts     []Host      `json:"hosts"` // by group and name
	Groups    []Group     `json:"groups"`
	Pauses    []Pause     `json:"pauses"`
	Unmanaged []Unmanaged `json:"unmanaged"` // found by providers and in declared networks, and in no definition
	Habits    Habits      `json:"habits"`
}

// Unmanaged is a host that nobody manages.
type Unmanaged struct {
	Address string    `json:"address"`
	Name    string    `json:"name,omitempty"` // of one that Steer made, and can destroy
	Found   string    `json:"found"`          // how: docker, network
	What    string    `json:"what,omitempty"`
	Seen    time.Time `json:"seen"`
}

// Habits are the signs of automation that is trusted, or feared (IAC-14), over the
// last seven days.
type Habits struct {
	Visits     int     `json:"visits"`      // that changed or compared hosts
	Unattended float64 `json:"unattended"`  // share of those that nobody asked for
	Narrow     int     `json:"narrow"`      // by hand, for some hosts of a group or some resources only
	Around     int     `json:"around"`      // drift: changes that were made around the tool
	Late       int     `json:"late"`        // hosts that were not visited for twice their interval
	PausedFor  string  `json:"paused_for"`  // the longest pause under way
	OldestPlan string  `json:"oldest_plan"` // the change that waits longest for somebody
}

// Detail is one host with its history.
type Detail struct {
	Host     Host      `json:"host"`
	Drifts   []Drift   `json:"drifts"`   // open ones, then the newest others
	Visits   []Visit   `json:"visits"`   // newest first, without their changes
	Tests    []Test    `json:"tests"`    // of the last visit
	Siblings []Sibling `json:"siblings"` // hosts of its group with the same roles
}

// Sibling compares a host with one that should be its equal.
type Sibling struct {
	Host  string `json:"host"`
	Equal bool   `json:"equal"`
	// Differ names the resources whose state is another, at most 100.
	Differ []string `json:"differ,omitempty"`
}

// Tonight is what was done in some time, most important first.
type Tonight struct {
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Visits   int       `json:"visits"`
	Quiet    int       `json:"quiet"`    // visits that found all as declared
	Failed   []Visit   `json:"failed"`   // each with its changes
	Changed  []Visit   `json:"changed"`  // because definitions changed
	Drifted  []Visit   `json:"drifted"`  // put right, or left, without such a change
	Rebuilt  []Visit   `json:"rebuilt"`  // repairs and drills
	Rollouts []Group   `json:"rollouts"` // groups that are not done
	Drifts   []Drift   `json:"drifts"`   // still open
	Late     []Host    `json:"late"`     // hosts that should have been visited
	Pauses   []Pause   `json:"pauses"`
}

// Filter chooses visits.
type Filter struct {
	Host, Group string
	Kind        string
	Since       time.Time
	Limit       int // default 50, at most 500
}

// Request is what somebody asks for.
type Request struct {
	Hosts  []string // names or groups
	Kind   string
	Refs   []string
	Commit string // empty: the one that their group follows
	To     int    // generation, for Back; 0: the one before
}

// Proposal is a commit that makes a drift the declaration.
type Proposal struct {
	Drift  Drift  `json:"drift"`
	File   string `json:"file"` // of the definitions
	Diff   string `json:"diff"` // unified
	Commit string `json:"commit,omitempty"`
	// Affects are the other hosts that the change reaches.
	Affects []string `json:"affects,omitempty"`
}

// Role is a role of the definitions.
type Role struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Document    string   `json:"document"` // Markdown, generated from the definition
	Hosts       []string `json:"hosts"`
	Groups      []string `json:"groups"`
}
