package query

import (
	"slices"
	"strings"
)

func tagFunctions() []*Function {
	return []*Function{
		{
			Name: "groupByTags", Group: "Combine", Doc: "Combines the series that agree in some tags; the results have these tags only.",
			Params: []Param{many(),
				{Name: "callback", Type: AggOrSeriesFunc, Doc: "an aggregation, or the name of a function that combines series"},
				{Name: "tags", Type: Tag, Repeated: true, Doc: "quoted tags, which every series has"}},
			run: groupByTags,
		},
	}
}

// tagsOf are the tags behind the semicolons of a name, and "name".
func tagsOf(name string) map[string]string {
	path, rest, tagged := strings.Cut(name, ";")
	tags := map[string]string{"name": path}
	for tagged {
		var pair string
		pair, rest, tagged = strings.Cut(rest, ";")
		if k, value, ok := strings.Cut(pair, "="); ok && k != "" {
			tags[k] = value
		}
	}
	return tags
}

// groupByTags names a group like a tagged series: the name that all series share,
// or else the callback, and the tags in order.
func groupByTags(c *call) ([]*Result, error) {
	list, callback := c.input(), c.text("callback")
	byName, keys := false, []string(nil)
	for _, t := range c.scalars("tags") {
		if byName = byName || t.text == "name"; t.text != "name" {
			keys = append(keys, t.text)
		}
	}
	shared := callback
	if len(list) > 0 && !slices.ContainsFunc(list, func(s *Result) bool { return s.Tags["name"] != list[0].Tags["name"] }) {
		shared = list[0].Tags["name"]
	}
	for _, s := range list {
		for _, k := range keys {
			if s.Tags[k] == "" {
				return nil, refused("groupByTags groups by the tag %q, which %s has not; ask for it with seriesByTag(…, %q)", k, brief(s.Name), k+"!=")
			}
		}
	}
	groups, order := grouped(list, func(s *Result) string {
		name := shared
		if byName {
			name = s.Tags["name"]
		}
		pairs := make([]string, len(keys))
		for i, k := range keys {
			pairs[i] = k + "=" + s.Tags[k]
		}
		slices.Sort(pairs)
		return strings.Join(append([]string{name}, pairs...), ";")
	})
	var out []*Result
	for _, k := range order {
		made, err := c.merged(groups[k], callback)
		if err != nil {
			return nil, err
		}
		if len(made) > 0 {
			r := made[0].named(k)
			r.Tags = tagsOf(k)
			out = append(out, r)
		}
	}
	return out, nil
}
