package system

import (
	"context"
	"os"
	"strconv"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Capture is the setting as it is, and whether our file sets it at the next start.
func (s *Sysctl) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	is := &Sysctl{Name: s.Name, Running: s.Running, State: absent}
	text, err := readText(s.file())
	if err != nil {
		return nil, err
	}
	if text != "" {
		is.State = present
		_, is.Value, _ = strings.Cut(strings.TrimSpace(text), " = ")
		if is.text() != text {
			return nil, fault.New(fault.Conflict, "%s was not written by Steer", s.file())
		}
	}
	if !s.runs() {
		return is, nil
	}
	live, err := s.read()
	switch {
	case os.IsNotExist(err):
		is.Running = new(bool) // whatever brings it is not there yet
		return is, nil
	case err != nil:
		return nil, err
	case is.State == present && is.Value != live:
		return nil, fault.New(fault.Conflict, "%s was %s now and %s at the next start", s.Name, live, is.Value)
	}
	is.Value = live
	return is, nil
}

// Capture is the mount as /etc/fstab has it.
func (m *Mount) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	text, err := table(h)
	if err != nil {
		return nil, err
	}
	_, mounted, err := m.now(h)
	if err != nil {
		return nil, err
	}
	var found []tableLine
	for line := range strings.Lines(text) {
		if t, ok := parseTableLine(line); ok && t.path == m.Path {
			found = append(found, t)
		}
	}
	switch {
	case len(found) == 0 && !mounted:
		return m.Absent(), nil
	case len(found) == 0:
		return nil, fault.New(fault.Conflict, "what was mounted at %s is not in %s", m.Path, tableFile)
	case len(found) > 1:
		return nil, fault.New(fault.Conflict, "%s has %d lines for %s", tableFile, len(found), m.Path)
	case !mounted && m.State == isMounted:
		return nil, fault.New(fault.Conflict, "what %s has for %s was not mounted", tableFile, m.Path)
	}
	t := found[0]
	is := &Mount{Path: m.Path, Source: t.source, Type: t.fsType, Options: options(t.options), State: isMounted}
	if !mounted {
		is.State = present
	}
	var err1, err2 error
	is.Dump, err1 = strconv.Atoi(t.dump)
	if is.Pass, err2 = strconv.Atoi(t.pass); err1 != nil || err2 != nil {
		return nil, fault.New(fault.Conflict, "%s has no numbers at the end of the line for %s", tableFile, m.Path)
	}
	return is, nil
}

// options parts a field of fstab at commas; one in quotes, or after a sign of equality with
// quotes, belongs to its option.
func options(field string) []string {
	var all []string
	quoted, from := false, 0
	for i, c := range field {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			all, from = append(all, field[from:i]), i+1
		}
	}
	return append(all, field[from:])
}

// Capture is the name that the host has.
func (n *Hostname) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	running, err := os.Hostname()
	return &Hostname{Name: running}, err
}

// Capture is the zone that the host has; without one, UTC.
func (z *Timezone) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	target, err := os.Readlink(localtime)
	if os.IsNotExist(err) {
		return &Timezone{Name: "UTC"}, nil
	}
	name, ok := strings.CutPrefix(strings.TrimPrefix(target, ".."), zones+"/")
	if err != nil || !ok {
		return nil, fault.New(fault.Conflict, "%s was no link to a zone in %s", localtime, zones)
	}
	return &Timezone{Name: name}, nil
}

// Capture is what is loaded in the table, as it was written where that is known.
func (f *Firewall) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	file, err := readText(firewallFile)
	if err != nil {
		return nil, err
	}
	loaded := ""
	if h.Has("nft") {
		if loaded, err = f.loaded(ctx, h); err != nil {
			return nil, err
		}
	}
	if loaded == "" {
		return f.Absent(), nil
	}
	is := &Firewall{Policy: "drop", State: present, Content: inside(file)}
	if file != is.withHash(loaded) {
		is.Content = inside(loaded)
	}
	return is, nil
}

// inside is what stands in a table, from the text of one.
func inside(text string) string {
	if _, body, ok := strings.Cut(text, "\ntable "+firewallTable+" {\n"); ok {
		text = body
	} else {
		text = strings.TrimPrefix(text, "table "+firewallTable+" {\n")
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\n}")
}

// Rewrites are both files.
func (c *Certificate) Rewrites(*infra.Host) (files []string, secret bool, err error) {
	return []string{c.KeyPath, c.Path}, true, nil
}
