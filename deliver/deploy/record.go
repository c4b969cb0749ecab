package deploy

import (
	"fmt"
	"strings"
	"time"

	"steer/base/id"
	"steer/catalog"
)

// Kinds of deploys.
const (
	KindDeploy       = "deploy"
	KindRollback     = "rollback"
	KindAutoRollback = "auto-rollback" // a check of the service turned critical
)

// States of deploys.
const (
	Queued  = "queued"
	Running = "running"
	Passed  = "passed"
	Failed  = "failed"  // the version from before serves, or none if there was none
	Planned = "planned" // a dry run: it does not exist
)

// Deploy is one way of a service in an environment from a version to another.
type Deploy struct {
	ID          int64          `json:"id"`
	Service     id.Service     `json:"service"`
	Environment id.Environment `json:"environment"`
	Version     id.Version     `json:"version"`
	Previous    id.Version     `json:"previous,omitempty"` // that served when it was asked for
	Digest      string         `json:"digest,omitempty"`   // of the artifact; known once it runs
	State       string         `json:"state"`
	Kind        string         `json:"kind"`
	Step        string         `json:"step"` // what it does right now, or did last
	Actor       id.Person      `json:"actor"`
	Reason      string         `json:"reason,omitempty"` // why it was asked for
	Automatic   bool           `json:"automatic,omitempty"`
	Unchanged   bool           `json:"unchanged,omitempty"` // there was nothing to do
	Failure     *Failure       `json:"failure,omitempty"`
	Chain       string         `json:"chain"`
	Cause       string         `json:"cause,omitempty"`
	Created     time.Time      `json:"created"`
	Started     *time.Time     `json:"started,omitempty"`
	Finished    *time.Time     `json:"finished,omitempty"`
	Steps       []DeployStep   `json:"steps"`

	force   bool
	release *Release // nil until the artifact was looked up
	event   string   // id of its DeployStarted
}

// DeployStep is one step that a deploy took.
type DeployStep struct {
	Name  string    `json:"name"`  // "start node 1 of b12"
	State string    `json:"state"` // running, passed, failed; planned in a dry run
	At    time.Time `json:"at"`
	Took  float64   `json:"took"`          // seconds
	Log   []string  `json:"log,omitempty"` // the last lines of a command's output
}

// Failure is why a deploy failed, as far as one can tell at once.
type Failure struct {
	Message string   `json:"message"`
	Probe   string   `json:"probe,omitempty"` // what was asked of the node: "GET /healthz"
	Elapsed float64  `json:"elapsed"`         // seconds since the deploy began
	Node    string   `json:"node,omitempty"`
	Log     []string `json:"log"` // the last lines that the node wrote
}

// String is one line.
func (f Failure) String() string {
	for i := len(f.Log) - 1; i >= 0; i-- {
		if last := strings.TrimSpace(f.Log[i]); last != "" {
			return fmt.Sprintf("%s (its last line: %s)", f.Message, last)
		}
	}
	return f.Message
}

// Release is a version together with the configuration that it runs with: all
// that a node needs, but no secrets.
type Release struct {
	ID        string            `json:"id"` // fingerprint of what follows, up to Env
	Version   id.Version        `json:"version"`
	Digest    string            `json:"digest"`
	Run       catalog.Run       `json:"run"`
	Env       map[string]string `json:"env"` // of the environment: values may be secret:NAME
	Fixed     map[string]int    `json:"fixed,omitempty"`
	Commit    string            `json:"commit,omitempty"`
	Committed time.Time         `json:"committed,omitzero"`
	Role      bool              `json:"role,omitempty"`   // hosts follow it; no nodes run it
	Driver    string            `json:"driver,omitempty"` // that runs its nodes; empty: process
	Kind      string            `json:"kind,omitempty"`   // of the artifact, for that driver
	Image     string            `json:"image,omitempty"`  // that an archive runs in
	Hosts     []string          `json:"hosts,omitempty"`  // patterns of hosts that nodes may run on
	Cluster   catalog.Cluster   `json:"cluster,omitzero"`
}

// Placement is a service in an environment as it is now.
type Placement struct {
	Service     id.Service        `json:"service"`
	Environment id.Environment    `json:"environment"`
	Version     id.Version        `json:"version"`            // that serves; "" before the first deploy has passed
	Previous    id.Version        `json:"previous,omitempty"` // that a rollback goes back to
	Since       time.Time         `json:"since,omitzero"`     // when Version came
	Deploy      int64             `json:"deploy"`             // that brought it, or that is on its way
	Number      int               `json:"number"`             // of nodes that should serve
	Nodes       []Node            `json:"nodes"`
	Address     map[string]string `json:"address"`         // host:port of the load balancer by name of the port
	State       string            `json:"state"`           // serving, degraded, down, deploying
	Watch       *time.Time        `json:"watch,omitempty"` // until then a critical check takes the version back
	Warm        *time.Time        `json:"warm,omitempty"`  // until then Previous stays ready
	Pinned      []id.Version      `json:"pinned,omitempty"`
	Hold        *Hold             `json:"hold,omitempty"`
}

// States of placements.
const (
	Serving   = "serving"   // as many healthy nodes as there should be
	Degraded  = "degraded"  // fewer, but some
	Down      = "down"      // none
	Deploying = "deploying" // a deploy is under way
)

// Node is one node as people see it.
type Node struct {
	ID       string            `json:"id"`
	Index    int               `json:"index"`
	Host     string            `json:"host,omitempty"` // that it runs on; empty: the server's machine
	Version  id.Version        `json:"version"`
	State    string            `json:"state"` // starting, healthy, unhealthy, draining, dead
	Serving  bool              `json:"serving"`
	Reason   string            `json:"reason,omitempty"` // why it is not healthy
	Ports    map[string]int    `json:"ports"`
	Address  map[string]string `json:"address"`
	PID      int               `json:"pid,omitempty"`
	Started  time.Time         `json:"started,omitzero"`
	Restarts int               `json:"restarts"`
	LastExit string            `json:"last_exit,omitempty"`
}

// Pin keeps a version out of "latest".
type Pin struct {
	Service id.Service `json:"service"`
	Version id.Version `json:"version"`
	By      id.Person  `json:"by"`
	Reason  string     `json:"reason"`
	Since   time.Time  `json:"since"`
}

// Hold keeps automation away from a placement.
type Hold struct {
	Service     id.Service     `json:"service"`
	Environment id.Environment `json:"environment"`
	By          id.Person      `json:"by"`
	Reason      string         `json:"reason"`
	Since       time.Time      `json:"since"`
}

// place names a placement.
type place struct {
	environment id.Environment
	service     id.Service
}

func (p place) String() string { return string(p.service) + " in " + string(p.environment) }
