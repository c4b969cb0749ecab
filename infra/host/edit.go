package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"steer/base/fault"
	"steer/base/id"
)

// Loan is an entry of further hosts that are there for a time.
type Loan struct {
	Name        string    // of the entry; its hosts begin with it
	Like        string    // entry that they are like
	Number      int       // how many
	Until       time.Time // when they go
	RequestedBy id.Person
	Reason      string
}

// SetNumber changes in the text of hosts.yaml how many hosts an entry has, and nothing
// else.
func SetNumber(text []byte, name string, number int) ([]byte, error) {
	e, err := find(text, name)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	said := fmt.Sprintf("number: %d", number)
	switch is := e.value("number"); {
	case is != nil && is.Kind == yaml.ScalarNode && is.Style == 0:
		insert(lines, is, len(is.Value), fmt.Sprint(number))
	case is != nil || e.body.Kind != yaml.MappingNode || len(e.body.Content) == 0:
		return nil, byHand(name)
	case e.body.Style&yaml.FlowStyle != 0:
		insert(lines, e.body, 1, "{"+said+", ")
	default:
		first := e.body.Content[0]
		insert(lines, first, 0, said+"\n"+strings.Repeat(" ", first.Column-1))
	}
	return edited(lines, func(all []Named) bool {
		for _, e := range all {
			if e.Name == name {
				return e.Number == number
			}
		}
		return false
	}, name)
}

// AddLoan writes an entry at the end of the text of hosts.yaml.
func AddLoan(text []byte, l Loan) ([]byte, error) {
	b := bytes.TrimRight(text, "\n")
	b = append(b, fmt.Sprintf("\n\n%s:\n  like: %s\n  number: %d\n  until: %s\n  requested_by: %s\n", l.Name, l.Like, l.Number, l.Until.UTC().Format(time.RFC3339), quoted(string(l.RequestedBy)))...)
	if l.Reason != "" {
		b = append(b, "  reason: "+quoted(l.Reason)+"\n"...)
	}
	return edited([]string{string(b)}, func(all []Named) bool {
		for _, e := range all {
			if e.Name == l.Name {
				return e.Number == l.Number && e.Like == l.Like && e.Until.Equal(l.Until.Truncate(time.Second))
			}
		}
		return false
	}, l.Name)
}

// RemoveEntry takes an entry out of the text of hosts.yaml.
func RemoveEntry(text []byte, name string) ([]byte, error) {
	e, err := find(text, name)
	if err != nil {
		return nil, err
	}
	if e.root.Style&yaml.FlowStyle != 0 {
		return nil, byHand(name)
	}
	lines := strings.SplitAfter(string(text), "\n")
	first, last := e.key.Line-1, end(e.body)
	if first > 0 && strings.TrimSpace(lines[first-1]) == "" {
		first--
	}
	return edited(append(lines[:first:first], lines[last:]...), func(all []Named) bool {
		for _, e := range all {
			if e.Name == name {
				return false
			}
		}
		return true
	}, name)
}

// written is where an entry stands in the text.
type written struct{ root, key, body *yaml.Node }

func (e written) value(key string) *yaml.Node {
	for i := 0; e.body.Kind == yaml.MappingNode && i+1 < len(e.body.Content); i += 2 {
		if e.body.Content[i].Value == key {
			return e.body.Content[i+1]
		}
	}
	return nil
}

func find(text []byte, name string) (e written, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return e, fault.New(fault.Invalid, "read %s: %w", InventoryFile, err)
	}
	if len(doc.Content) > 0 {
		e.root = doc.Content[0]
		for i := 0; e.root.Kind == yaml.MappingNode && i+1 < len(e.root.Content); i += 2 {
			if e.root.Content[i].Value == name {
				e.key, e.body = e.root.Content[i], e.root.Content[i+1]
				return e, nil
			}
		}
	}
	return e, fault.New(fault.NotFound, "%s has no entry %q", InventoryFile, name)
}

// insert puts text in place of so many letters at a node.
func insert(lines []string, at *yaml.Node, letters int, text string) {
	line := []rune(lines[at.Line-1])
	lines[at.Line-1] = string(line[:at.Column-1]) + text + string(line[at.Column-1+letters:])
}

// end is the last line of a node.
func end(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, end(c))
	}
	return last
}

// edited makes one text of lines, if it says what it should.
func edited(lines []string, says func([]Named) bool, name string) ([]byte, error) {
	text := []byte(strings.Join(lines, ""))
	_, entries, err := parseInventory(text)
	if err != nil {
		return nil, fmt.Errorf("change %s of %s: %w", name, InventoryFile, err)
	}
	if !says(named(entries)) {
		return nil, byHand(name)
	}
	return text, nil
}

func byHand(name string) error {
	return fault.New(fault.Conflict, "%s is written in a way that cannot be changed by itself in %s: change it by hand", name, InventoryFile)
}

// quoted is a text in one line. What nobody sees is escaped: some of it ends a line, or
// begins a document, in YAML.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(errors.Join(errors.New("BUG: a text is no JSON"), err))
	}
	var text strings.Builder
	for _, r := range strings.TrimSpace(b.String()) {
		if r == ' ' || unicode.IsPrint(r) {
			text.WriteRune(r)
		} else {
			fmt.Fprintf(&text, `\U%08x`, r)
		}
	}
	return text.String()
}
