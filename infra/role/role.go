// Package role reads what hosts should be from the roles of a definitions
// repository, and compiles them for one host: parameters and facts filled in, loops
// unrolled, conditions decided, files read. The result is a manifest.
//
// A role is roles/NAME.yaml, or roles/NAME/role.yaml; its files and templates are in
// roles/NAME/. Every text in it may hold Go templates on the parameters, on .host (see
// infra.Facts) and, in a loop, on .item.
package role

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// Role is one file.
type Role struct {
	Name        string               `yaml:"-" json:"name"`
	File        string               `yaml:"-" json:"file"`
	Description string               `yaml:"description" json:"description" doc:"What a host of this role is for. It is the documentation of the host."`
	Owner       string               `yaml:"owner" json:"owner,omitempty" doc:"Team that answers for it."`
	Parameters  map[string]Parameter `yaml:"parameters" json:"parameters,omitempty" doc:"What hosts and including roles may give, by name."`
	Include     []Include            `yaml:"include" json:"include,omitempty" doc:"Roles that it is made of; their resources come first."`
	Heal        infra.Heal           `yaml:"heal" json:"heal" doc:"What unattended convergence does about drift, unless a resource says otherwise: heal, report or ask." default:"heal"`
	Pipeline    []Stage              `yaml:"pipeline" json:"pipeline,omitempty" doc:"Stages that a change of the role goes through before hosts get it. Without them, hosts follow the newest commit."`
	Resources   []config.Raw         `yaml:"resources" json:"-" doc:"What is on the host, in order. Each item has one kind as a key, like \"- package: nginx\", and may have when, each, after, before, notify, subscribe, tags, heal and sensitive."`
	Tests       []config.Raw         `yaml:"tests" json:"-" doc:"What has to hold on a host of this role."`
	Checks      []config.Raw         `yaml:"checks" json:"-" doc:"What is watched of a host of this role, with the keys of a service's checks; texts are templates: {{ .host.name }}."`

	files fs.FS // of the definitions that it is from
}

// Include is a role that another is made of.
type Include struct {
	Role string                `yaml:"role" json:"role" doc:"Name."`
	With map[string]config.Raw `yaml:"with" json:"-" doc:"Its parameters."`
	When string                `yaml:"when" json:"when,omitempty" doc:"Condition: a template that makes true or false."`
}

var name = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)

// Check says what is wrong with the role by itself.
func (r *Role) Check() error {
	var all []error
	if strings.TrimSpace(r.Description) == "" {
		all = append(all, fault.New(fault.Invalid, "description: is missing (say in a sentence what hosts of this role are for)"))
	}
	all = append(all, checkHeal("heal", r.Heal))
	for p := range r.Parameters {
		if p == "host" || p == "item" || p == "role" || !parameterName.MatchString(p) {
			all = append(all, fault.New(fault.Invalid, "parameters.%s: this name cannot be used (write small letters, digits and _; host, item and role are taken)", p))
		}
	}
	return errors.Join(all...)
}

func checkHeal(key string, h infra.Heal) error {
	if all := []infra.Heal{infra.HealDrift, infra.ReportDrift, infra.AskDrift}; !slices.Contains(all, h) {
		return fault.New(fault.Invalid, "%s: %q is not heal, report or ask", key, h)
	}
	return nil
}

// Library is all roles of a definitions repository.
type Library struct {
	files fs.FS
	kinds infra.Kinds
	roles map[string]*Role
	docs  map[string]*config.Document
}

const folder = "roles"

