package edit

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Line is a line in a file as it should be.
type Line struct {
	Edit  `yaml:",inline"`
	Text  string `yaml:"text,omitempty" doc:"The line, without its end. It is part of the resource's name, so it must not hold a secret: use file, template or block for these."`
	Match string `yaml:"match,omitempty" doc:"Regular expression for the line that it takes the place of, or, with state absent, for all lines to remove."`
	All   bool   `yaml:"all,omitempty" doc:"When match finds several lines: the first becomes the line, the others are removed. Else that is an error."`
}

// LineKind is the kind line.
func LineKind() infra.Kind {
	return infra.Kind{
		Name: "line",
		Doc: "One line in a file whose rest belongs to others. Without match it is added when it is not there; with match it takes the place of the line that the expression finds. " +
			"The ends of lines stay as they are in the file. Of several lines in one file each is done after the other, in the order of the role.",
		Key: "path",
		Example: `- line: /etc/ssh/sshd_config
  match: ^#?PermitRootLogin
  text: PermitRootLogin no
  validate: sshd -t -f %s
  notify: service:ssh
`,
		New: func() infra.Resource { return &Line{} },
	}
}

// ID is the path with the line.
func (l *Line) ID() string {
	if l.Text == "" {
		return l.Path + ":" + l.Match
	}
	return l.Path + ":" + l.Text
}

// Check looks at the declaration.
func (l *Line) Check() error {
	switch {
	case l.Text == "" && (l.State != place.Absent || l.Match == ""):
		return fmt.Errorf("text: is missing (write the line)")
	case strings.ContainsAny(l.Text, "\r\n\x00"):
		return fmt.Errorf("text: is more than one line (use block)")
	case l.All && l.Match == "":
		return fmt.Errorf("all: is for lines that match finds (write match)")
	}
	return checkRegexp("match", l.Match)
}

// Absent declares the line away; not what match would find, which may be another
// line by now.
func (l *Line) Absent() infra.Resource {
	return &Line{Edit: Edit{Path: l.Path, State: place.Absent}, Text: l.Text}
}

// Diff compares.
func (l *Line) Diff(context.Context, *infra.Host) (infra.Diff, error) { return l.compare(l.change) }

// Apply writes the file.
func (l *Line) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	return l.apply(ctx, h, l.change)
}

// change makes of a text one that holds the line, or holds it no more.
func (l *Line) change(old string) (string, infra.Action, error) {
	all := lines(old)
	var match *regexp.Regexp
	if l.Match != "" {
		match = regexp.MustCompile(l.Match)
	}
	var found []int
	exact := 0
	for i, line := range all {
		is := l.Text != "" && bare(line) == l.Text
		if is {
			exact++
		}
		if is || match != nil && match.MatchString(bare(line)) {
			found = append(found, i)
		}
	}
	switch {
	case l.State == place.Absent:
		return without(all, found), infra.Delete, nil
	case len(found) == 0:
		return strings.Join(l.insert(all, []string{l.Text + end(all)}), ""), infra.Create, nil
	case exact == len(found):
		return old, infra.None, nil
	case len(found) > 1 && !l.All:
		var numbers []string
		for _, i := range found[:min(len(found), 5)] {
			numbers = append(numbers, strconv.Itoa(i+1))
		}
		return "", "", fault.New(fault.Conflict, "%s: match finds %d lines (%s): let it match one only, or write all: true to make one of them", l.Path, len(found), strings.Join(numbers, ", "))
	}
	first := found[0]
	all[first] = l.Text + strings.TrimPrefix(all[first], bare(all[first]))
	return without(all, found[1:]), infra.Update, nil
}

// without is the text of all lines but some.
func without(all []string, but []int) string {
	var b strings.Builder
	for i, line := range all {
		if len(but) > 0 && but[0] == i {
			but = but[1:]
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}
