package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// Files of a definitions repository that Load reads. Each may be absent.
const (
	environmentsFile = "environments.yaml"
	servicesFile     = "services.yaml"
	teamsFile        = "teams.yaml"
	checksFolder     = "checks"
	dashboardsFolder = "dashboards"
)

// loader collects what the files say and what is wrong with them.
type loader struct {
	Reader
	*Catalog
	files  fs.FS
	docs   map[string]*config.Document // those that were read without problems
	checks []placed
	errs   []error
}

// placed is a check and where it stands.
type placed struct {
	Check
	file, key string
}

// Load reads and checks the files of a definitions repository. The error, of kind
// Invalid, tells everything that is wrong, each with file, line and column. Services
// are given the name of their artifact, also as keys of Config and Publish; checks
// the team of their service. Other files in the repository belong to others.
func Load(files fs.FS) (*Catalog, error) { return Reader{}.Load(files) }

// Load is the function Load, with the reader's checks.
func (r Reader) Load(files fs.FS) (*Catalog, error) {
	l := &loader{Reader: r, files: files, docs: map[string]*config.Document{}, Catalog: &Catalog{
		Environments: map[id.Environment]Environment{}, Services: map[string]Service{}, Teams: map[id.Team]Team{}, Dashboards: map[string]Dashboard{},
	}}
	for _, f := range []struct {
		name string
		into any
	}{{environmentsFile, &l.Environments}, {servicesFile, &l.Services}, {teamsFile, &l.Teams}} {
		if err := l.read(f.name, f.into); err != nil {
			return nil, err
		}
	}
	if err := l.readChecks(); err != nil {
		return nil, err
	}
	if err := l.readDashboards(); err != nil {
		return nil, err
	}
	l.name()
	l.checkServices()
	l.checkEnvironments()
	l.checkTeams()
	l.checkChecks()
	l.checkDashboards()
	if err := config.Join(l.errs...); err != nil {
		return nil, err
	}
	for _, c := range l.checks {
		l.Checks = append(l.Checks, c.Check)
	}
	return l.Catalog, nil
}

