package catalog

import (
	"maps"
	"slices"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// Catalog is the parsed content of the definitions repository.
type Catalog struct {
	Environments map[id.Environment]Environment
	Services     map[string]Service // by entry name
	Teams        map[id.Team]Team
	Checks       []Check
	Dashboards   map[string]Dashboard
}

// Resolve returns the service that name means: a name of its entry in
// services.yaml, or of its artifact. Where nothing is declared, every name is
// that of an artifact, without the ending -service that the book's entries have.
func (c *Catalog) Resolve(name string) (id.Service, error) {
	if s, ok := c.Services[name]; ok {
		return s.Artifact, nil
	}
	known := []string{}
	for _, s := range c.Services {
		if string(s.Artifact) == name {
			return s.Artifact, nil
		}
		known = append(known, string(s.Artifact))
	}
	if len(c.Services) > 0 {
		return "", fault.New(fault.NotFound, "no service %q%s", name, config.Suggest(name, known))
	}
	service, err := id.Parse[id.Service]("service", artifactName(name))
	if err != nil {
		return "", fault.New(fault.Invalid, "%w", err)
	}
	return service, nil
}

// artifactName is the name of the artifact of an entry that does not say it.
func artifactName(entry string) string {
	if short := strings.TrimSuffix(entry, "-service"); short != "" {
		return short
	}
	return entry
}

// Environment returns an environment, or an error that lists those there are.
func (c *Catalog) Environment(name id.Environment) (Environment, error) {
	if e, ok := c.Environments[name]; ok {
		return e, nil
	}
	if len(c.Environments) == 0 {
		return Environment{}, fault.New(fault.NotFound, "no environment %q: environments.yaml declares none", name)
	}
	return Environment{}, fault.New(fault.NotFound, "no environment %q%s", name, config.Suggest(string(name), texts(maps.Keys(c.Environments))))
}

// Dashboard returns a dashboard, or an error that lists those there are.
func (c *Catalog) Dashboard(name string) (Dashboard, error) {
	if d, ok := c.Dashboards[name]; ok {
		return d, nil
	}
	return Dashboard{}, fault.New(fault.NotFound, "no dashboard %q%s", name, config.Suggest(name, texts(maps.Keys(c.Dashboards))))
}

// Nodes returns the groups of nodes of an environment that run a service, and
// how many nodes those are together: none and 0 when it does not run there.
func (c *Catalog) Nodes(env id.Environment, service id.Service) (groups []NodeGroup, total int) {
	for _, g := range c.Environments[env].Nodes {
		runs := slices.ContainsFunc(g.Services, func(name string) bool {
			s, err := c.Resolve(name)
			return err == nil && s == service
		})
		if runs {
			groups, total = append(groups, g), total+g.Number
		}
	}
	return groups, total
}

// Settings returns the environment variables of a service in an environment:
// those for all services, and its own, which win. Values secret:NAME stand for
// secrets.
func (c *Catalog) Settings(env id.Environment, service id.Service) map[string]string {
	all := map[string]string{}
	e := c.Environments[env]
	maps.Copy(all, e.Config[everyService])
	maps.Copy(all, e.Config[string(service)])
	return all
}

// everyService is the key of an environment's config that is for all services.
const everyService = "all"

func texts[T ~string](of func(func(T) bool)) []string {
	var all []string
	for t := range of {
		all = append(all, string(t))
	}
	slices.Sort(all)
	return all
}
