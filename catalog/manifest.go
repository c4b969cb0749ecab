package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

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

// KindImage is the kind of an artifact that is a container image.
const KindImage = "oci-image"

// Artifact says how the artifact is made.
type Artifact struct {
	Kind    string   `yaml:"kind" json:"kind" doc:"archive: the paths below, packed. deb, rpm, packages (both): that, and packages for hosts, which Steer serves as repositories. oci-image: a container image." default:"archive"`
	Base    string   `yaml:"base" json:"base,omitempty" doc:"For oci-image: image that the paths below are put on, in /app: scratch (empty), or the OCI layout or tar of an image in the checkout. Without it the one path is the image: an OCI layout, as a folder or tar, or what docker save writes."`
	Build   string   `yaml:"build" json:"build" doc:"Shell command that builds it, run in a clean checkout."`
	Package *Package `yaml:"package" json:"package,omitempty" doc:"Of the kinds deb, rpm and packages: what the package is like that Steer makes. When the build makes the packages, paths lists them, and this is left out."`
	Paths   []string `yaml:"paths" json:"paths" doc:"Files and folders that go into it, relative to the checkout. A single folder or file is packed without the folders above it."`
}

// Run says how one node runs. The command's working directory is the unpacked
// artifact.
type Run struct {
	Command      string            `yaml:"command" json:"command" doc:"Shell command that serves until it gets SIGTERM."`
	Ports        map[string]int    `yaml:"ports" json:"ports,omitempty" doc:"Name to port. A name that starts with http is balanced as HTTP, others as TCP. The node listens on $PORT_<NAME> ($PORT: the first by name, http before others)."`
	Connectivity []Connectivity    `yaml:"connectivity" json:"connectivity,omitempty" doc:"The book's list form of ports."`
	Health       Health            `yaml:"health" json:"health" doc:"When a node counts as healthy."`
	Env          map[string]string `yaml:"env" json:"env,omitempty" doc:"Environment variables that are the same everywhere."`
	// A migration is no part of how nodes run, so it makes no other release.
	Migrate       string          `yaml:"migrate" json:"migrate,omitempty" doc:"Shell command that brings the database to this version. It runs once in each deploy, in the artifact with the configuration of the environment, before new nodes start. It must be repeatable, and the version before must work with its result."`
	MigrateWithin config.Duration `yaml:"migrate_within" json:"migrate_within,omitempty" doc:"Time that migrate may take." default:"10m"`
	Limits        Limits          `yaml:"limits" json:"limits,omitzero" doc:"What a node may use, for drivers docker and kubernetes."`
	User          string          `yaml:"user" json:"user,omitempty" doc:"User of the node, as USER or UID:GID; default: the image's, for an archive nobody. For drivers docker, hosts and kubernetes, which wants numbers."`
	ReadOnly      bool            `yaml:"read_only" json:"read_only,omitempty" doc:"The node can write to /tmp only, which is in memory. For drivers docker and kubernetes."`

	Grace config.Duration `yaml:"grace" json:"grace" doc:"Time to finish requests after traffic has stopped, before SIGKILL." default:"10s"`
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
	Publish   id.Environment  `yaml:"publish" json:"publish,omitempty" doc:"Environment whose package repository gets the artifact's packages once the stage has passed; a deploy does that by itself."`
	Manual    bool            `yaml:"manual" json:"manual" doc:"Wait for a person's approval."`
	Approvers []id.Team       `yaml:"approvers" json:"approvers,omitempty" doc:"Teams whose members may approve; empty: every operator."`
	Strategy  string          `yaml:"strategy" json:"strategy,omitempty" doc:"bluegreen (default)."`
	Timeout   config.Duration `yaml:"timeout" json:"timeout" doc:"Time the command may take." default:"15m"`
}

// ParseManifest reads a steer.yaml. The error tells everything that is wrong with
// it, with line and column. Each check gets the manifest's service and, unless it
// names another, team; without ports, those of connectivity become ports called
// tcp-NUMBER.
func ParseManifest(file string, data []byte) (Manifest, error) {
	return Reader{}.ParseManifest(file, data)
}

