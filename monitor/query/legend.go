package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// legendFunctions write names for the legend of a chart.
func legendFunctions() []*Function {
	var values []string
	for _, name := range aggregationNames() {
		values = append(values, name, name+"Series")
	}
	values = append(values, "si", "binary")
	slices.Sort(values)
	list := []*Function{
		{
			Name: "legendValue", Group: "Alias", Doc: "Puts aggregates of every series behind its name.",
			Params: []Param{many(), {Name: "valuesTypes", Type: String, Optional: true, Repeated: true, Options: values, lenient: true,
				Doc: "the aggregations; si or binary as the last one prints with prefixes of thousands (k, M, G) or 1024s (Ki, Mi, Gi)"}},
			run: legendValue,
		}, {
			Name: "cactiStyle", Group: "Special", Doc: "Puts the last, largest and smallest value behind the name of every series, in columns.",
			Params: []Param{many(), {Name: "system", Type: String, Optional: true, Options: []string{"binary", "si"}, Doc: "prefixes of thousands or 1024s"},
				{Name: "units", Type: String, Optional: true, Doc: "the unit, to put behind the numbers"}},
			run: cactiStyle,
		},
	}
	// What a letter becomes may be longer, in German only.
	upper := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "ß", "ss")) }
	for _, f := range [...]struct {
		name, doc string
		change    func(string) string
	}{{"lower", "small", strings.ToLower}, {"upper", "capital", upper}} {
		list = append(list, &Function{
			Name: f.name, Group: "Alias", Doc: "Turns letters of the names into " + f.doc + " ones.",
			Params: []Param{many(), {Name: "pos", Type: Integer, Optional: true, Repeated: true,
				Doc: "the places of single letters, 0 is the first and -1 the last; all if left out"}},
			run: func(c *call) ([]*Result, error) {
				places := c.scalars("pos")
				return c.renamed(func(s *Result) string {
					if len(places) == 0 {
						return f.change(s.Name)
					}
					letters := strings.Split(s.Name, "")
					for _, p := range places {
						i := int(p.number)
						if i < 0 {
							i += len(letters)
						}
						if i >= 0 && i < len(letters) {
							letters[i] = f.change(letters[i])
						}
					}
					return strings.Join(letters, "")
				})
			},
		})
	}
	return list
}

func legendValue(c *call) ([]*Result, error) {
	var types []string
	for _, t := range c.scalars("valuesTypes") {
		types = append(types, t.text)
	}
	if len(types) == 0 {
		return nil, refused("legendValue needs the names of aggregations")
	}
	system := types[len(types)-1]
	if system != "si" && system != "binary" {
		system = ""
	} else {
		types = types[:len(types)-1]
	}
	return c.renamed(func(s *Result) string {
		name := s.Name
		for _, t := range types {
			shown := "(?)"
			if f := aggregationOf(t); f != nil {
				v := f(s.Values)
				switch {
				case isNull(v):
					shown = "None"
				case system != "":
					shown = prefixed(v, system, "")
				case t == "count":
					shown = whole(v)
				default:
					shown = float(v)
				}
			}
			if system == "" {
				name += " (" + t + ": " + shown + ")"
			} else {
				name = aligned(name, 20) + aligned(t, 5) + aligned(shown, 10)
			}
		}
		return name
	})
}

// cactiStyle finds the width of a column from the whole parts of its numbers, so
// that all but a few line up.
func cactiStyle(c *call) ([]*Result, error) {
	list, system, units := c.input(), c.text("system"), c.text("units")
	print := func(v float64) string {
		switch {
		case isNull(v):
			return "nan"
		case system != "" && units != "":
			return prefixed(v, system, " "+units)
		case system != "":
			return prefixed(v, system, "")
		case units != "":
			return hundredths(v) + " " + units
		}
		return hundredths(v)
	}
	columns := [...]struct {
		title string
		f     aggregation
		width int
	}{{"Current:", last, 0}, {"Max:", maximum, 0}, {"Min:", minimum, 0}}
	names := 0
	for _, s := range list {
		names = max(names, utf8.RuneCountInString(s.Name))
		for i := range columns {
			v := columns[i].f(s.Values)
			if v == 0 || isNull(v) {
				v = 3
			}
			columns[i].width = max(columns[i].width, utf8.RuneCountInString(print(math.Trunc(v)+0))+3)
		}
	}
	return c.renamed(func(s *Result) string {
		name := aligned(s.Name, names) + " "
		for _, column := range columns {
			name += column.title + aligned(print(column.f(s.Values)), column.width) + " "
		}
		return name
	})
}

// prefixed prints a number with two decimals, a prefix of its size, and a unit
// behind it; a space that the unit begins with comes before the prefix.
func prefixed(v float64, system, unit string) string {
	base, prefixes := 1000.0, []string{"", "k", "M", "G", "T", "P"}
	if system == "binary" {
		base, prefixes = 1024, []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	}
	i, size := 0, 1.0
	for i+1 < len(prefixes) && math.Abs(v) >= size*base && !math.IsInf(v, 0) {
		i, size = i+1, size*base
	}
	shown := v / size
	if v > 1 && shown-math.Floor(shown) < 1e-11 {
		shown = math.Floor(shown)
	}
	if rest, ok := strings.CutPrefix(unit, " "); ok {
		return hundredths(shown) + " " + prefixes[i] + rest
	}
	return hundredths(shown) + prefixes[i] + unit
}

func hundredths(v float64) string {
	if math.IsInf(v, 0) {
		return float(v)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func aligned(s string, width int) string { return fmt.Sprintf("%-*s", width, s) }
