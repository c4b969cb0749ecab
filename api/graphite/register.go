package graphite

import (
	"net/http"
	"slices"

	"steer/base/fault"
	"steer/monitor/receive/graphite"
	"steer/monitor/store"
)

// tagWriters are the paths by which Carbon tells Graphite which series there are. A
// series of Steer has its tags by its name, and is there as long as it has points,
// so that nothing changes: a name is answered as the series is called.
func (s *server) tagWriters() map[string]func(http.ResponseWriter, *http.Request, parameters) error {
	return map[string]func(http.ResponseWriter, *http.Request, parameters) error{
		"/tags/tagSeries": s.tagSeries, "/tags/tagMultiSeries": s.tagMultiSeries, "/tags/delSeries": s.delSeries,
	}
}

// mostNames bounds the names of one request.
const mostNames = 10_000

// names are the series that a request is about, as they are called here.
func (p parameters) names(r *http.Request) ([]string, error) {
	if _, err := author(r); err != nil {
		return nil, err
	}
	given := p.Values["path"]
	if len(given) == 0 {
		given = p.Values["path[]"]
	}
	if len(given) == 0 || len(given) > mostNames {
		return nil, fault.New(fault.Invalid, "%s: %d names in the parameter path; give 1 to %d, like path=disk.used;host=web1", r.URL.Path, len(given), mostNames)
	}
	names := make([]string, len(given))
	for i, name := range given {
		var err error
		if names[i], err = graphite.Canonical(name); err != nil {
			return nil, fault.New(fault.Invalid, "%s: series %.100q: %w", r.URL.Path, name, err)
		}
	}
	return names, nil
}

func (s *server) tagSeries(w http.ResponseWriter, r *http.Request, p parameters) error {
	names, err := p.names(r)
	if err != nil {
		return err
	}
	return plain(w, p, func(out *writer) { out.text(names[len(names)-1]) })
}

func (s *server) tagMultiSeries(w http.ResponseWriter, r *http.Request, p parameters) error {
	names, err := p.names(r)
	if err != nil {
		return err
	}
	return plain(w, p, func(out *writer) { out.list(names) })
}

// delSeries says true of series that are not there, and refuses to say so of others.
func (s *server) delSeries(w http.ResponseWriter, r *http.Request, p parameters) error {
	names, err := p.names(r)
	if err != nil {
		return err
	}
	for _, name := range names {
		var match []store.TagMatch
		for _, tag := range store.ParseTags(name) {
			match = append(match, store.TagMatch{Tag: tag.Name, Value: tag.Value})
		}
		// Others may have these tags and more.
		found, err := s.Tags.Select(r.Context(), match, mostListed)
		if err != nil {
			return err
		}
		if slices.Contains(found, name) {
			return fault.New(fault.Conflict, "%s: the series %.100q has points; it goes by itself when the last one has expired (retentions say when)", r.URL.Path, name)
		}
	}
	return plain(w, p, func(out *writer) { out.put("true") })
}
