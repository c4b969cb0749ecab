package role

import (
	"fmt"
	"strings"
)

// Describe documents the role as Markdown: the definition is the documentation.
func (r *Role) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n", r.Name, strings.TrimSpace(r.Description))
	if r.Owner != "" {
		fmt.Fprintf(&b, "\nOwner: %s.\n", r.Owner)
	}
	if len(r.Include) > 0 {
		var names []string
		for _, in := range r.Include {
			text := in.Role
			if in.When != "" {
				text += " (if " + in.When + ")"
			}
			names = append(names, text)
		}
		fmt.Fprintf(&b, "\nMade of: %s.\n", strings.Join(names, ", "))
	}
	if len(r.Pipeline) > 0 {
		names := []string{FirstStage}
		for _, s := range r.Pipeline {
			text := s.Name
			if s.Manual {
				text += " (once somebody agrees)"
			}
			names = append(names, text)
		}
		fmt.Fprintf(&b, "\nChanges go through: %s.\n", strings.Join(names, ", "))
	}
	if len(r.Parameters) > 0 {
		fmt.Fprint(&b, "\n| parameter | type | default | |\n|---|---|---|---|\n")
		for _, n := range r.parameters() {
			p := r.Parameters[n]
			def := "(needed)"
			if !p.Default.IsZero() {
				def = "…"
				if text, ok := p.Default.Text(); ok {
					def = "`" + text + "`"
				}
				if p.Secret {
					def = "(secret)"
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", n, p.Type, def, strings.ReplaceAll(p.Doc, "|", "\\|"))
		}
	}
	if len(r.Resources) > 0 {
		fmt.Fprint(&b, "\nOn each host, in this order:\n\n")
		for _, raw := range r.Resources {
			for _, key := range raw.Keys() {
				body := raw.Field(key)
				text, short := body.Text()
				if !short {
					for _, k := range body.Keys() { // the first key is what people look for
						text, _ = body.Field(k).Text()
						break
					}
				}
				fmt.Fprintf(&b, "- %s `%s`\n", key, text)
				break
			}
		}
	}
	fmt.Fprintln(&b)
	return b.String()
}
