package deploy

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

// Driver runs nodes: it keeps each one that was started running until it is
// stopped, also over its own restarts and over Steer's. Calls may be repeated.
type Driver interface {
	// Start runs a node, or returns the one with that ID. It does not wait until
	// the node is healthy.
	Start(ctx context.Context, s Spec) (Instance, error)
	// Stop ends a node, with force after Spec.Grace, and returns when it is gone.
	// A node that is not there is no error.
	Stop(ctx context.Context, node string) error
	// List returns the nodes that were started and not stopped, dead ones too.
	List(ctx context.Context) ([]Instance, error)
	// Logs returns the last lines that a node wrote, and with follow what it
	// writes until ctx ends. It also knows nodes that were stopped lately.
	Logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error)
	// Task runs Spec.Command to its end, once, as a node would run but without
	// ports, and writes its output to out. If ctx ends before, the command is ended.
	// What is left of one with the same ID, which an earlier Steer began, is ended
	// first. The error says how the command ended.
	Task(ctx context.Context, s Spec, out io.Writer) error
}

// Spec says how one node runs. It holds no secrets and may be stored: a value of
// Env that begins with "secret:" names one, which the driver looks up when it
// starts a process or makes a container.
type Spec struct {
	ID          string            `json:"id"` // unique for all time
	Environment id.Environment    `json:"environment"`
	Service     id.Service        `json:"service"`
	Version     id.Version        `json:"version"`
	Release     string            `json:"release"` // fingerprint of version and configuration
	Digest      string            `json:"digest"`  // of the artifact
	Index       int               `json:"index"`   // 1 to the number of nodes
	Command     string            `json:"command"` // for /bin/sh, in the unpacked artifact
	Ports       []string          `json:"ports"`   // names; the driver chooses the numbers; $PORT is the first
	Env         map[string]string `json:"env"`
	Grace       time.Duration     `json:"grace"` // between SIGTERM and SIGKILL
	Health      catalog.Health    `json:"health"`
	Created     time.Time         `json:"created"`

	// What follows is for drivers that give a node a system of its own.
	Driver   string          `json:"driver,omitempty"` // that runs it; empty: process
	Kind     string          `json:"kind,omitempty"`   // of the artifact
	Image    string          `json:"image,omitempty"`  // that an archive runs in; empty: an empty one
	Inside   map[string]int  `json:"inside,omitempty"` // port numbers in that system, by name
	Limits   catalog.Limits  `json:"limits,omitzero"`
	User     string          `json:"user,omitempty"`
	ReadOnly bool            `json:"read_only,omitempty"`
	Cluster  catalog.Cluster `json:"cluster,omitzero"`
	Hosts    []string        `json:"hosts,omitempty"` // patterns of hosts that it may run on
}

// Secrets are the names of those it needs, sorted.
func (s Spec) Secrets() []string { return secrets(s.Env) }

// Instance is a node as the driver sees it.
type Instance struct {
	Spec
	Host     string            `json:"host,omitempty"` // that it runs on; empty: this machine
	Running  bool              `json:"running"`        // false: it died, and the driver is about to start it again
	PID      int               `json:"pid,omitempty"`
	Numbers  map[string]int    `json:"numbers"`             // port numbers by name
	Address  map[string]string `json:"address"`             // host:port by name
	Started  time.Time         `json:"started,omitzero"`    // of the newest process
	Restarts int               `json:"restarts"`            // how often it was started again
	LastExit string            `json:"last_exit,omitempty"` // how the process before ended: "exit status 2"
	Waiting  string            `json:"waiting,omitempty"`   // what a node that never ran yet waits for; LastExit tells when that takes too long
	Unsure   string            `json:"unsure,omitempty"`    // why the driver cannot look, and the rest is as it was seen last
}

// StoppedWithSteer is the LastExit of a node that ended because Steer did, in good
// order. It is started again with Steer, and did not die.
const StoppedWithSteer = "stopped with Steer"

const secretPrefix = "secret:"

// Hidden tells whether a value of Spec.Env names a secret.
func Hidden(value string) bool { return strings.HasPrefix(value, secretPrefix) }

// Environ is the environment of a node's process, sorted: that of s, with secrets
// looked up, and PORT and PORT_NAME for its ports.
func Environ(s Spec, numbers map[string]int, secret func(id.Environment, string) (string, error)) ([]string, error) {
	all := maps.Clone(s.Env)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range all {
		name, ok := strings.CutPrefix(v, secretPrefix)
		if !ok {
			continue
		}
		if secret == nil {
			return nil, fault.New(fault.Invalid, "environment variable %s of %s in %s: there are no secrets here", k, s.Service, s.Environment)
		}
		plain, err := secret(s.Environment, name)
		if err != nil {
			return nil, fault.New(fault.Of(err), "environment variable %s of %s in %s: %w", k, s.Service, s.Environment, err)
		}
		all[k] = plain
	}
	for i, name := range s.Ports {
		if i == 0 {
			all["PORT"] = strconv.Itoa(numbers[name])
		}
		all["PORT_"+variable(name)] = strconv.Itoa(numbers[name])
	}
	r := make([]string, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		r = append(r, k+"="+all[k])
	}
	return r, nil
}

// variable makes a port's name fit for an environment variable.
func variable(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, name)
}

// Sort brings nodes into the order of Driver.List: by place, then by age.
func Sort(nodes []Instance) {
	slices.SortFunc(nodes, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Service, b.Service), a.Created.Compare(b.Created), cmp.Compare(a.Index, b.Index), cmp.Compare(a.ID, b.ID))
	})
}
