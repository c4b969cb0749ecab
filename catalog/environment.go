package catalog

import (
	"steer/base/config"
	"steer/base/id"
)

// Environment is one entry of environments.yaml: a distinct collection of hosts
// and configuration.
type Environment struct {
	Name   id.Environment `yaml:"-" json:"name"`
	Nodes  []NodeGroup    `yaml:"nodes" json:"nodes" doc:"Groups of equal nodes."`
	Driver string         `yaml:"driver" json:"driver" doc:"What runs the nodes: process." default:"process"`
	// Config is per service ("all" for every service): environment variables.
	Config   map[string]map[string]string `yaml:"config" json:"config,omitempty" doc:"Environment variables per service (all: every service). secret:NAME takes the value from secrets/ENVIRONMENT/NAME.age."`
	Publish  map[string]map[string]int    `yaml:"publish" json:"publish,omitempty" doc:"Fixed ports of the load balancer, per service and port name; others come from the balancer's range and stay the same."`
	Strategy string                       `yaml:"strategy" json:"strategy" doc:"bluegreen." default:"bluegreen"`
	Watch    config.Duration              `yaml:"watch" json:"watch" doc:"Time after a deploy in which a critical check of the service takes it back." default:"10m"`
	Warm     config.Duration              `yaml:"warm" json:"warm" doc:"Time the previous version's nodes stay up after a deploy, for an instant rollback." default:"10m"`
}

// NodeGroup is one item of an environment's nodes, in the book's words.
type NodeGroup struct {
	AMI         string   `yaml:"ami_id" json:"ami_id,omitempty" doc:"Machine image, for cloud drivers."`
	Image       string   `yaml:"image" json:"image,omitempty" doc:"Container image, for container drivers."`
	Size        string   `yaml:"size" json:"size,omitempty" doc:"Machine size."`
	Credentials string   `yaml:"credentials_name" json:"credentials_name,omitempty" doc:"Which credentials to use."`
	Region      string   `yaml:"region" json:"region,omitempty" doc:"Where."`
	Services    []string `yaml:"services" json:"services" doc:"Services that run on each of these nodes."`
	Number      int      `yaml:"number" json:"number" doc:"How many; more than one are put behind a load balancer." default:"1"`
}

// Service is one entry of services.yaml. It does not vary by environment.
type Service struct {
	Name            string         `yaml:"-" json:"name"`
	Artifact        id.Service     `yaml:"artifact" json:"artifact" doc:"Name in steer.yaml and in deploy artifact=…; default: the entry's name without -service."`
	Repository      string         `yaml:"repository" json:"repository,omitempty" doc:"URL of an external Git repository to poll; empty: hosted here."`
	Branch          string         `yaml:"branch" json:"branch" doc:"Mainline." default:"main"`
	PuppetManifest  string         `yaml:"puppet_manifest" json:"puppet_manifest,omitempty" doc:"Puppet manifest that configures its hosts."`
	AnsiblePlaybook string         `yaml:"ansible_playbook" json:"ansible_playbook,omitempty" doc:"Ansible playbook that configures its hosts."`
	Role            string         `yaml:"role" json:"role,omitempty" doc:"Role that configures its hosts."`
	Connectivity    []Connectivity `yaml:"connectivity" json:"connectivity,omitempty" doc:"Ports and who may call them."`
	Team            id.Team        `yaml:"team" json:"team,omitempty" doc:"Team that owns it; steer.yaml wins."`
}

// Team is one entry of teams.yaml.
type Team struct {
	Name    id.Team     `yaml:"-" json:"name"`
	Members []id.Person `yaml:"members" json:"members" doc:"People."`
	Notify  []Contact   `yaml:"notify" json:"notify" doc:"Where incidents of its services are told."`
}

// Contact is one way to reach a team: exactly one field is set.
type Contact struct {
	Email   string `yaml:"email" json:"email,omitempty" doc:"Address."`
	Webhook string `yaml:"webhook" json:"webhook,omitempty" doc:"URL that gets a JSON POST."`
}
