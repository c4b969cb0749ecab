package role

import (
	"fmt"
	"slices"

	"steer/base/config"
	"steer/infra"
)

// item is one entry of a role's resources: a kind, which is its first key, with its
// body, and what is said about the resource.
type item struct {
	kind infra.Kind
	body config.Raw
	raw  config.Raw
	about
}

// about are the keys that every kind has.
type about struct {
	When      string     `yaml:"when" doc:"Condition: a template that makes true or false."`
	Each      config.Raw `yaml:"each" doc:"List, or template that names one: the resource is declared once for every .item of it."`
	After     words      `yaml:"after" doc:"Resources that come first, as KIND:ID."`
	Before    words      `yaml:"before" doc:"Resources that wait for it."`
	Notify    words      `yaml:"notify" doc:"Resources that are told when this one changed: services restart, commands run."`
	Subscribe words      `yaml:"subscribe" doc:"Resources whose change it is told."`
	Tags      words      `yaml:"tags" doc:"Words by which --tags selects it."`
	Heal      infra.Heal `yaml:"heal" doc:"What unattended convergence does about drift: heal, report or ask."`
	Sensitive bool       `yaml:"sensitive" doc:"No diff shows its values."`
}

// words is a list of texts; one may stand alone.
type words []string

// ReadRaw also takes one text.
func (w *words) ReadRaw(r config.Raw) error {
	if text, ok := r.Text(); ok {
		*w = words{text}
		return nil
	}
	return r.Decode((*[]string)(w))
}

// Check says what is wrong with it.
func (a about) Check() error {
	if a.Heal == "" {
		return nil
	}
	return checkHeal("heal", a.Heal)
}

var aboutKeys = []string{"when", "each", "after", "before", "notify", "subscribe", "tags", "heal", "sensitive"}

// item reads an entry, whose texts may still hold templates.
func (l *Library) item(raw config.Raw) (item, error) {
	var kinds []string
	for _, key := range raw.Keys() {
		if !slices.Contains(aboutKeys, key) {
			kinds = append(kinds, key)
		}
	}
	switch {
	case raw.Keys() == nil:
		return item{}, raw.Problem("expected a resource, like \"package: nginx\"")
	case len(kinds) == 0:
		return item{}, raw.Problem("there is no resource in it, only what is said about one (add a kind, like \"package: nginx\")")
	}
	kind, ok := l.kinds.Find(kinds[0])
	if !ok {
		return item{}, raw.Problem(fmt.Sprintf("there is no kind of resource %q%s", kinds[0], config.Suggest(kinds[0], append(l.kinds.Names(), aboutKeys...))))
	}
	it := item{kind: kind, raw: raw, body: raw.Field(kind.Name)}
	if it.body.IsZero() {
		return item{}, raw.Problem(kind.Name + ": is empty (say which)")
	}
	if _, short := it.body.Text(); short {
		// "- file: /etc/motd" with the other keys beside it, not below.
		if kind.Key == "" {
			return item{}, it.body.Problem("expected keys with values")
		}
		it.body = raw.Without(aboutKeys...).Rename(kind.Name, kind.Key)
	} else if len(kinds) > 1 {
		return item{}, raw.Problem(fmt.Sprintf("%s stands beside %s, whose keys are below it (indent it; a second resource is a second item)", kinds[1], kind.Name))
	}
	about := raw
	for _, key := range kinds {
		about = about.Without(key)
	}
	return it, about.Decode(&it.about)
}
