package edit

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Rewrites is the whole file: where lines were in it, only that can say.
func (e *Edit) Rewrites(*infra.Host) (files []string, secret bool, err error) {
	return []string{e.Path}, false, nil
}

// Capture is the line that stands in the place of the declared one.
func (l *Line) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	text, _, err := l.text()
	if err != nil {
		return nil, err
	}
	match := regexp.MustCompile(l.Match)
	var found []string
	for _, line := range lines(text) {
		if line = bare(line); l.Text != "" && line == l.Text || l.Match != "" && match.MatchString(line) {
			found = append(found, line)
		}
	}
	is := *l
	switch {
	case len(found) == 0:
		is.State = place.Absent
	case len(slices.Compact(slices.Sorted(slices.Values(found)))) > 1:
		return nil, fault.New(fault.Conflict, "%s has %d lines that %q finds", l.Path, len(found), l.Match)
	default:
		is.State, is.Text = place.Present, found[0]
	}
	return &is, nil
}

// Capture is the block as it stands in the file.
func (b *Block) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	text, _, err := b.text()
	if err == nil {
		_, _, err = b.change(text) // refuses marks that do not fit
	}
	if err != nil {
		return nil, err
	}
	is := *b
	is.State, is.Content = place.Absent, nil
	var inside strings.Builder
	for _, l := range lines(text) {
		switch {
		case b.is(l, "BEGIN"):
			is.State = place.Present
		case b.is(l, "END"):
			content := inside.String()
			is.Content = &content
			return &is, nil
		case is.State == place.Present:
			inside.WriteString(bare(l) + "\n")
		}
	}
	return &is, nil
}
