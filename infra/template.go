package infra

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/base/fault"
)

// largestFilled bounds what a template, or one function in it, makes.
const largestFilled = 16 << 20

// Fill executes a text/template on data, with Functions beside those of Go. A key
// that data lacks, and one without a value, are errors; errors have kind Invalid and
// tell the line.
func Fill(text string, data map[string]any) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := template.New("text").Option("missingkey=error").Funcs(Functions()).Parse(text)
	if err != nil {
		return "", explain(err, data)
	}
	out := &filled{}
	if err := t.Execute(out, data); err != nil {
		return "", explain(err, data)
	}
	const nothing = "<no value>" // as text/template writes nil
	if s := out.String(); strings.Contains(s, nothing) && !strings.Contains(text, nothing) {
		line := 1 + strings.Count(s[:strings.Index(s, nothing)], "\n")
		return "", fault.New(fault.Invalid, "line %d of what the template makes: a key without a value (give it one, or write: KEY | default \"…\")", line)
	}
	return out.String(), nil
}

// filled is a bounded output.
type filled struct{ strings.Builder }

func (f *filled) Write(p []byte) (int, error) {
	if f.Len()+len(p) > largestFilled {
		return 0, fmt.Errorf("it makes more than %d MiB", largestFilled>>20)
	}
	return f.Builder.Write(p)
}

// Functions are what templates, and texts in roles, can do. Arguments are in the
// order for pipes: the value comes last. What default takes for no value is also false,
// 0, an empty text and an empty list.
func Functions() template.FuncMap {
	return template.FuncMap{
		"default": func(other, v any) any {
			if truth, _ := template.IsTrue(v); !truth {
				return other
			}
			return v
		},
		"quote":   func(v any) (string, error) { return toJSON(fmt.Sprint(v)) },
		"shell":   func(v any) string { return "'" + strings.ReplaceAll(fmt.Sprint(v), "'", `'\''`) + "'" },
		"join":    join,
		"split":   func(separator, s string) []string { return strings.Split(s, separator) },
		"upper":   strings.ToUpper,
		"lower":   strings.ToLower,
		"trim":    strings.TrimSpace,
		"indent":  indent,
		"replace": replace,
		"toJson":  toJSON,
		"toYaml": func(v any) (string, error) {
			b, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(b), "\n"), err
		},
		"b64enc": func(v any) string { return base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(v))) },
		"add":    func(a, b any) (int, error) { return whole(a, b, func(a, b int) int { return a + b }) },
		"sub":    func(a, b any) (int, error) { return whole(a, b, func(a, b int) int { return a - b }) },
		"mul":    func(a, b any) (int, error) { return whole(a, b, func(a, b int) int { return a * b }) },
		"div":    func(a, b any) (int, error) { return divide(a, b, func(a, b int) int { return a / b }) },
		"mod":    func(a, b any) (int, error) { return divide(a, b, func(a, b int) int { return a % b }) },
	}
}

func toJSON(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func join(separator string, list any) (string, error) {
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return "", fmt.Errorf("join: %v is no list", list)
	}
	var all []string
	size := 0
	for i := range v.Len() {
		all = append(all, fmt.Sprint(v.Index(i)))
		size += len(all[i]) + len(separator)
	}
	if size > largestFilled {
		return "", fmt.Errorf("join: makes more than %d MiB", largestFilled>>20)
	}
	return strings.Join(all, separator), nil
}

// indent puts spaces before every line that is not empty.
func indent(spaces int, s string) (string, error) {
	if spaces < 0 || spaces > 100 {
		return "", fmt.Errorf("indent: by %d spaces, possible are 0 to 100", spaces)
	}
	var b filled
	for line := range strings.Lines(s) {
		if strings.TrimRight(line, "\r\n") != "" {
			line = strings.Repeat(" ", spaces) + line
		}
		if _, err := b.Write([]byte(line)); err != nil {
			return "", fmt.Errorf("indent: %w", err)
		}
	}
	return b.String(), nil
}

func replace(old, new, s string) (string, error) {
	if n := strings.Count(s, old); len(s)+n*(len(new)-len(old)) > largestFilled {
		return "", fmt.Errorf("replace: makes more than %d MiB", largestFilled>>20)
	}
	return strings.ReplaceAll(s, old, new), nil
}

func whole(a, b any, f func(a, b int) int) (int, error) {
	x, err := integer(a)
	if err != nil {
		return 0, err
	}
	y, err := integer(b)
	if err != nil {
		return 0, err
	}
	return f(x, y), nil
}

func divide(a, b any, f func(a, b int) int) (int, error) {
	if y, err := integer(b); err == nil && y == 0 {
		return 0, fmt.Errorf("%v divided by zero", a)
	}
	return whole(a, b, f)
}

// integer reads a whole number of any type; data from JSON holds them as float64.
func integer(v any) (int, error) {
	if f, ok := v.(float64); ok && f == float64(int(f)) {
		return int(f), nil
	}
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", fmt.Sprint(v))
	}
	return n, nil
}

// explain words an error of text/template, like
//
//	template: text:3:7: executing "text" at <.host.nmae>: map has no entry for key "nmae"
func explain(err error, data map[string]any) error {
	shape := regexp.MustCompile(`^template: [^:]*:(\d+)(?::\d+)?: (?:executing "[^"]*" at <(.*?)>: )?((?s).*)$`)
	m := shape.FindStringSubmatch(err.Error())
	if m == nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	line, at, text := m[1], m[2], m[3]
	if key, ok := quoted(text, `map has no entry for key `); ok {
		return fault.New(fault.Invalid, "line %s: there is no key %q in %s%s", line, key, at, suggestKey(at, key, data))
	}
	if name, ok := quoted(text, `function `); ok && strings.HasSuffix(text, "not defined") {
		return fault.New(fault.Invalid, "line %s: there is no function %q%s", line, name, config.Suggest(name, slices.Collect(maps.Keys(Functions()))))
	}
	if at != "" {
		text = at + ": " + text
	}
	return fault.New(fault.Invalid, "line %s: %s", line, text)
}

// quoted returns the quoted name that follows a prefix.
func quoted(text, prefix string) (string, bool) {
	q, err := strconv.QuotedPrefix(strings.TrimPrefix(text, prefix))
	if err != nil || !strings.HasPrefix(text, prefix) {
		return "", false
	}
	name, err := strconv.Unquote(q)
	return name, err == nil
}

// suggestKey follows a path like .host.nmae (or $.host.nmae) to the map that lacks
// the key, and names the one that was meant. Inside of range and with the path starts
// elsewhere: then there is no suggestion.
func suggestKey(at, key string, data map[string]any) string {
	in := data
	for _, step := range strings.Split(strings.TrimPrefix(strings.TrimPrefix(at, "$"), "."), ".") {
		if _, has := in[key]; step == key && !has {
			return config.Suggest(key, slices.Collect(maps.Keys(in)))
		}
		next, ok := in[step].(map[string]any)
		if !ok {
			return ""
		}
		in = next
	}
	return ""
}
