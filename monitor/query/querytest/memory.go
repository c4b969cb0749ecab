// Package querytest has a source of series in memory, for tests.
package querytest

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"steer/base/fault"
	"steer/base/metric"
)

// Memory is a source whose series are columns that a test wrote down. It may be
// read concurrently.
type Memory struct {
	columns map[string]metric.Series

	mu      sync.Mutex
	Fetches []Fetch // the calls of Fetch so far
}

// Fetch is one call of Memory.Fetch.
type Fetch struct {
	Names       []string
	From, Until int64
}

// Add puts a series in; its first value belongs to the time start.
func (m *Memory) Add(name string, start, step int64, values ...float64) {
	if m.columns == nil {
		m.columns = map[string]metric.Series{}
	}
	m.columns[name] = metric.Series{Name: name, Start: start, Step: step, Values: values}
}

// Find matches the globs of Graphite: * ? [a-z] [!a] {a,b} within a node, and **
// across nodes.
func (m *Memory) Find(_ context.Context, pattern string, limit int) ([]metric.Match, error) {
	re, err := regexp.Compile(expression(pattern))
	if err != nil {
		return nil, fault.New(fault.Invalid, "find %q: %w", pattern, err)
	}
	found := map[metric.Match]bool{}
	for name := range m.columns {
		nodes := strings.Split(name, ".")
		for i := range nodes {
			path := strings.Join(nodes[:i+1], ".")
			if re.MatchString(path) {
				found[metric.Match{Path: path, Leaf: i == len(nodes)-1}] = true
			}
		}
	}
	matches := make([]metric.Match, 0, len(found))
	for f := range found {
		matches = append(matches, f)
	}
	slices.SortFunc(matches, func(a, b metric.Match) int { return strings.Compare(a.Path, b.Path) })
	return matches[:min(limit, len(matches))], nil
}

// Select compares the tags behind the semicolons of the names, and "name".
func (m *Memory) Select(_ context.Context, expressions []string, limit int) ([]string, error) {
	var names []string
	for name := range m.columns {
		path, rest, _ := strings.Cut(name, ";")
		tags := map[string]string{"name": path}
		for pair := range strings.SplitSeq(rest, ";") {
			k, v, _ := strings.Cut(pair, "=")
			tags[k] = v
		}
		fits := true
		for _, x := range expressions {
			part := regexp.MustCompile(`^([^!=]+)(!?)=(~?)(.*)$`).FindStringSubmatch(x)
			if part == nil {
				return nil, fault.New(fault.Invalid, "tag expression %q has no operator", x)
			}
			equal := tags[part[1]] == part[4]
			if part[3] != "" {
				re, err := regexp.Compile("^(?:" + part[4] + ")")
				if err != nil {
					return nil, fault.New(fault.Invalid, "tag expression %q: %w", x, err)
				}
				equal = re.MatchString(tags[part[1]])
			}
			fits = fits && equal != (part[2] != "")
		}
		if fits {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(limit, len(names))], nil
}

func expression(pattern string) string {
	var b strings.Builder
	b.WriteString("^")
	inList := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^.]*")
		case c == '?':
			b.WriteString("[^.]")
		case c == '[':
			b.WriteByte('[')
			if strings.HasPrefix(pattern[i+1:], "!") {
				b.WriteByte('^')
				i++
			}
		case c == ']':
			b.WriteByte(']')
		case c == '{':
			inList = true
			b.WriteString("(?:")
		case c == '}':
			inList = false
			b.WriteByte(')')
		case c == ',' && inList:
			b.WriteByte('|')
		case c == '-':
			b.WriteByte('-')
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String() + "$"
}

// Fetch lists every point of (from, until] on the grid of each series.
func (m *Memory) Fetch(_ context.Context, names []string, from, until int64, most int, room func(n int) []float64) ([]metric.Series, error) {
	m.mu.Lock()
	m.Fetches = append(m.Fetches, Fetch{slices.Clone(names), from, until})
	m.mu.Unlock()
	var out []metric.Series
	for _, name := range names {
		s, ok := m.columns[name]
		if !ok {
			continue
		}
		first := from - from%s.Step + s.Step
		end := max(until-until%s.Step, first)
		n := int((end-first)/s.Step + 1)
		if most -= n; most < 0 {
			return nil, fault.New(fault.TooMuch, "fetch %q: there are too many points", name)
		}
		column := room(n)
		for i := range column {
			column[i] = math.NaN()
			if at := (first - s.Start + int64(i)*s.Step) / s.Step; first+int64(i)*s.Step >= s.Start && at < int64(len(s.Values)) {
				column[i] = s.Values[at]
			}
		}
		out = append(out, metric.Series{Name: name, Start: first, Step: s.Step, Values: column})
	}
	return out, nil
}

// Values reads a column as tests write it: numbers, "_" for a missing value,
// "5x3" for 5 5 5, "1+2x3" for 1 3 5 7.
func Values(text string) ([]float64, error) {
	var out []float64
	for _, word := range strings.Fields(text) {
		if word == "_" {
			out = append(out, math.NaN())
			continue
		}
		value, times, repeated := strings.Cut(word, "x")
		n, more := 1, 0.0
		var err error
		if repeated {
			if n, err = strconv.Atoi(times); err != nil || n < 1 || n > 1e6 {
				return nil, fmt.Errorf("value %q: how often?", word)
			}
			if i := strings.LastIndexAny(value, "+"); i > 0 {
				if more, err = strconv.ParseFloat(value[i+1:], 64); err != nil {
					return nil, fmt.Errorf("value %q: %w", word, err)
				}
				value = value[:i]
				n++
			}
		}
		v := math.NaN()
		if value != "_" {
			if v, err = strconv.ParseFloat(value, 64); err != nil {
				return nil, fmt.Errorf("value %q: %w", word, err)
			}
		}
		for range n {
			out = append(out, v)
			v += more
		}
	}
	return out, nil
}
