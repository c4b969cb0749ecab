package graphite

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"steer/base/fault"
	"steer/monitor/store"
)

// Tags finds series by their tags, and lists tags and values, as store.Driver
// says.
type Tags interface {
	Select(ctx context.Context, match []store.TagMatch, limit int) ([]string, error)
	Tags(ctx context.Context, match []store.TagMatch, prefix string, limit int) ([]string, error)
	TagValues(ctx context.Context, tag string, match []store.TagMatch, prefix string, limit int) ([]string, error)
}

// Bounds on lists of tags, values and series. Graphite has only the first one.
const (
	usuallySuggested = 100
	mostListed       = 10_000
	mostCounted      = 1_000_000 // series
)

// tagHandlers are the paths below /tags that only read.
func (s *server) tagHandlers() map[string]func(http.ResponseWriter, *http.Request, parameters) error {
	return map[string]func(http.ResponseWriter, *http.Request, parameters) error{
		"/tags": s.listTags, "/tags/{tag}": s.describeTag, "/tags/findSeries": s.findSeries,
		"/tags/autoComplete/tags": s.suggestTags, "/tags/autoComplete/values": s.suggestValues,
	}
}

// matches are the tag expressions of a request.
func (p parameters) matches() ([]store.TagMatch, error) {
	given := p.Values["expr"]
	if len(given) == 0 {
		given = p.Values["expr[]"]
	}
	return store.ParseTagMatches(given)
}

// limit is the parameter limit, at most mostListed.
func (p parameters) limit(usual int) (int, error) {
	text := p.Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "limit %q is no whole number", text)
	}
	return min(n, mostListed), nil
}

// filtered keeps the texts that the regular expression in the parameter filter
// finds at their start, and of them the first limit.
func (p parameters) filtered(texts []string) ([]string, error) {
	limit, err := p.limit(mostListed)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile("^(?:" + p.Get("filter") + ")")
	if err != nil {
		return nil, fault.New(fault.Invalid, "filter is no regular expression: %w", err)
	}
	texts = slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return !re.MatchString(t) })
	return texts[:min(limit, len(texts))], nil
}

// plain answers in JSON. Graphite has no jsonp here.
func plain(w http.ResponseWriter, p parameters, write func(out *writer)) error {
	out, err := open(w, p.uncalled())
	if err != nil {
		return err
	}
	write(out)
	return out.end()
}

func (s *server) listTags(w http.ResponseWriter, r *http.Request, p parameters) error {
	tags, err := s.Tags.Tags(r.Context(), nil, "", 0)
	if err != nil {
		return fmt.Errorf("list tags: %w", err)
	}
	if tags, err = p.filtered(tags); err != nil {
		return fmt.Errorf("list tags: %w", err)
	}
	return plain(w, p, func(out *writer) {
		out.put("[")
		for i, tag := range tags {
			if i > 0 {
				out.put(", ")
			}
			out.put(`{"tag": `)
			out.text(tag)
			out.put("}")
		}
		out.put("]")
	})
}

// describeTag lists the values of a tag, and how many series have each.
func (s *server) describeTag(w http.ResponseWriter, r *http.Request, p parameters) error {
	tag := r.PathValue("tag")
	counts, err := s.count(r.Context(), tag)
	if err != nil {
		return fmt.Errorf("count series by the tag %q: %w", tag, err)
	}
	values, err := p.filtered(slices.Sorted(maps.Keys(counts)))
	if err != nil {
		return fmt.Errorf("list values of the tag %q: %w", tag, err)
	}
	return plain(w, p, func(out *writer) {
		if len(counts) == 0 {
			out.put("null")
			return
		}
		out.put(`{"tag": `)
		out.text(tag)
		out.put(`, "values": [`)
		for i, value := range values {
			if i > 0 {
				out.put(", ")
			}
			out.put(`{"count": `)
			out.integer(counts[value])
			out.put(`, "value": `)
			out.text(value)
			out.put("}")
		}
		out.put("]}")
	})
}

// count says how many series have each value of a tag.
func (s *server) count(ctx context.Context, tag string) (map[string]int64, error) {
	names, err := s.Tags.Select(ctx, []store.TagMatch{{Tag: tag, Not: true}}, mostCounted+1)
	if err != nil {
		return nil, err
	}
	if len(names) > mostCounted {
		return nil, fault.New(fault.TooMuch, "more than %d have it; /tags/autoComplete/values lists values without counting", mostCounted)
	}
	counts := map[string]int64{}
	for _, name := range names {
		for _, t := range store.ParseTags(name) {
			if t.Name == tag {
				counts[t.Value]++
			}
		}
	}
	return counts, nil
}

func (s *server) findSeries(w http.ResponseWriter, r *http.Request, p parameters) error {
	match, err := p.matches()
	if err != nil {
		return err
	}
	names, err := s.Tags.Select(r.Context(), match, mostListed+1)
	if err != nil {
		return err
	}
	if len(names) > mostListed {
		return fault.New(fault.TooMuch, "find series by tags: there are more than %d; narrow the expressions", mostListed)
	}
	return plain(w, p, func(out *writer) { out.list(names) })
}

// suggestTags lists tags that narrow a choice further.
func (s *server) suggestTags(w http.ResponseWriter, r *http.Request, p parameters) error {
	match, err := p.matches()
	if err != nil {
		return err
	}
	if len(match) > 0 {
		if err := store.CheckTagMatches(match); err != nil {
			return err
		}
	}
	limit, err := p.limit(usuallySuggested)
	if err != nil {
		return err
	}
	tags, err := s.Tags.Tags(r.Context(), match, p.Get("tagPrefix"), 0)
	if err != nil {
		return err
	}
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return slices.ContainsFunc(match, func(m store.TagMatch) bool { return m.Tag == tag })
	})
	return plain(w, p, func(out *writer) { out.list(tags[:min(limit, len(tags))]) })
}

func (s *server) suggestValues(w http.ResponseWriter, r *http.Request, p parameters) error {
	tag := p.Get("tag")
	if tag == "" {
		return fault.New(fault.Invalid, "suggest values: the parameter tag is missing; for example tag=host")
	}
	match, err := p.matches()
	if err != nil {
		return err
	}
	if len(match) > 0 { // those without the tag have no value to suggest
		match = append(match, store.TagMatch{Tag: tag, Not: true})
	}
	limit, err := p.limit(usuallySuggested)
	if err != nil {
		return err
	}
	values := []string{}
	if limit > 0 {
		if values, err = s.Tags.TagValues(r.Context(), tag, match, p.Get("valuePrefix"), limit); err != nil {
			return err
		}
	}
	return plain(w, p, func(out *writer) { out.list(values) })
}
