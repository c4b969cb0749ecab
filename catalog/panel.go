package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"steer/base/config"
	"steer/base/fault"
)

// AddPanel writes a panel behind the others into the text of a dashboard's file,
// and leaves all else in it as it is, comments too. An empty text becomes a new
// dashboard with the title. Errors are fault.Invalid; fault.Conflict, where the text
// is written in a way that this cannot add to.
func AddPanel(file string, text []byte, title string, p Panel) ([]byte, error) {
	var before, after Dashboard
	if len(bytes.TrimSpace(text)) == 0 {
		text = fmt.Appendf(nil, "title: %s\npanels:\n", quoted(title))
	} else if _, err := config.Read(file, text, &before); err != nil {
		return nil, err
	}
	added, ok := insert(string(text), p.lines())
	if !ok {
		return nil, fault.New(fault.Conflict, "add a panel to %s: its panels are not a list with one item a line; add it by hand", file)
	}
	if _, err := config.Read(file, []byte(added), &after); err != nil {
		return nil, err
	}
	// What was there must be there, whatever way it was written.
	n := len(after.Panels) - 1
	if rest := after; n >= 0 {
		rest.Panels = rest.Panels[:n:n]
		if before.Panels == nil {
			rest.Panels, rest.Title, rest.From, rest.Until = nil, before.Title, before.From, before.Until
		}
		if reflect.DeepEqual(rest, before) {
			return []byte(added), nil
		}
	}
	return nil, fault.New(fault.Conflict, "add a panel to %s: it would change more than that; add it by hand", file)
}

// insert puts an item at the end of the list called panels.
func insert(text string, item []string) (string, bool) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	head := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "panels:") })
	if head < 0 {
		return "", false
	}
	if rest, _, _ := strings.Cut(strings.TrimPrefix(lines[head], "panels:"), "#"); strings.TrimSpace(rest) != "" {
		return "", false
	}
	end, indent := head+1, -1
	for i := head + 1; i < len(lines); i++ {
		bare := strings.TrimLeft(lines[i], " ")
		dash := strings.HasPrefix(bare, "- ") || bare == "-"
		if bare == "" || strings.HasPrefix(bare, "#") {
			continue // it may belong to what comes next
		}
		if len(bare) == len(lines[i]) && !dash {
			break // the next key
		}
		if dash && indent < 0 {
			indent = len(lines[i]) - len(bare)
		}
		end = i + 1
	}
	indent = max(indent, 0)
	if end == head+1 {
		indent = 2
	}
	made := make([]string, len(item))
	for i, l := range item {
		made[i] = strings.Repeat(" ", indent) + l
	}
	return strings.Join(slices.Insert(lines, end, made...), "\n") + "\n", true
}

// lines are the panel as an item of a YAML list; what is as by default is left out.
func (p Panel) lines() []string {
	var out []string
	add := func(key, value string) {
		mark := "  "
		if len(out) == 0 {
			mark = "- "
		}
		out = append(out, mark+key+": "+value)
	}
	text := func(key, value, usual string) {
		if value != "" && value != usual {
			add(key, quoted(value))
		}
	}
	number := func(key string, v *float64) {
		if v != nil {
			add(key, strconv.FormatFloat(*v, 'g', -1, 64))
		}
	}
	text("title", p.Title, "")
	text("kind", p.Kind, "line")
	if p.Width != 0 && p.Width != 6 {
		add("width", strconv.Itoa(p.Width))
	}
	text("from", p.From, "")
	text("until", p.Until, "")
	number("y_min", p.YMin)
	number("y_max", p.YMax)
	text("unit", p.Unit, "")
	add("targets", "")
	out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], " ")
	for _, t := range p.Targets {
		out = append(out, "    - "+quoted(t))
	}
	if len(p.Thresholds) > 0 {
		out = append(out, "  thresholds:")
	}
	for _, t := range p.Thresholds {
		key, v := "above", t.Above
		if v == nil {
			key, v = "below", t.Below
		}
		if v == nil {
			v = new(float64)
		}
		level := ""
		if t.Level != "" && t.Level != "critical" {
			level = ", level: " + quoted(t.Level)
		}
		out = append(out, fmt.Sprintf("    - {%s: %s%s}", key, strconv.FormatFloat(*v, 'g', -1, 64), level))
	}
	return out
}

// quoted is a text in YAML: as it is where that is clear, else in quotes, whose
// rules are those of JSON.
func quoted(s string) string {
	plain := s != "" && len(s) < 60
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		plain = plain && (letter || i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'))
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("BUG: a text cannot be written as JSON: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}
