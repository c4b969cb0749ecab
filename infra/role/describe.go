package role

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"steer/base/config"
)

// Describe documents the role as Markdown: the definition is the documentation. Lines
// come after its description.
func (r *Role) Describe(lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n", r.Name, strings.TrimSpace(r.Description))
	for _, line := range lines {
		fmt.Fprintf(&b, "\n%s\n", line)
	}
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
		fmt.Fprint(&b, "\n| parameter | type | default | what for |\n|---|---|---|---|\n")
		for _, n := range r.parameters() {
			p := r.Parameters[n]
			def := "(needed)"
			switch {
			case p.Default.IsZero():
			case p.Secret:
				def = "(secret)"
			default:
				def = code(brief(p.Default))
			}
			doc := p.Doc
			if len(p.Values) > 0 {
				doc = strings.TrimSpace(strings.TrimSuffix(doc, ".") + " (one of " + strings.Join(p.Values, ", ") + ")")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", n, p.Type, strings.ReplaceAll(def, "|", "\\|"), strings.ReplaceAll(doc, "|", "\\|"))
		}
	}
	list(&b, "On each host, in this order:", r.Resources, resourceLine)
	list(&b, "What has to hold there:", r.Tests, testLine)
	list(&b, "What is watched:", r.Checks, func(raw config.Raw) string {
		name, _ := raw.Field("name").Text()
		query, _ := raw.Field("query").Text()
		return name + ": " + code(query)
	})
	fmt.Fprintln(&b)
	return b.String()
}

func list(b *strings.Builder, title string, all []config.Raw, line func(config.Raw) string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n\n", title)
	for _, raw := range all {
		fmt.Fprintf(b, "- %s\n", line(raw))
	}
}

// told are the keys of resources that people look for, besides which one it is.
var told = []string{"state", "version", "target", "schedule", "text", "value"}

// resourceLine is a resource in words: which one, and what is said about it.
func resourceLine(raw config.Raw) string {
	kind, name, body := subject(raw, aboutKeys)
	text := kind + " " + code(name)
	secret, _ := raw.Field("sensitive").Text()
	for _, key := range told {
		if v, ok := body.Field(key).Text(); ok && v != name && v != "present" && secret != "true" {
			text += ", " + key + " " + code(v)
		}
	}
	var about []string
	for _, a := range []struct{ key, words string }{{"each", "once for each of"}, {"when", "if"}, {"notify", "tells"}, {"subscribe", "told by"}, {"heal", "drift:"}} {
		if v := raw.Field(a.key); !v.IsZero() {
			about = append(about, a.words+" "+code(brief(v)))
		}
	}
	if len(about) > 0 {
		text += " (" + strings.Join(about, "; ") + ")"
	}
	return text
}

// testLine is a test in words: what it looks at, and what is expected of it.
func testLine(raw config.Raw) string {
	kind, name, body := subject(raw, besideTests)
	text := kind + " " + code(name)
	if title, ok := raw.Field("name").Text(); ok && kind != "name" {
		text = title + ": " + text
	}
	var expected []string
	for _, key := range body.Keys() {
		if v := brief(body.Field(key)); v != name && !slices.Contains(besideTests, key) && key != kind {
			expected = append(expected, key+" "+code(v))
		}
	}
	if len(expected) > 0 {
		text += ": " + strings.Join(expected, ", ")
	}
	return text
}

// besideTests are the keys that every test may have beside its kind.
var besideTests = []string{"name", "skip", "retry", "severity", "rollback", "repair"}

// subject is the kind of an item, the value of the first key of its body, which is what
// it is about, and the body, which is the item itself in the short form.
func subject(raw config.Raw, beside []string) (kind, name string, body config.Raw) {
	for _, key := range raw.Keys() {
		if slices.Contains(beside, key) {
			continue
		}
		body = raw.Field(key)
		if text, short := body.Text(); short {
			return key, text, raw
		}
		for _, k := range body.Keys() {
			return key, brief(body.Field(k)), body
		}
		return key, "", body
	}
	return "", "", raw
}

// brief is a value on one line, of at most 80 letters.
func brief(raw config.Raw) string {
	v, err := raw.Value()
	if err != nil {
		return "…"
	}
	text := strings.Join(strings.Fields(inline(v)), " ")
	if letters := []rune(text); len(letters) > 80 {
		text = string(letters[:79]) + "…"
	}
	return text
}

func inline(v any) string {
	var parts []string
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			parts = append(parts, inline(one))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+": "+inline(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// code sets a text apart from the words around it; in Markdown that needs as many
// backquotes as are not in it.
func code(text string) string {
	if text == "" {
		return "(empty)"
	}
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}
