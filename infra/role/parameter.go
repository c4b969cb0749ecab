package role

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"steer/base/config"
	"steer/base/fault"
)

// Parameter is what a role lets others choose.
type Parameter struct {
	Type    string     `yaml:"type" json:"type" doc:"string, integer, number, boolean, list or map." default:"string"`
	Default config.Raw `yaml:"default" json:"-" doc:"Value when nobody gives one; without it, somebody has to."`
	Doc     string     `yaml:"doc" json:"doc,omitempty" doc:"What it is for."`
	Values  []string   `yaml:"values" json:"values,omitempty" doc:"The values that it may have, if not any."`
	Match   string     `yaml:"match" json:"match,omitempty" doc:"Regular expression that the whole text has to match."`
	Secret  bool       `yaml:"secret" json:"secret,omitempty" doc:"Never shown: resources that use it have no visible diff."`
}

var (
	parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	types         = []string{"string", "integer", "number", "boolean", "list", "map"}
)

// Check says what is wrong with the parameter.
func (p Parameter) Check() error {
	if !slices.Contains(types, p.Type) {
		return fault.New(fault.Invalid, "type: %q is none of %s", p.Type, listed(p.Type, types))
	}
	if _, err := regexp.Compile(p.Match); err != nil {
		return fault.New(fault.Invalid, "match: %w", err)
	}
	if p.Default.IsZero() {
		return nil
	}
	v, err := p.Default.Value()
	if err != nil {
		return err
	}
	if s, ok := v.(string); ok && strings.Contains(s, "{{") {
		return nil // known when the host is
	}
	if _, err := p.value(v); err != nil {
		return fault.New(fault.Invalid, "default: %w", err)
	}
	return nil
}

// value checks v, as YAML or the command line has it, and makes it one of the type.
func (p Parameter) value(v any) (any, error) {
	text, isText := v.(string)
	if isText && p.Type != "string" {
		// From the command line or a template everything comes as text.
		var raw struct {
			Value config.Raw `yaml:"value"`
		}
		if config.Decode("value", []byte("value: "+text), &raw) == nil {
			if decoded, err := raw.Value.Value(); err == nil {
				v = decoded
			}
		}
	}
	ok := true
	switch p.Type {
	case "string":
		switch v.(type) {
		case string:
		case int, float64, bool:
			v = fmt.Sprint(v)
		default:
			ok = false
		}
	case "integer":
		_, ok = v.(int)
	case "number":
		switch v.(type) {
		case int, float64:
		default:
			ok = false
		}
	case "boolean":
		_, ok = v.(bool)
	case "list":
		_, ok = v.([]any)
	case "map":
		_, ok = v.(map[string]any)
	}
	if !ok {
		return nil, fmt.Errorf("%s is no %s", describe(v), p.Type)
	}
	if text := fmt.Sprint(v); p.Match != "" && !regexp.MustCompile(`^(?:`+p.Match+`)$`).MatchString(text) {
		return nil, fmt.Errorf("%s does not match %s", describe(v), p.Match)
	} else if len(p.Values) > 0 && !slices.Contains(p.Values, text) {
		return nil, fmt.Errorf("%s is none of %s", describe(v), listed(text, p.Values))
	}
	return v, nil
}

// listed are the values that there are, and the one that was meant, if that is clear.
func listed(text string, values []string) string {
	hint := config.Suggest(text, values)
	if strings.HasPrefix(hint, " (known") {
		hint = ""
	}
	return strings.Join(values, ", ") + hint
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	case string:
		if len(v) > 40 {
			return fmt.Sprintf("%.40q…", v)
		}
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}

// CheckParameter says whether the role has a parameter.
func (r *Role) CheckParameter(name string) error {
	if _, ok := r.Parameters[name]; !ok {
		return fault.New(fault.Invalid, "role %s has no parameter %q%s", r.Name, name, config.Suggest(name, r.parameters()))
	}
	return nil
}

func (r *Role) parameters() []string { return slices.Sorted(maps.Keys(r.Parameters)) }
