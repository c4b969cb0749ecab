package app

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/secret"
	"steer/catalog"
	"steer/deliver/deploy"
	"steer/infra/host"
	"steer/infra/role"
	"steer/infra/verify"
	"steer/monitor/query"
)

// loadDefinitions reads the files of a definitions repository, or says what is
// wrong with them.
func loadDefinitions(files fs.FS) (*catalog.Catalog, error) {
	if err := checkSecrets(files); err != nil {
		return nil, err
	}
	c, err := catalog.Reader{Query: checkQuery, Time: checkTime}.Load(files)
	_, err2 := retention(files)
	return c, errors.Join(err, err2, checkHosts(files, c))
}

// checkHosts says what is wrong with roles and hosts.yaml, so that it reaches no host.
func checkHosts(files fs.FS, c *catalog.Catalog) error {
	library, err := role.Load(files, resourceKinds())
	hosts, err2 := host.ReadInventory(files)
	if err != nil || err2 != nil {
		return errors.Join(err, err2)
	}
	var errs []error
	for _, n := range library.Names() {
		r, err := library.Role(n)
		if err != nil {
			return err
		}
		for _, test := range r.Tests {
			if b, err := test.YAML(); err != nil || strings.Contains(string(b), "{{") {
				continue // decided where the values are known
			}
			_, err := verify.Decode([]config.Raw{test})
			errs = append(errs, err)
		}
		for _, check := range r.Checks {
			if b, err := check.YAML(); err != nil || strings.Contains(string(b), "{{") {
				continue
			}
			_, err := hostCheck(check, "host", "")
			errs = append(errs, err)
		}
	}
	entries, err := host.ReadEntries(files)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Service == nil || c == nil || len(c.Teams) == 0 {
			continue
		}
		for _, t := range e.Service.By {
			if _, ok := c.Teams[t]; !ok {
				errs = append(errs, config.Problem{File: host.InventoryFile, Line: 1, Column: 1, Key: e.Name + ".self_service.by", Text: fmt.Sprintf("no team %q in teams.yaml", t)})
			}
		}
	}
	errs = append(errs, checkNodeHosts(hosts, c)...)
	for _, h := range hosts {
		for _, u := range h.Roles {
			r, err := library.Role(u.Role)
			if err != nil {
				errs = append(errs, config.Problem{File: host.InventoryFile, Line: 1, Column: 1, Key: h.Name, Text: err.Error()})
				continue
			}
			for name, value := range u.With {
				if err := r.CheckParameter(name); err != nil {
					errs = append(errs, value.Problem(err.Error()))
				}
			}
		}
	}
	return config.Join(append(errs, checkPipelines(&declared{files: files, library: library, hosts: hosts}, c)...)...)
}

// checkNodeHosts says which hosts of environments there are not.
func checkNodeHosts(hosts []host.Host, c *catalog.Catalog) (errs []error) {
	if c == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environments)) {
		e := c.Environments[name]
		if e.Driver != deploy.DriverHosts {
			continue
		}
		for i, g := range e.Nodes {
			for _, p := range g.Hosts {
				if _, err := host.Select(hosts, []string{p}); err != nil {
					errs = append(errs, config.Problem{File: "environments.yaml", Line: 1, Column: 1, Key: fmt.Sprintf("%s.nodes[%d].hosts", name, i), Text: fmt.Sprintf("%v in %s", err, host.InventoryFile)})
				}
			}
		}
	}
	return errs
}

// checkPipelines says what is wrong with the pipelines of roles and the hosts that
// follow them. The catalog is nil when it could not be read.
func checkPipelines(d *declared, c *catalog.Catalog) (errs []error) {
	bad := func(file, key, text string) {
		errs = append(errs, config.Problem{File: file, Line: 1, Column: 1, Key: key, Text: text})
	}
	for _, name := range d.library.Names() {
		r, err := d.library.Role(name)
		if err != nil || len(r.Pipeline) == 0 || c == nil {
			continue
		}
		for _, s := range c.Services {
			if string(s.Artifact) == name {
				bad(r.File, "pipeline", fmt.Sprintf("%s is also the artifact of the service %s, and deploys could not tell them apart (give one another name)", name, s.Name))
			}
		}
		for i, s := range r.Pipeline {
			for _, t := range s.Approvers {
				if _, ok := c.Teams[t]; !ok && len(c.Teams) > 0 {
					bad(r.File, fmt.Sprintf("pipeline[%d].approvers", i), fmt.Sprintf("no team %q in teams.yaml", t))
				}
			}
		}
	}
	in := map[string]id.Environment{}
	for _, h := range d.hosts {
		names := d.piped(h)
		if len(names) == 0 {
			continue
		}
		switch e, known := in[h.Group]; {
		case h.Environment == "":
			bad(host.InventoryFile, h.Name, fmt.Sprintf("the role %s goes through a pipeline: say environment:, to which it is deployed", names[0]))
		case known && e != h.Environment:
			bad(host.InventoryFile, h.Name, fmt.Sprintf("the group %s has hosts in %s and in %s, which are deployed to at different times (give each a group of its own)", h.Group, e, h.Environment))
		}
		in[h.Group] = h.Environment
	}
	return errs
}

// hostCheck reads a check of a role, which is called after its host.
func hostCheck(raw config.Raw, name string, team id.Team) (c catalog.Check, err error) {
	if err := raw.Decode(&c); err != nil {
		return c, err
	}
	if err := checkQuery(c.Query); err != nil {
		return c, raw.Field("query").Problem(err.Error())
	}
	c.Name = strings.ReplaceAll(name, ".", "-") + "-" + c.Name
	c.Team = cmp.Or(c.Team, team)
	return c, nil
}

// CheckDefinitions says what is wrong with the files of a definitions
// repository.
func CheckDefinitions(files fs.FS) error {
	_, err := loadDefinitions(files)
	return err
}

// checkQuery says what is wrong with a check's query, before it is in force.
func checkQuery(target string) error {
	engine, err := query.New(query.Options{Source: reader{}})
	if err != nil {
		return err
	}
	return engine.Check(target)
}

// checkTime says what is wrong with a time of a dashboard.
func checkTime(text string) error {
	_, err := query.ParseTime(text, time.Now(), time.UTC)
	return err
}

// checkSecrets keeps a secret that somebody forgot to encrypt out of the history,
// from which nobody could take it again.
func checkSecrets(files fs.FS) error {
	if _, err := fs.Stat(files, "secrets"); err != nil {
		return nil
	}
	return fs.WalkDir(files, "secrets", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") || path.Ext(name) == ".md" {
			return err
		}
		if strings.Count(name, "/") != 2 || path.Ext(name) != ".age" {
			return fault.New(fault.Invalid, "%s:1:1: secrets are in secrets/ENVIRONMENT/NAME.age ('steer secret encrypt' makes them)", name)
		}
		b, err := fs.ReadFile(files, name)
		if err == nil && !secret.IsEncrypted(b) {
			return fault.New(fault.Invalid, "%s:1:1: this is no age file: the secret is not encrypted, or the file is cut off ('steer secret encrypt' makes it)", name)
		}
		return err
	})
}
