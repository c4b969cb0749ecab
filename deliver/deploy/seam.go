package deploy

import (
	"context"
	"log/slog"
	"time"

	"steer/base/database"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
)

// Options is what the server hands in. Those marked optional may be nil.
type Options struct {
	DB      *database.DB
	Work    *work.Queue
	Journal *journal.Journal
	Log     *slog.Logger

	Driver   Driver
	Balancer Balancer

	// Artifact returns what was built as a version of a service.
	Artifact func(ctx context.Context, s id.Service, v id.Version) (Artifact, error)
	// Latest returns the newest green version that is not pinned.
	Latest func(ctx context.Context, s id.Service) (id.Version, error)
	// Environment returns an environment, and how many nodes of the service it has.
	// It must not use the database.
	Environment func(e id.Environment, s id.Service) (catalog.Environment, int, error)
	// Versions lists the newest versions of a service, for errors. Optional.
	Versions func(ctx context.Context, s id.Service) ([]id.Version, error)
	// Secret returns a secret of an environment; here it is only asked whether
	// there is one, before anything is started. Optional.
	Secret func(e id.Environment, name string) (string, error)
	// Stats is where nodes send StatsD metrics. Optional.
	Stats func() (host, port string)
	// Hosts follow roles, which are deployed to them. Optional.
	Hosts Hosts
	// Probe asks a node for its health. Optional: HTTP, TCP or process, see Health.
	Probe func(ctx context.Context, n Instance) error
}

// Artifact is a built version.
type Artifact struct {
	Version   id.Version
	Digest    string
	Manifest  catalog.Manifest
	Commit    string
	Committed time.Time
	Chain     string
	Role      bool // it is a role, which hosts follow
}

// Hosts are the hosts that roles are deployed to.
type Hosts interface {
	// Follow has the hosts of a deploy's environment that have its role follow its
	// version. It may be called again.
	Follow(ctx context.Context, y Deploy, commit string) error
	// Followed says in words what they do right now, or that all are done. The error is
	// fault.Conflict with the reason when it went wrong there.
	Followed(ctx context.Context, y Deploy, commit string) (done bool, now string, err error)
	// Withdraw takes back what deploys after the one with this number said.
	Withdraw(ctx context.Context, e id.Environment, s id.Service, after int64) error
	// Nodes are those hosts as people see them, for a version that comes from a commit.
	Nodes(ctx context.Context, e id.Environment, s id.Service, v id.Version, commit string) ([]Node, error)
}

// Balancer is the load balancer before all services.
type Balancer interface {
	// Set sends all requests from now on to these backends, and to no others.
	Set(ctx context.Context, f Frontend) error
	// Drained returns when none of the nodes, which Set took out, has a request
	// under way, or when ctx ends.
	Drained(ctx context.Context, e id.Environment, s id.Service, nodes []string) error
	// Serving lists the nodes of the last Set, also of one before a restart.
	Serving(e id.Environment, s id.Service) []string
	// Address is where callers reach the ports, by name.
	Address(e id.Environment, s id.Service) map[string]string
}

// Frontend is what callers of a service reach.
type Frontend struct {
	Environment id.Environment
	Service     id.Service
	Ports       map[string]Port // by name
	Backends    []Backend
	Health      Health
}

// Port is one address of a frontend.
type Port struct {
	Protocol string // http or tcp
	Fixed    int    // 0: one that the balancer chooses and keeps
}

// Backend is a node behind a frontend.
type Backend struct {
	ID      string
	Version id.Version
	Address map[string]string // host:port by name of the port
}

// Health is how the balancer probes nodes.
type Health struct {
	Path string // empty: a connection is enough
	Port string // name; empty when there are no ports
}