// Load reads and checks all roles. The error, of kind Invalid, tells everything that
// is wrong, each with file, line and column.
func Load(files fs.FS, kinds infra.Kinds) (*Library, error) {
	l := &Library{files, kinds, map[string]*Role{}, map[string]*config.Document{}}
	var errs []error
	for _, pattern := range []string{folder + "/*.yaml", folder + "/*/role.yaml"} {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, fmt.Errorf("read roles: %w", err)
		}
		for _, file := range names {
			errs = append(errs, l.read(file))
		}
	}
	for _, pattern := range []string{folder + "/*.yml", folder + "/*/role.yml"} {
		names, _ := fs.Glob(files, pattern)
		for _, file := range names {
			errs = append(errs, config.Problem{File: file, Line: 1, Column: 1, Text: "the file would be ignored (call it " + strings.TrimSuffix(file, ".yml") + ".yaml)"})
		}
	}
	for _, n := range l.Names() {
		errs = append(errs, l.check(l.roles[n]))
	}
	if err := config.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Library) read(file string) error {
	n := strings.TrimSuffix(path.Base(file), ".yaml")
	if path.Base(file) == "role.yaml" {
		n = path.Base(path.Dir(file))
	}
	data, err := fs.ReadFile(l.files, file)
	if err != nil {
		return fmt.Errorf("read role %s: %w", n, err)
	}
	r := &Role{Name: n, File: file, files: l.files}
	doc, err := config.Read(file, data, r)
	switch {
	case err != nil:
		return err
	case !name.MatchString(n):
		return doc.Problem("", fmt.Sprintf("%q is no name for a role (write small letters and digits, joined by -, like web-base)", n))
	case l.roles[n] != nil:
		return doc.Problem("", fmt.Sprintf("role %s is in %s already (keep one)", n, l.roles[n].File))
	}
	l.roles[n], l.docs[n] = r, doc
	return nil
}

// Names lists all roles.
func (l *Library) Names() []string {
	var all []string
	for n := range l.roles {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// Role finds a role.
func (l *Library) Role(n string) (*Role, error) {
	if r := l.roles[n]; r != nil {
		return r, nil
	}
	return nil, fault.New(fault.NotFound, "there is no role %q%s", n, config.Suggest(n, l.Names()))
}

// check looks at what one role says of others, and at what can be judged without
// values.
func (l *Library) check(r *Role) error {
	var errs []error
	doc := l.docs[r.Name]
	for i, in := range r.Include {
		key := fmt.Sprintf("include[%d]", i)
		included := l.roles[in.Role]
		if included == nil {
			errs = append(errs, doc.Problem(key+".role", fmt.Sprintf("there is no role %q%s", in.Role, config.Suggest(in.Role, l.Names()))))
			continue
		}
		for p := range in.With {
			if _, ok := included.Parameters[p]; !ok {
				errs = append(errs, doc.Problem(key+".with."+p, fmt.Sprintf("role %s has no parameter %q%s", in.Role, p, config.Suggest(p, included.parameters()))))
			}
		}
	}
	if ring := l.ring(r, nil); ring != nil {
		errs = append(errs, doc.Problem("include", "roles include each other: "+strings.Join(ring, " → ")))
	}
	for _, raw := range r.Resources {
		errs = append(errs, l.checkResource(raw))
	}
	return errors.Join(append(errs, l.checkPipeline(r)...)...)
}

// ring finds a role that includes itself, by way of others.
func (l *Library) ring(r *Role, above []string) []string {
	if i := slices.Index(above, r.Name); i >= 0 {
		return append(above[i:], r.Name)
	}
	for _, in := range r.Include {
		if next := l.roles[in.Role]; next != nil {
			if ring := l.ring(next, append(slices.Clone(above), r.Name)); ring != nil {
				return ring
			}
		}
	}
	return nil
}

// checkResource judges an item as far as no template keeps it open.
func (l *Library) checkResource(raw config.Raw) error {
	it, err := l.item(raw)
	if err != nil {
		return err
	}
	open := false
	if _, err := it.body.Expand(func(text string) (string, bool, error) {
		open = open || strings.Contains(text, "{{")
		return text, false, nil
	}); err != nil || open {
		return err
	}
	return it.body.Decode(it.kind.New())
}
