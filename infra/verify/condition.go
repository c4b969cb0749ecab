package verify

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"steer/infra/verify/internal/machine"
)

// Mode is the mode of a file: its permissions with setuid, setgid and sticky bits.
type Mode uint32

// String is the mode as ls and chmod know it: 0644.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

func modeOf(m fs.FileMode) Mode {
	out := Mode(m.Perm())
	for bit, octal := range map[fs.FileMode]Mode{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			out |= octal
		}
	}
	return out
}

func parseMode(text string) (Mode, error) {
	m, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is no mode (write it in quotes and octal, like \"0644\")", text)
	}
	return Mode(m), nil
}

// Content is a text to search in.
type Content struct {
	Text string
	// Quiet keeps it out of reports: it may hold secrets.
	Quiet bool
}

// Noted is a value with an explanation.
type Noted struct {
	Value any
	Note  string
}

// Finding is something that is wrong with one thing of a host.
type Finding = machine.Finding

// Findings are everything that is wrong. It is compared as the list of its texts.
type Findings []Finding

func (f Findings) texts() []string {
	var all []string
	for _, one := range f {
		all = append(all, one.Text)
	}
	return all
}

// Nothing says why a property is not there.
type Nothing string

func (w is) holds(found any) (bool, error) {
	switch f := found.(type) {
	case string:
		return f == string(w), nil
	case bool:
		return strconv.FormatBool(f) == strings.ToLower(string(w)), nil
	case Mode:
		m, err := parseMode(string(w))
		return m == f, err
	case Content:
		if w == "" {
			return f.Text == "", nil
		}
		return strings.Contains(f.Text, string(w)), nil
	case []string:
		return some(w, f)
	}
	n, err := number(string(w))
	if err != nil {
		return false, err
	}
	return compare(found, func(f float64) bool { return f == n })
}

func (w matches) holds(found any) (bool, error) {
	switch f := found.(type) {
	case string:
		return w.MatchString(f), nil
	case Content:
		return w.MatchString(f.Text), nil
	case []string:
		return some(w, f)
	}
	return w.MatchString(show(found)), nil
}

func (w above) holds(found any) (bool, error) {
	if list, ok := found.([]string); ok {
		return some(w, list)
	}
	return compare(found, func(f float64) bool { return f > float64(w) })
}

func (w below) holds(found any) (bool, error) {
	if list, ok := found.([]string); ok {
		return some(w, list)
	}
	return compare(found, func(f float64) bool { return f < float64(w) })
}

func (w not) holds(found any) (bool, error) {
	ok, err := w.Value.holds(found)
	return !ok && err == nil, err
}

func (w anyOf) holds(found any) (bool, error) {
	for _, v := range w {
		if ok, err := v.holds(found); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (w only) holds(found any) (bool, error) {
	list, ok := found.([]string)
	if !ok {
		return false, fmt.Errorf("only is for lists, and this is %s", show(found))
	}
	met := make([]bool, len(w))
	for _, f := range list {
		known := false
		for i, v := range w {
			ok, err := v.holds(f)
			if err != nil {
				return false, err
			}
			known, met[i] = known || ok, met[i] || ok
		}
		if !known {
			return false, nil
		}
	}
	return !slices.Contains(met, false), nil
}

// holds tells whether all conditions do.
func (v Value) holds(found any) (bool, error) {
	for _, c := range v {
		if ok, err := c.holds(found); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func some(c condition, list []string) (bool, error) {
	for _, f := range list {
		if ok, err := c.holds(f); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func compare(found any, f func(float64) bool) (bool, error) {
	switch n := found.(type) {
	case int:
		return f(float64(n)), nil
	case float64:
		return f(n), nil
	case string:
		x, err := number(n)
		return err == nil && f(x), err
	}
	return false, fmt.Errorf("%s is no number", show(found))
}

func (w is) String() string      { return quoted(string(w)) }
func (w matches) String() string { return "/" + strings.TrimPrefix(w.Regexp.String(), "(?m)") + "/" }
func (w above) String() string   { return fmt.Sprintf("above %v", float64(w)) }
func (w below) String() string   { return fmt.Sprintf("below %v", float64(w)) }
func (w not) String() string     { return "not " + w.Value.String() }
func (w anyOf) String() string   { return joined(w, " or ") }
func (w only) String() string    { return "only [" + joined(w, ", ") + "]" }

// String is the value as reports show it.
func (v Value) String() string { return joined(v, " and ") }

// MarshalText is String, for configuration.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText is Value's.
func (t Text) MarshalText() ([]byte, error) { return Value(t).MarshalText() }

// MarshalText is Value's.
func (n Number) MarshalText() ([]byte, error) { return Value(n).MarshalText() }

func joined[T fmt.Stringer](all []T, by string) string {
	var texts []string
	for _, c := range all {
		texts = append(texts, c.String())
	}
	return strings.Join(texts, by)
}

// most is how much of a text reports show.
const most = 200

// quoted shows a text: as it is, if it is one plain word.
func quoted(s string) string {
	s = strings.ToValidUTF8(s, "?")
	cut := ""
	if len(s) > most {
		s, cut = strings.ToValidUTF8(s[:most], ""), "…"
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == '"' || r == ',' || !strconv.IsGraphic(r) || r == ' ' }) {
		s = strconv.Quote(s)
	}
	return s + cut
}

// show words what was found.
func show(found any) string {
	switch f := found.(type) {
	case string:
		return quoted(f)
	case []string:
		var items []string
		for i, s := range f {
			if i == 10 {
				items = append(items, fmt.Sprintf("… and %d more", len(f)-i))
				break
			}
			items = append(items, quoted(s))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case Findings:
		if len(f) == 0 {
			return "none"
		}
		var items []string
		for i, one := range f {
			if i == 10 {
				items = append(items, fmt.Sprintf("and %d more", len(f)-i))
				break
			}
			items = append(items, cutText(one.Text))
		}
		return strings.Join(items, "; ")
	case Content:
		if f.Quiet || f.Text == "" {
			return fmt.Sprintf("a text of %d bytes", len(f.Text))
		}
		return quoted(strings.TrimSpace(f.Text))
	case Noted:
		return show(f.Value) + " (" + cutText(f.Note) + ")"
	case Nothing:
		if f == "" {
			return "nothing"
		}
		return "nothing (" + cutText(string(f)) + ")"
	}
	return fmt.Sprint(found)
}

// cutText makes one line of a sentence, without anything that moves a terminal's
// cursor.
func cutText(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	s = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	if len(s) > 2*most {
		s = strings.ToValidUTF8(s[:2*most], "") + "…"
	}
	return s
}
