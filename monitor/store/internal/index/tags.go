package index

import (
	"context"
	"slices"
	"strings"
)

// tags is the inverted index of names that have tags besides their path.
type tags struct {
	names  []string
	values map[string]map[string][]uint32 // tag → value → places in names, which ascend
}

func (x *tags) add(names []string) {
	for _, name := range names {
		if !strings.Contains(name, ";") {
			continue
		}
		if x.values == nil {
			x.values = map[string]map[string][]uint32{}
		}
		n := uint32(len(x.names))
		x.names = append(x.names, name)
		for _, t := range ParseTags(name) {
			values := x.values[t.Name]
			if values == nil {
				values = map[string][]uint32{}
				x.values[t.Name] = values
			}
			values[t.Value] = append(values[t.Value], n)
		}
	}
}

// each hands the names that match all expressions to take; without any there
// are none.
func (x *Index) each(ctx context.Context, match []Match, take func(name string)) error {
	if len(match) == 0 {
		return nil
	}
	if err := x.plain(ctx, match, take); err != nil {
		return err
	}
	steps := 0
	for _, n := range x.tags.candidates(match) {
		if steps++; steps%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if name := x.tags.names[n]; matchAll(ParseTags(name), match) {
			take(name)
		}
	}
	return nil
}

// plain takes names without tags: all expressions but those about the name must
// do with an absent tag.
func (x *Index) plain(ctx context.Context, match []Match, take func(name string)) error {
	path := ""
	for _, m := range match {
		switch {
		case m.Tag != "name" && !m.Matches(""):
			return nil
		case m.Tag == "name" && m.Match == nil && !m.Not:
			path = m.Value
		}
	}
	consider := func(name string) bool {
		if !strings.Contains(name, ";") && matchAll([]Tag{{"name", name}}, match) {
			take(name)
		}
		return ctx.Err() == nil
	}
	if path == "" {
		x.root.leaves("", consider)
		return ctx.Err()
	}
	at := &x.root
	for rest, more := path, true; more && at != nil; {
		var part string
		part, rest, more = cutNode(rest)
		at = at.child(part)
	}
	if at != nil && at.leaf {
		consider(path)
	}
	return ctx.Err()
}

// candidates are the places of a superset of the names with tags that match: the
// fewest that one expression asks for.
func (x *tags) candidates(match []Match) (best []uint32) {
	found := false
	for _, m := range match {
		if m.Matches("") {
			continue // absent is fine too: it narrows nothing
		}
		var places []uint32
		if values := x.values[m.Tag]; m.Match == nil && !m.Not {
			places = values[m.Value]
		} else {
			for value, some := range values {
				if m.Matches(value) {
					places = append(places, some...)
				}
			}
			slices.Sort(places)
		}
		if !found || len(places) < len(best) {
			best, found = places, true
		}
	}
	return best
}

func matchAll(tags []Tag, match []Match) bool {
	for _, m := range match {
		value := ""
		for _, t := range tags {
			if t.Name == m.Tag {
				value = t.Value
			}
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}
