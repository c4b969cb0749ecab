package catalog

import (
	"steer/base/config"
	"steer/base/id"
)

// Manifest is a service's steer.yaml: how it is built, run, delivered and
// watched. It lives in the service's own repository.
type Manifest struct {
	Service     id.Service `yaml:"service" json:"service" doc:"Name of the service."`
	Team        id.Team    `yaml:"team" json:"team" doc:"Team that owns it."`
	Description string     `yaml:"description" json:"description,omitempty" doc:"One sentence for people."`
	Artifact    Artifact   `yaml:"artifact" json:"artifact" doc:"What is built once and promoted unchanged."`
	Run         Run        `yaml:"run" json:"run" doc:"How one node of the service runs."`
	Pipeline    []Stage    `yaml:"pipeline" json:"pipeline" doc:"Stages in order; a failed stage stops the rest."`
	Checks      []Check    `yaml:"checks" json:"checks,omitempty" doc:"What is watched once it runs."`
}

// Artifact says how the artifact is made.
type Artifact struct {
	Kind  string   `yaml:"kind" json:"kind" doc:"archive: the paths below, packed." default:"archive"`
	Build string   `yaml:"build" json:"build" doc:"Shell command that builds it, run in a clean checkout."`
	Paths []string `yaml:"paths" json:"paths" doc:"Files and folders that go into it, relative to the checkout. A single folder or file is packed without the folders above it."`
}

// Run says how one node runs. The command's working directory is the unpacked
// artifact.
type Run struct {
	Command      string            `yaml:"command" json:"command" doc:"Shell command that serves until it gets SIGTERM."`
	Ports        map[string]int    `yaml:"ports" json:"ports,omitempty" doc:"Name to port. A name that starts with http is balanced as HTTP, others as TCP. The node listens on $PORT_<NAME> ($PORT: the first by name, http before others)."`
	Connectivity []Connectivity    `yaml:"connectivity" json:"connectivity,omitempty" doc:"The book's list form of ports."`
	Health       Health            `yaml:"health" json:"health" doc:"When a node counts as healthy."`
	Env          map[string]string `yaml:"env" json:"env,omitempty" doc:"Environment variables that are the same everywhere."`
	Grace        config.Duration   `yaml:"grace" json:"grace" doc:"Time to finish requests after traffic has stopped, before SIGKILL." default:"10s"`
}

// Connectivity opens ports to callers.
type Connectivity struct {
	Protocol string   `yaml:"protocol" json:"protocol" doc:"tcp or udp." default:"tcp"`
	Ports    []int    `yaml:"ports" json:"ports" doc:"Port numbers."`
	Allowed  []string `yaml:"allowed" json:"allowed" doc:"WORLD, or names of services."`
}

// Health says when a node counts as healthy.
type Health struct {
	HTTP   string          `yaml:"http" json:"http,omitempty" doc:"Path that answers 200 to 399 once the node can serve. Without it, an accepted TCP connection is enough; without ports, a running process."`
	Within config.Duration `yaml:"within" json:"within" doc:"Time a new node has to become healthy." default:"30s"`
}

// Stage is one step of a pipeline: a command, a deploy, or both (the deploy
// first, then the command with $STEER_URL naming what was deployed).
type Stage struct {
	Name      string          `yaml:"stage" json:"stage" doc:"Name, unique in the pipeline."`
	Run       string          `yaml:"run" json:"run,omitempty" doc:"Shell command, run in a clean checkout of the commit."`
	Deploy    id.Environment  `yaml:"deploy" json:"deploy,omitempty" doc:"Environment to deploy the artifact to."`
	Manual    bool            `yaml:"manual" json:"manual" doc:"Wait for a person's approval."`
	Approvers []id.Team       `yaml:"approvers" json:"approvers,omitempty" doc:"Teams whose members may approve; empty: every operator."`
	Strategy  string          `yaml:"strategy" json:"strategy,omitempty" doc:"bluegreen (default)."`
	Timeout   config.Duration `yaml:"timeout" json:"timeout" doc:"Time the command may take." default:"15m"`
}
