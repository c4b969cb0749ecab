package catalog

import (
	"errors"
	"net/mail"
	"net/url"
	"path"
	"slices"
	"strings"

	"steer/base/config"
	"steer/base/id"
)

// Environment is one entry of environments.yaml: a distinct collection of hosts
// and configuration.
type Environment struct {
	Name       id.Environment `yaml:"-" json:"name"`
	Nodes      []NodeGroup    `yaml:"nodes" json:"nodes" doc:"Groups of equal nodes."`
	Driver     string         `yaml:"driver" json:"driver" doc:"What runs the nodes: process (on the server's machine), docker (containers of its Docker engine), hosts (processes of the hosts that the groups name) or kubernetes (pods of a cluster). After a change, the next deploy moves the nodes." default:"process"`
	Kubernetes Cluster        `yaml:"kubernetes" json:"kubernetes,omitzero" doc:"Where driver kubernetes runs the nodes. server.yaml says how that is reached (deploy.kubernetes)."`
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
	Image       string   `yaml:"image" json:"image,omitempty" doc:"Container image that archives run in; default: scratch, an empty one, which is enough for static programs. For drivers docker and kubernetes, which takes it from the registry of Steer."`
	Hosts       []string `yaml:"hosts" json:"hosts,omitempty" doc:"Hosts that the nodes are spread over, by name or group in hosts.yaml, with * and ?. For driver hosts."`
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
	Hours   Hours       `yaml:"hours" json:"hours" doc:"When it works, for steer signs; what is missing is as improve.hours of server.yaml says."`
}

// Contact is one way to reach a team: exactly one field is set.
type Contact struct {
	Email   string `yaml:"email" json:"email,omitempty" doc:"Address."`
	Webhook string `yaml:"webhook" json:"webhook,omitempty" doc:"URL that gets a JSON POST."`
}

// Check says what is wrong with the environment by itself.
func (e Environment) Check() error {
	all := []error{
		oneOf("driver", e.Driver, "process", "docker", "hosts", "kubernetes"), oneOf("strategy", e.Strategy, "bluegreen"),
		duration("watch", e.Watch, 0), duration("warm", e.Warm, 0),
	}
	if e.Kubernetes != (Cluster{}) && e.Driver != "kubernetes" {
		all = append(all, wrong("kubernetes: is for driver kubernetes, and this environment has driver %s", e.Driver))
	}
	if len(e.Nodes) == 0 {
		all = append(all, wrong("nodes: are missing (list at least one group, like - {services: [catalog], number: 2})"))
	}
	for service, images := range e.images() {
		if len(images) > 1 {
			all = append(all, wrong("nodes: %s runs in image %s and in image %s (all its nodes of an environment have the same)", service, images[0], images[1]))
		}
	}
	hosts := map[string][]string{}
	for _, g := range e.Nodes {
		if e.Driver == "hosts" && len(g.Hosts) == 0 {
			all = append(all, wrong("nodes: the group of %s names no hosts (driver hosts needs them, like hosts: [web])", strings.Join(g.Services, ", ")))
			continue
		}
		for _, s := range g.Services {
			if before, ok := hosts[s]; ok && !slices.Equal(before, g.Hosts) {
				all = append(all, wrong("nodes: %s runs on hosts %s and on hosts %s (all its nodes of an environment are spread over the same)", s, strings.Join(before, ", "), strings.Join(g.Hosts, ", ")))
			}
			hosts[s] = g.Hosts
		}
	}
	for _, service := range sorted(e.Config) {
		for _, name := range sorted(e.Config[service]) {
			key, value := "config."+service+"."+name, e.Config[service][name]
			all = append(all, variable(key, name), text(key, value))
			if secret, ok := strings.CutPrefix(value, "secret:"); ok {
				if _, err := id.Parse[id.Service]("secret", secret); err != nil {
					all = append(all, wrong("%s: %w", key, err))
				}
			}
		}
	}
	for _, service := range sorted(e.Publish) {
		for _, name := range sorted(e.Publish[service]) {
			all = append(all, port("publish."+service+"."+name, e.Publish[service][name]))
		}
	}
	return errors.Join(all...)
}

