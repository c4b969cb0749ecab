package query

import (
	"slices"
	"strings"
)

// Type is what a parameter takes, as /functions lists it.
type Type string

// The types of parameters.
const (
	SeriesList      Type = "seriesList"
	SeriesLists     Type = "seriesLists"
	Integer         Type = "integer"
	Float           Type = "float"
	IntOrInf        Type = "intOrInf"
	Interval        Type = "interval"
	IntOrInterval   Type = "intOrInterval"
	Node            Type = "node"
	NodeOrTag       Type = "nodeOrTag"
	Tag             Type = "tag"
	Date            Type = "date"
	String          Type = "string"
	Bool            Type = "boolean"
	AggFunc         Type = "aggFunc"
	AggOrSeriesFunc Type = "aggOrSeriesFunc"
	Any             Type = "any"
)

// Param is one parameter of a function.
type Param struct {
	Name     string
	Type     Type
	Doc      string
	Default  string   // as it would be written in a target, texts without quotes; "" for none
	Optional bool     // it may be left out; without Default the function sees that it is missing
	Repeated bool     // the last parameter: takes all further arguments
	Options  []string // the values that it takes, where they are few
	Suggest  []string // values that people often want

	// lenient lets through what Graphite's own functions do: fractions for an
	// Integer, other texts than the Options.
	lenient bool
}

// Function is one entry of the table of functions. The table feeds the
// evaluator, the check of arguments, /functions, completion and the reference.
type Function struct {
	Name    string
	Aliases []string // other names; they do not show in the names of results
	Group   string
	Doc     string // one sentence
	Params  []Param

	// combine marks functions that make one series of many: they can be the
	// callback of groupByNode.
	combine bool
	// total is the aggregation of those that need one series after the other only.
	total string
	// selects marks the function whose arguments are expressions about tags: it is
	// read like a path.
	selects bool
	// lists marks functions whose result is several lists of series, one behind
	// the other: only a SeriesLists parameter takes them.
	lists bool
	// run makes the series of a call from the series of its arguments.
	run func(c *call) ([]*Result, error)
	// reach tells the ranges over which the arguments are read, as far as they are
	// known before any data is: the first is the one that run sees, run evaluates
	// the others again. nil: only the call's own.
	reach func(v *evaluation, o *op, s span) ([]span, error)
}

// Signature writes the function with its parameters:
// "scale(seriesList: seriesList, factor: float)".
func (f *Function) Signature() string {
	var b strings.Builder
	b.WriteString(f.Name)
	b.WriteByte('(')
	for i, p := range f.Params {
		if i > 0 {
			b.WriteString(", ")
		}
		if p.Repeated {
			b.WriteByte('*')
		}
		b.WriteString(p.Name)
		b.WriteString(": ")
		b.WriteString(string(p.Type))
		switch {
		case p.Default != "" && p.Quoted():
			b.WriteString(" = \"" + p.Default + "\"")
		case p.Default != "":
			b.WriteString(" = " + p.Default)
		case p.Optional:
			b.WriteByte('?')
		}
	}
	b.WriteByte(')')
	return b.String()
}

// Quoted tells whether values of the parameter are written in quotes.
func (p Param) Quoted() bool {
	switch p.Type {
	case Interval, Date, Tag, String, AggFunc, AggOrSeriesFunc:
		return true
	}
	return false
}

// Choices are the values that the parameter takes, where they are few.
func (p Param) Choices() []string {
	switch p.Type {
	case AggFunc:
		return aggregationNames()
	case AggOrSeriesFunc:
		names := aggregationNames()
		for _, f := range Functions() {
			if f.combine {
				names = append(append(names, f.Name), f.Aliases...)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	return p.Options
}

// Functions is the table of functions, family by family.
func Functions() []*Function {
	var all []*Function
	for _, family := range [][]*Function{
		aliasFunctions(), calculateFunctions(), combineFunctions(), filterFunctions(),
		graphFunctions(), sortFunctions(), specialFunctions(), transformFunctions(), shiftFunctions(),
		mathFunctions(), intervalFunctions(), sliceFunctions(), lineFunctions(), smoothFunctions(), holtWintersFunctions(),
		forecastFunctions(), seasonFunctions(),
		pairFunctions(), reduceFunctions(), tagFunctions(), nestedFunctions(), varyFunctions(),
		legendFunctions(), stackFunctions(), clockFunctions(),
	} {
		all = append(all, family...)
	}
	return all
}

func byName() map[string]*Function {
	m := map[string]*Function{}
	for _, f := range Functions() {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if m[name] != nil {
				panic("BUG: the function " + name + " is in the table twice")
			}
			m[name] = f
		}
	}
	return m
}

// Function finds a function by its name or one of its other names.
func (e *Engine) Function(name string) (*Function, bool) {
	f, ok := e.functions[name]
	return f, ok
}