// ParseManifest is the function ParseManifest, with the reader's checks.
func (r Reader) ParseManifest(file string, data []byte) (Manifest, error) {
	var m Manifest
	doc, err := config.Read(file, data, &m)
	if err != nil {
		return Manifest{}, err
	}
	if err := r.ask(doc, "checks", m.Checks); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// CheckManifest says where a manifest names what the catalog does not know:
// environments, teams, services. It is for those who have both; a manifest may
// be pushed before the environment that it names is declared.
func (c *Catalog) CheckManifest(file string, data []byte) error {
	var m Manifest
	doc, err := config.Read(file, data, &m)
	if err != nil {
		return err
	}
	var all []error
	bad := func(key, text string) { all = append(all, doc.Problem(key, text)) }
	if _, err := c.Resolve(string(m.Service)); err != nil {
		bad("service", err.Error()+"; services.yaml of the definitions lists them")
	}
	c.knowsTeam(m.Team, "team", bad)
	for i, s := range m.Pipeline {
		if s.Deploy != "" {
			if _, err := c.Environment(s.Deploy); err != nil {
				bad(at("pipeline", i)+".deploy", err.Error())
			} else if _, n := c.Nodes(s.Deploy, m.Service); n == 0 {
				bad(at("pipeline", i)+".deploy", fmt.Sprintf("environment %s has no nodes for %s (add it to services of a group in environments.yaml)", s.Deploy, m.Service))
			}
		}
		if s.Publish != "" {
			if _, err := c.Environment(s.Publish); err != nil {
				bad(at("pipeline", i)+".publish", err.Error())
			}
		}
		for j, t := range s.Approvers {
			c.knowsTeam(t, at(at("pipeline", i)+".approvers", j), bad)
		}
	}
	for i, k := range m.Checks {
		c.knowsTeam(k.Team, at("checks", i)+".team", bad)
		if _, err := c.Environment(k.Environment); k.Environment != "" && err != nil {
			bad(at("checks", i)+".environment", err.Error())
		}
	}
	for i, r := range m.Run.Connectivity {
		c.knowsCallers(r, at("run.connectivity", i), bad)
	}
	return config.Join(all...)
}

// Check completes the manifest and says what is wrong with it as a whole.
func (m *Manifest) Check() error {
	var all []error
	if m.Service == "" {
		all = append(all, wrong("service: the name of the service is missing"))
	}
	deploys := slices.ContainsFunc(m.Pipeline, func(s Stage) bool { return s.Deploy != "" })
	none := m.Artifact.Kind == KindImage && m.Artifact.Base == "" || !deploys && m.Artifact.Packages() != nil
	if strings.TrimSpace(m.Run.Command) == "" && !none {
		all = append(all, wrong("run.command: is missing (the shell command that serves; only finished images, and packages that no stage deploys, can do without)"))
	}
	stages := map[string]int{}
	for i, s := range m.Pipeline {
		if s.Publish != "" && m.Artifact.Packages() == nil {
			all = append(all, wrong("%s.publish: the artifact has no packages (write artifact.kind: deb, rpm or packages)", at("pipeline", i)))
		}
		if first, ok := stages[s.Name]; ok {
			all = append(all, wrong("%s.stage: %q is the name of stage %d too (each needs its own)", at("pipeline", i), s.Name, first+1))
			continue
		}
		stages[s.Name] = i
	}
	checks := map[string]int{}
	for i := range m.Checks {
		c := &m.Checks[i]
		if c.Service != "" && c.Service != m.Service {
			all = append(all, wrong("%s.service: checks of a steer.yaml are about its own service %s (put others into checks/ of the definitions)", at("checks", i), m.Service))
		}
		c.Service, c.Team = m.Service, cmp.Or(c.Team, m.Team)
		if first, ok := checks[c.Name]; ok {
			all = append(all, wrong("%s.name: %q is the name of check %d too (each needs its own)", at("checks", i), c.Name, first+1))
			continue
		}
		checks[c.Name] = i
	}
	return errors.Join(all...)
}

// Check says what is wrong with how the artifact is made.
func (a Artifact) Check() error {
	all := []error{oneOf("kind", a.Kind, KindArchive, KindDeb, KindRPM, KindPackages, KindImage)}
	switch {
	case a.Package != nil && (a.Kind == KindArchive || a.Kind == KindImage):
		all = append(all, wrong("package: only packages have it (write kind: deb, rpm or packages)"))
	case a.Package != nil && a.Finished():
		all = append(all, wrong("package: the paths are finished packages, which are taken as they are (drop one of the two)"))
	case a.Kind == KindImage && a.Base == "" && len(a.Paths) > 1:
		all = append(all, wrong("paths: an image is one path, %d are given (or give base: the image that they are put on)", len(a.Paths)))
	case a.Kind != KindImage && a.Base != "":
		all = append(all, wrong("base: only images have one (add kind: %s)", KindImage))
	case a.Base != "" && (!fs.ValidPath(path.Clean(a.Base)) || strings.Contains(a.Base, "\\")):
		all = append(all, wrong("base: %q is neither scratch nor a path inside of the checkout", a.Base))
	}
	if len(a.Paths) == 0 {
		all = append(all, wrong("paths: the artifact has no paths (list the files and folders that go into it, like [out/%s])", "NAME"))
	}
	for i, p := range a.Paths {
		if clean := path.Clean(p); p == "" || !fs.ValidPath(clean) || strings.Contains(p, "\\") {
			all = append(all, wrong("%s: %q is no path inside of the checkout (write it relative, with /, without ..)", at("paths", i), p))
		}
	}
	return errors.Join(all...)
}

// Check completes the ports and says what is wrong with how a node runs.
func (r *Run) Check() error {
	all := []error{duration("grace", r.Grace, 0), duration("migrate_within", r.MigrateWithin, second)}
	if strings.ContainsAny(r.User, " \t\n") {
		all = append(all, wrong("user: %q is no user (write USER or UID:GID)", r.User))
	}
	if len(r.Ports) == 0 {
		for _, c := range r.Connectivity {
			for _, n := range c.Ports {
				if c.Protocol == "tcp" {
					if r.Ports == nil {
						r.Ports = map[string]int{}
					}
					r.Ports[fmt.Sprintf("tcp-%d", n)] = n
				}
			}
		}
	}
	variables, numbers := map[string]string{}, map[int]string{}
	for _, name := range sorted(r.Ports) {
		n, key := r.Ports[name], "ports."+name
		if _, err := id.Parse[id.Service]("port", name); err != nil {
			all = append(all, wrong("%s: %w", key, err))
		}
		all = append(all, port(key, n))
		if other, ok := numbers[n]; ok {
			all = append(all, wrong("%s: port %d is that of %s too", key, n, other))
		}
		v := portVariable(name)
		if other, ok := variables[v]; ok {
			all = append(all, wrong("%s: the names %s and %s both become $%s", key, other, name, v))
		}
		numbers[n], variables[v] = name, name
	}
	for _, name := range sorted(r.Env) {
		all = append(all, variable("env."+name, name), text("env."+name, r.Env[name]))
	}
	if r.Health.HTTP != "" && len(r.Ports) == 0 {
		all = append(all, wrong("health.http: the service has no ports that could be asked (add ports: {http: 8080})"))
	}
	return errors.Join(all...)
}

// portVariable is the environment variable that holds a port's number.
func portVariable(name string) string {
	return "PORT_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// Check says what is wrong with the rule.
func (c Connectivity) Check() error {
	all := []error{oneOf("protocol", c.Protocol, "tcp", "udp")}
	if len(c.Ports) == 0 {
		all = append(all, wrong("ports: are missing"))
	}
	for i, n := range c.Ports {
		all = append(all, port(at("ports", i), n))
	}
	for i, name := range c.Allowed {
		if _, err := id.Parse[id.Service]("service", name); err != nil {
			all = append(all, wrong("%s: %w", at("allowed", i), err))
		}
	}
	return errors.Join(all...)
}

// Check says what is wrong with the probe.
func (h Health) Check() error {
	all := []error{duration("within", h.Within, second)}
	if h.HTTP != "" && (!strings.HasPrefix(h.HTTP, "/") || strings.ContainsAny(h.HTTP, " \t\r\n#")) {
		all = append(all, wrong("http: %q is no path of a URL (start it with /)", h.HTTP))
	}
	return errors.Join(all...)
}

// Check says what is wrong with the stage.
func (s Stage) Check() error {
	var all []error
	if s.Name == "" {
		return wrong("stage: the name of the stage is missing")
	}
	if _, err := id.Parse[id.Service]("stage", s.Name); err != nil {
		all = append(all, wrong("stage: %w", err))
	}
	if strings.TrimSpace(s.Run) == "" && s.Deploy == "" && s.Publish == "" {
		all = append(all, wrong("stage %q does nothing (give it run: COMMAND, or deploy: ENVIRONMENT)", s.Name))
	}
	if len(s.Approvers) > 0 && !s.Manual {
		all = append(all, wrong("approvers: only manual stages are approved (add manual: true)"))
	}
	if s.Strategy != "" {
		all = append(all, oneOf("strategy", s.Strategy, "bluegreen"))
		if s.Deploy == "" {
			all = append(all, wrong("strategy: the stage deploys nothing (add deploy: ENVIRONMENT)"))
		}
	}
	return errors.Join(append(all, duration("timeout", s.Timeout, second))...)
}