// images are those that the groups of a service name.
func (e Environment) images() map[string][]string {
	r := map[string][]string{}
	for _, g := range e.Nodes {
		for _, s := range g.Services {
			if g.Image != "" && !slices.Contains(r[s], g.Image) {
				r[s] = append(r[s], g.Image)
			}
		}
	}
	return r
}

// Image is the container image that archives of a service run in, "" for an empty one.
func (e Environment) Image(s id.Service) string {
	if images := e.images()[string(s)]; len(images) > 0 {
		return images[0]
	}
	return ""
}

// Hosts are the patterns of hosts that the nodes of a service are spread over.
func (e Environment) Hosts(s id.Service) []string {
	for _, g := range e.Nodes {
		if slices.Contains(g.Services, string(s)) {
			return g.Hosts
		}
	}
	return nil
}

// most is a bound on nodes of one group, against a slip of the keyboard.
const most = 1000

// Check says what is wrong with the group.
func (g NodeGroup) Check() error {
	var all []error
	if strings.HasPrefix(g.Image, "-") || strings.ContainsAny(g.Image, " \t\n?#&%") {
		all = append(all, wrong("image: %q is no name of a container image", g.Image))
	}
	if g.Number < 1 || g.Number > most {
		all = append(all, wrong("number: %d nodes are not between 1 and %d", g.Number, most))
	}
	for _, p := range g.Hosts {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			all = append(all, wrong("hosts: %q is no pattern of hosts", p))
		}
	}
	if len(g.Services) == 0 {
		all = append(all, wrong("services: are missing (list what runs on these nodes, like [catalog])"))
	}
	seen := map[string]bool{}
	for i, s := range g.Services {
		if seen[s] {
			all = append(all, wrong("%s: %q stands twice", at("services", i), s))
		}
		seen[s] = true
		if _, err := id.Parse[id.Service]("service", s); err != nil {
			all = append(all, wrong("%s: %w", at("services", i), err))
		}
	}
	return errors.Join(all...)
}

// Check says what is wrong with the service by itself.
func (s Service) Check() error {
	var all []error
	var by []string
	for key, value := range map[string]string{"puppet_manifest": s.PuppetManifest, "ansible_playbook": s.AnsiblePlaybook, "role": s.Role} {
		if value != "" {
			by = append(by, key)
		}
	}
	if len(by) > 1 {
		all = append(all, wrong("only one of puppet_manifest, ansible_playbook and role can configure its hosts, %d are given", len(by)))
	}
	if err := repository(s.Repository); err != nil {
		all = append(all, err)
	}
	if strings.HasPrefix(s.Branch, "-") || strings.Contains(s.Branch, "..") || strings.ContainsAny(s.Branch, " ~^:?*[\\\t\n") || s.Branch != path.Clean(s.Branch) {
		all = append(all, wrong("branch: %q is no name of a Git branch", s.Branch))
	}
	return errors.Join(all...)
}

// repository accepts the addresses of Git that name a place. Others, like
// ext::COMMAND, would run programs on the server.
func repository(s string) error {
	if s == "" || strings.HasPrefix(s, "/") {
		return nil
	}
	if u, err := url.Parse(s); err == nil && u.Scheme != "" && strings.Contains(s, "://") {
		switch u.Scheme {
		case "http", "https", "ssh", "git":
			if u.Hostname() != "" && !strings.HasPrefix(u.Hostname(), "-") {
				return nil
			}
		case "file":
			return nil
		}
	} else if host, file, ok := strings.Cut(s, ":"); ok && host != "" && file != "" && !strings.ContainsAny(host, "/ ") && !strings.HasPrefix(host, "-") && !strings.HasPrefix(file, ":") {
		return nil // user@host:path
	}
	return wrong("repository: %q is no address of a Git repository (write https://…, ssh://…, user@host:path or an absolute path)", s)
}

// Check says what is wrong with the contact.
func (c Contact) Check() error {
	switch {
	case c.Email != "" && c.Webhook != "":
		return wrong("email and webhook are both given (make two contacts of them)")
	case c.Email != "":
		if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email {
			return wrong("email: %q is no address (write name@example.com)", c.Email)
		}
	case c.Webhook != "":
		if u, err := url.Parse(c.Webhook); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return wrong("webhook: this is no URL (write https://HOST/PATH)")
		}
	default:
		return wrong("the contact is empty (give it email or webhook)")
	}
	return nil
}
