package file

import (
	"fmt"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Template is a file whose content is filled in with parameters and facts.
type Template struct {
	File `yaml:",inline"`
}

func templateKind() infra.Kind {
	return infra.Kind{
		Name: "template",
		Doc: "A file whose content is a template of Go's text/template, from the role or written here, filled in with the parameters of the role and the facts of the host. " +
			"A key that is not there is an error. Besides Go's own functions there are default, quote, shell, join, split, upper, lower, trim, indent, replace, toJson, toYaml, b64enc, add, sub, mul, div, mod. " +
			"It takes the same keys as file.",
		Key: "path",
		Example: `- template: /etc/motd
  content: |
    This is {{ .host.name }}, {{ .host.os.name | default "of unknown make" }}.
`,
		Class: place.Class,
		New:   func() infra.Resource { return &Template{} },
	}
}

// Check looks at the declaration.
func (t *Template) Check() error {
	if t.Content == nil && t.From == "" && t.State == place.Present {
		return fmt.Errorf("source: is missing (name a template of the role, or write it under content)")
	}
	return nil // the rest is checked as a file
}

// Source fills the template in.
func (t *Template) Source(read func(string) ([]byte, error), data map[string]any) error {
	if t.State == place.Absent {
		return nil
	}
	if t.Encoding != "" {
		return fault.New(fault.Invalid, "encoding: a template is text (leave it out)")
	}
	name, text := "content", deref(t.Content)
	if t.From != "" {
		b, err := place.ReadSource(read, t.From, largestContent)
		if err != nil {
			return err
		}
		name, text = t.From, string(b)
	}
	filled, err := infra.Fill(text, data)
	if err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	t.set(filled)
	return nil
}

// Absent declares it away.
func (t *Template) Absent() infra.Resource {
	return &Template{File{Path: t.Path, State: place.Absent}}
}
