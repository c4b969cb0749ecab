package graphite

import (
	"net/http"
	"slices"
	"strconv"

	"steer/base/fault"
	"steer/monitor/query"
)

// functions lists the table of functions as Graphite does, with the second names
// as entries of their own.
func (s *server) functions(w http.ResponseWriter, _ *http.Request, p parameters) error {
	out, err := open(w, p.uncalled())
	if err != nil {
		return err
	}
	type entry struct {
		name string
		f    *query.Function
	}
	groups := map[string][]entry{}
	var names []string
	for _, f := range query.Functions() {
		if g := p.Get("group"); p.Get("type") == "pie" || g != "" && g != f.Group {
			continue
		}
		group := ""
		if p.yes("grouped") {
			group = f.Group
		}
		if groups[group] == nil {
			names = append(names, group)
		}
		groups[group] = append(groups[group], entry{f.Name, f})
		for _, alias := range f.Aliases {
			groups[group] = append(groups[group], entry{alias, f})
		}
	}
	slices.Sort(names)
	out.put("{")
	for i, group := range names {
		if p.yes("grouped") {
			if i > 0 {
				out.put(", ")
			}
			out.text(group)
			out.put(": {")
		}
		slices.SortFunc(groups[group], func(a, b entry) int {
			if a.name < b.name {
				return -1
			}
			return 1
		})
		for j, e := range groups[group] {
			if j > 0 {
				out.put(", ")
			}
			out.text(e.name)
			out.put(": ")
			describe(out, e.name, e.f)
		}
		if p.yes("grouped") {
			out.put("}")
		}
	}
	out.put("}")
	return out.end()
}

func (s *server) function(w http.ResponseWriter, r *http.Request, p parameters) error {
	name := r.PathValue("name")
	f, ok := s.Engine.Function(name)
	if !ok || p.Get("type") == "pie" {
		return fault.New(fault.NotFound, "describe function %q: there is no such function; /functions lists them", name)
	}
	out, err := open(w, p.uncalled())
	if err != nil {
		return err
	}
	describe(out, name, f)
	return out.end()
}

func describe(out *writer, name string, f *query.Function) {
	signature := f.Signature()
	out.put(`{"name": `)
	out.text(name)
	out.put(`, "function": `)
	out.text(name + signature[len(f.Name):])
	out.put(`, "description": `)
	out.text(f.Doc)
	out.put(`, "module": "steer.monitor.query", "group": `)
	out.text(f.Group)
	out.put(`, "params": [`)
	for i, p := range f.Params {
		if i > 0 {
			out.put(", ")
		}
		out.put(`{"name": `)
		out.text(p.Name)
		out.put(`, "type": `)
		out.text(string(p.Type))
		if !p.Optional && p.Default == "" {
			out.put(`, "required": true`)
		}
		if p.Default != "" {
			out.put(`, "default": `)
			switch {
			case p.Default == "inf":
				out.put("1e9999")
			case p.Quoted():
				out.text(p.Default)
			default:
				out.put(p.Default)
			}
		}
		if p.Repeated {
			out.put(`, "multiple": true`)
		}
		for _, list := range [...]struct {
			name   string
			values []string
		}{{"options", p.Choices()}, {"suggestions", p.Suggest}} {
			for j, s := range list.values {
				if j == 0 {
					out.put(`, "` + list.name + `": [`)
				} else {
					out.put(", ")
				}
				if _, err := strconv.Atoi(s); err == nil || s == "true" || s == "false" || s == "null" {
					out.put(s)
				} else {
					out.text(s)
				}
			}
			if len(list.values) > 0 {
				out.put("]")
			}
		}
		if p.Doc != "" {
			out.put(`, "description": `)
			out.text(p.Doc)
		}
		out.put("}")
	}
	out.put("]}")
}