// read decodes one file. Mistakes in it are collected; only a failure to read it
// at all is returned.
func (l *loader) read(name string, into any) error {
	data, err := fs.ReadFile(l.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		other := strings.TrimSuffix(name, ".yaml") + ".yml"
		if _, err := fs.Stat(l.files, other); err == nil {
			l.errs = append(l.errs, config.Problem{File: other, Line: 1, Column: 1, Text: fmt.Sprintf("the file would be ignored (call it %s)", name)})
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read definitions: %w", err)
	}
	doc, err := config.Read(name, data, into)
	if err != nil {
		l.errs = append(l.errs, err)
		return nil
	}
	l.docs[name] = doc
	return nil
}

// listed are the YAML files of a folder. One with another ending is a mistake.
func (l *loader) listed(folder string) ([]string, error) {
	ignored, err := fs.Glob(l.files, folder+"/*.yml")
	if err != nil {
		return nil, fault.New(fault.Internal, "read definitions: %w", err)
	}
	for _, name := range ignored {
		l.errs = append(l.errs, config.Problem{File: name, Line: 1, Column: 1, Text: fmt.Sprintf("the file would be ignored (call it %s)", strings.TrimSuffix(name, ".yml")+".yaml")})
	}
	names, err := fs.Glob(l.files, folder+"/*.yaml")
	if err != nil {
		return nil, fault.New(fault.Internal, "read definitions: %w", err)
	}
	return names, nil
}

func (l *loader) readChecks() error {
	names, err := l.listed(checksFolder)
	if err != nil {
		return err
	}
	for _, name := range names {
		var checks []Check
		if err := l.read(name, &checks); err != nil {
			return err
		}
		if l.docs[name] == nil {
			continue
		}
		l.errs = append(l.errs, l.ask(l.docs[name], "", checks))
		for i, c := range checks {
			l.checks = append(l.checks, placed{c, name, at("", i)})
		}
	}
	return nil
}

// name gives each entry the name that it stands under.
func (l *loader) name() {
	for name, e := range l.Environments {
		e.Name = name
		l.Environments[name] = e
	}
	for name, t := range l.Teams {
		t.Name = name
		l.Teams[name] = t
	}
	for name, s := range l.Services {
		s.Name = name
		if s.Artifact == "" {
			s.Artifact = id.Service(artifactName(name))
		}
		l.Services[name] = s
	}
}

// bad collects a problem with a key of a file; see known on files with problems.
func (l *loader) bad(file string) func(key, text string) {
	return func(key, text string) {
		if doc := l.docs[file]; doc != nil {
			l.errs = append(l.errs, doc.Problem(key, text))
		}
	}
}

// broken tells whether a file is there but could not be read: then nothing can
// be said about names that others look up in it.
func (l *loader) broken(file string) bool {
	if l.docs[file] != nil {
		return false
	}
	for _, p := range config.Problems(errors.Join(l.errs...)) {
		if p.File == file {
			return true
		}
	}
	return false
}

func (l *loader) checkServices() {
	bad := l.bad(servicesFile)
	owners := map[id.Service]string{}
	for _, name := range sorted(l.Services) {
		s := l.Services[name]
		if _, err := id.Parse[id.Service]("service", name); err != nil {
			bad(name, err.Error())
			continue
		}
		if name == everyService || s.Artifact == everyService {
			bad(name, fmt.Sprintf("a service cannot be called %q, which means every service", everyService))
		}
		if other, ok := owners[s.Artifact]; ok {
			bad(name, fmt.Sprintf("its artifact %s is that of %s too (give one of them artifact: NAME)", s.Artifact, other))
		}
		owners[s.Artifact] = name
		l.team(s.Team, name+".team", bad)
		for i, c := range s.Connectivity {
			l.knowsCallers(c, at(name+".connectivity", i), bad)
		}
	}
	for name, s := range l.Services { // "a" and an entry "b" with artifact: a
		if other, ok := owners[id.Service(name)]; ok && other != name && s.Artifact != id.Service(name) {
			bad(name, fmt.Sprintf("the name is that of the artifact of %s", other))
		}
	}
}

func (l *loader) checkEnvironments() {
	bad := l.bad(environmentsFile)
	published := map[int]string{}
	for _, name := range sorted(l.Environments) {
		e := l.Environments[name]
		for i, g := range e.Nodes {
			for j, s := range g.Services {
				l.service(s, at(at(string(name)+".nodes", i)+".services", j), bad)
			}
		}
		l.secrets(e, bad)
		e.Config = byArtifact(l, string(name)+".config", e.Config, bad)
		e.Publish = byArtifact(l, string(name)+".publish", e.Publish, bad)
		l.Environments[name] = e
		for _, service := range sorted(e.Publish) {
			for _, p := range sorted(e.Publish[service]) {
				n := e.Publish[service][p]
				this := fmt.Sprintf("%s of %s in %s", p, service, name)
				if other, ok := published[n]; ok {
					bad(string(name)+".publish", fmt.Sprintf("port %d is given to %s and to %s", n, other, this))
				}
				published[n] = this
			}
		}
	}
}

// secrets checks that each secret that the configuration names is there.
func (l *loader) secrets(e Environment, bad func(key, text string)) {
	for service, variables := range e.Config {
		for name, value := range variables {
			secret, ok := strings.CutPrefix(value, "secret:")
			if !ok {
				continue
			}
			file := fmt.Sprintf("secrets/%s/%s.age", e.Name, secret)
			if _, err := fs.Stat(l.files, file); errors.Is(err, fs.ErrNotExist) {
				bad(fmt.Sprintf("%s.config.%s.%s", e.Name, service, name), fmt.Sprintf("there is no file %s (encrypt the secret into it)", file))
			}
		}
	}
}

// byArtifact turns the keys of a map from what people wrote to artifact names.
func byArtifact[V any](l *loader, key string, m map[string]V, bad func(key, text string)) map[string]V {
	if m == nil {
		return nil
	}
	out := map[string]V{}
	for _, name := range sorted(m) {
		artifact := name
		if name != everyService {
			if s, err := l.Resolve(name); err == nil {
				artifact = string(s)
			}
			l.service(name, key+"."+name, bad)
		}
		if _, twice := out[artifact]; twice {
			bad(key+"."+name, fmt.Sprintf("service %s stands twice, under two of its names", artifact))
		}
		out[artifact] = m[name]
	}
	return out
}

func (l *loader) checkTeams() {
	bad := l.bad(teamsFile)
	for name, t := range l.Teams {
		seen := map[id.Person]bool{}
		for i, p := range t.Members {
			if seen[p] {
				bad(at(string(name)+".members", i), fmt.Sprintf("%s stands twice", p))
			}
			seen[p] = true
		}
	}
}

func (l *loader) checkChecks() {
	first := map[string]placed{}
	for i, c := range l.checks {
		bad := l.bad(c.file)
		if c.Service != "" {
			l.service(string(c.Service), c.key+".service", bad)
			if s, err := l.Resolve(string(c.Service)); err == nil {
				c.Service = s
			}
		}
		if _, err := l.Environment(c.Environment); c.Environment != "" && err != nil && !l.broken(environmentsFile) {
			bad(c.key+".environment", err.Error())
		}
		l.team(c.Team, c.key+".team", bad)
		if c.Team == "" {
			for _, s := range l.Services {
				if s.Artifact == c.Service && c.Service != "" {
					c.Team = s.Team
				}
			}
		}
		l.checks[i] = c
		name := string(c.Service) + "/" + c.Name
		if other, ok := first[name]; ok {
			bad(c.key+".name", fmt.Sprintf("check %q of the same service stands in %s too (each needs its own name)", c.Name, other.file))
		} else {
			first[name] = c
		}
	}
}

// service checks a name of a service where services.yaml says which there are.
func (l *loader) service(name, key string, bad func(key, text string)) {
	if _, err := l.Resolve(name); err != nil && !l.broken(servicesFile) {
		bad(key, fmt.Sprintf("no service %q in %s%s", name, servicesFile, config.Suggest(name, texts(maps.Keys(l.Services)))))
	}
}

func (l *loader) team(name id.Team, key string, bad func(key, text string)) {
	if !l.broken(teamsFile) {
		l.knowsTeam(name, key, bad)
	}
}

// knowsTeam checks a team where teams are declared.
func (c *Catalog) knowsTeam(name id.Team, key string, bad func(key, text string)) {
	if _, ok := c.Teams[name]; name != "" && len(c.Teams) > 0 && !ok {
		bad(key, fmt.Sprintf("no team %q in %s%s", name, teamsFile, config.Suggest(string(name), texts(maps.Keys(c.Teams)))))
	}
}

// everyone is the book's word for callers from anywhere.
const everyone = "WORLD"

func (c *Catalog) knowsCallers(r Connectivity, key string, bad func(key, text string)) {
	for i, name := range r.Allowed {
		if _, err := c.Resolve(name); name != everyone && err != nil {
			bad(at(key+".allowed", i), fmt.Sprintf("%q is neither %s nor a service%s", name, everyone, config.Suggest(name, append(texts(maps.Keys(c.Services)), everyone))))
		}
	}
}
