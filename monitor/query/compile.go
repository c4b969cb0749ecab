package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// op is an expression that yields series, checked against the table: a path, or
// a call with all its arguments in place.
type op struct {
	expr *Expr
	path pattern   // where fn is nil
	fn   *Function // nil for a path
	args []arg     // one for each parameter
}

// arg is what was given for one parameter.
type arg struct {
	given   bool // in the target, not by default
	series  []*op
	scalars []scalar
}

// scalar is an argument that is no series.
type scalar struct {
	text    string  // as written, without quotes
	number  float64 // numbers; seconds of an interval
	integer bool    // it is a whole number
	yes     bool    // booleans
}

// compile parses a target and checks all of it, before any data is read.
func (e *Engine) compile(target string, template map[string]string) (*op, error) {
	x, err := Parse(target)
	if err != nil {
		return nil, err
	}
	o, err := (&compiler{functions: e.functions, template: template}).op(x)
	if err == nil {
		err = o.single()
	}
	if err != nil {
		return nil, within("evaluate", target, err)
	}
	return o, nil
}

// Check tells whether a target is well-formed: its syntax, the names of its
// functions and their arguments.
func (e *Engine) Check(target string) error {
	_, err := e.compile(target, nil)
	return err
}

// single refuses lists of lists where one list belongs.
func (o *op) single() error {
	if o.fn != nil && o.fn.lists {
		return at(o.expr.Pos, "%s makes several lists of series, which only reduceSeries takes", o.fn.Name)
	}
	return nil
}

type compiler struct {
	functions map[string]*Function
	template  map[string]string // from the request
	replace   map[string]string // in force inside of a template()
}

func (c *compiler) op(x *Expr) (*op, error) {
	switch {
	case x.Kind == Path:
		return &op{expr: x, path: pattern{text: c.replaced(x.Text)}}, nil
	case x.Kind != Call:
		return nil, at(x.Pos, "expected series here, found %s", describe(x))
	case x.Text == "template":
		return c.templated(x)
	}
	fn := c.functions[x.Text]
	if fn == nil {
		return nil, at(x.Pos, "unknown function %s%s", x.Text, c.suggest(x.Text))
	}
	o := &op{expr: x, fn: fn, args: make([]arg, len(fn.Params))}
	for i, a := range x.Args {
		slot := min(i, len(fn.Params)-1)
		if slot < 0 || i > slot && !fn.Params[slot].Repeated {
			return nil, at(a.Pos, "%s takes at most %d arguments: %s", fn.Name, len(fn.Params), fn.Signature())
		}
		if err := c.take(o, slot, a); err != nil {
			return nil, err
		}
	}
	for _, n := range x.Named {
		slot := slices.IndexFunc(fn.Params, func(p Param) bool { return strings.EqualFold(p.Name, n.Name) })
		if slot < 0 {
			return nil, at(n.Pos, "%s has no parameter %s: %s", fn.Name, n.Name, fn.Signature())
		}
		if slot < len(x.Args) {
			return nil, at(n.Pos, "the parameter %s of %s is already given by position", n.Name, fn.Name)
		}
		if err := c.take(o, slot, n.Expr); err != nil {
			return nil, err
		}
	}
	for i, p := range fn.Params {
		if o.args[i].given {
			continue
		}
		if p.Default != "" {
			s, why := convert(p, &Expr{Kind: Text, Text: p.Default})
			if why != "" {
				panic("BUG: the default of " + fn.Name + "'s " + p.Name + " " + why)
			}
			o.args[i].scalars = []scalar{s}
		} else if !p.Optional && !(p.Type == SeriesList && p.Repeated) { // sumSeries() is nothing, as in Graphite
			return nil, at(x.End-1, "%s needs the argument %s: %s", fn.Name, p.Name, fn.Signature())
		}
	}
	if fn.selects {
		var tags []string
		for _, s := range o.args[0].scalars {
			if s.text == "" || strings.Contains(s.text, "\x00") {
				return nil, at(x.Pos, "%s needs expressions such as host=web1, found %q", fn.Name, s.text)
			}
			tags = append(tags, s.text)
		}
		return &op{expr: x, path: pattern{x.source, strings.Join(tags, "\x00")}}, nil
	}
	return o, nil
}

// take puts one argument into its place.
func (c *compiler) take(o *op, slot int, x *Expr) error {
	p := o.fn.Params[slot]
	if x.Kind == None {
		if !p.Optional && p.Default == "" {
			return at(x.Pos, "%s needs a value for %s", o.fn.Name, p.Name)
		}
		return nil
	}
	a := &o.args[slot]
	if p.Type == SeriesList || p.Type == SeriesLists || p.Type == Any && (x.Kind == Call || x.Kind == Path) {
		child, err := c.op(x)
		if err == nil && p.Type != SeriesLists {
			err = child.single()
		} else if err == nil && (child.fn == nil || !child.fn.lists) {
			err = at(x.Pos, "%s of %s is several lists of series, as mapSeries makes them", p.Name, o.fn.Name)
		}
		if err != nil {
			return err
		}
		a.series = append(a.series, child)
		a.given = true
		return nil
	}
	if x.Kind == Path && len(c.replace) > 0 && strings.HasPrefix(x.Text, "$") {
		if value, ok := c.replace[x.Text[1:]]; ok {
			given := literal(value)
			if given == nil {
				given = &Expr{Kind: Text, Text: value}
			}
			given.Pos, given.End = x.Pos, x.End
			x = given
		}
	}
	s, why := convert(p, x)
	if why != "" {
		return at(x.Pos, "%s of %s %s, found %s", p.Name, o.fn.Name, why, describe(x))
	}
	if p.Type == AggOrSeriesFunc && aggregationOf(strings.TrimSuffix(s.text, "Series")) == nil {
		if f := c.functions[s.text]; f == nil || !f.takesLists(1) {
			return at(x.Pos, "%s of %s is an aggregation (%s) or a function that needs nothing but series, found %s",
				p.Name, o.fn.Name, strings.Join(aggregationNames(), ", "), describe(x))
		}
	}
	a.scalars = append(a.scalars, s)
	a.given = true
	return nil
}

// convert reads an argument as the type of its parameter. The second result is
// what it should have been, or empty.
func convert(p Param, x *Expr) (scalar, string) {
	s := scalar{text: x.Text, number: x.Number, integer: x.Kind == Number && x.Integer}
	number := x.Kind == Number
	if !number && x.Kind == Text {
		if n := literal(x.Text); n != nil && n.Kind == Number {
			s.number, s.integer, number = n.Number, n.Integer, true
		}
	}
	if s.integer && math.Abs(s.number) > 1<<53 {
		return s, "is out of range"
	}
	switch p.Type {
	case Float:
		if !number {
			return s, "is a number"
		}
	case Integer, Node:
		if !s.integer && !(p.lenient && number) {
			return s, "is a whole number"
		}
	case IntOrInf:
		if !s.integer && !math.IsInf(s.number, 1) {
			return s, "is a whole number or inf"
		}
	case Interval, IntOrInterval:
		if p.Type == IntOrInterval && x.Kind == Number {
			if !s.integer || s.number < 1 {
				return s, "is a whole number of points from 1 up, or a quoted interval such as \"5min\""
			}
			return s, ""
		}
		if x.Kind != Text {
			return s, "is a quoted interval such as \"5min\""
		}
		n, why := offsetSeconds(strings.ToLower(strings.TrimSpace(x.Text)))
		if why != "" || x.Text == "" {
			return s, "is an interval such as \"5min\": " + why
		}
		s.number, s.integer = float64(n), false
	case NodeOrTag:
		if x.Kind == Text {
			s.integer = false
		} else if !s.integer {
			return s, "is the number of a node or a quoted tag"
		}
	case Bool:
		switch {
		case x.Kind == Boolean:
			s.yes = x.Bool
		case x.Kind == Text && strings.EqualFold(x.Text, "true"), number && s.number == 1:
			s.yes = true
		case x.Kind == Text && strings.EqualFold(x.Text, "false"), number && s.number == 0:
		default:
			return s, "is true or false"
		}
	case AggFunc, AggOrSeriesFunc, Tag, Date, String:
		if p.lenient && x.Kind == Boolean {
			return s, ""
		}
		if x.Kind != Text {
			return s, "is a quoted text"
		}
		if p.Type == Date {
			// What counts is how it is written; a leap year knows all days.
			if _, err := ParseTime(x.Text, time.Unix(0, 0).AddDate(2, 0, 0), nil); err != nil {
				return s, "is a time such as \"-1h\": " + err.Error()
			}
		}
		if p.Type == AggFunc && aggregationOf(strings.TrimSuffix(x.Text, "Series")) == nil {
			return s, "is an aggregation (" + strings.Join(aggregationNames(), ", ") + ")"
		}
		if p.Options != nil && !p.lenient && !(p.Optional && x.Text == "") && !slices.Contains(p.Options, x.Text) {
			return s, "is one of " + strings.Join(p.Options, ", ")
		}
	case Any:
		if !number {
			return s, "is a number or series"
		}
	}
	return s, ""
}

// describe names an argument in an error.
func describe(x *Expr) string {
	switch x.Kind {
	case Text:
		return "the text " + strconv.Quote(brief(x.Text))
	case Number:
		return "the number " + x.Text
	case Boolean:
		return x.Text
	case Call:
		return "the function call " + x.Text + "(…)"
	case None:
		return "none"
	}
	return "the path " + brief(x.Text)
}

// templated is template(expression, value, …) or template(expression, name=value, …):
// the expression with $1 or $name replaced in its paths.
func (c *compiler) templated(x *Expr) (*op, error) {
	if len(x.Args) == 0 {
		return nil, at(x.End-1, "template needs an expression as its first argument")
	}
	replace := map[string]string{}
	value := func(name string, x *Expr) error {
		if x.Kind != Number && x.Kind != Text {
			return at(x.Pos, "the values of template are numbers or quoted texts, found %s", describe(x))
		}
		replace[name] = x.Text
		return nil
	}
	for i, a := range x.Args[1:] {
		if err := value(strconv.Itoa(i+1), a); err != nil {
			return nil, err
		}
	}
	for _, n := range x.Named {
		if err := value(n.Name, n.Expr); err != nil {
			return nil, err
		}
	}
	for name, v := range c.template {
		replace[name] = v
	}
	return (&compiler{c.functions, c.template, replace}).op(x.Args[0])
}

// replaced puts the values of a template into a path, longer names first.
func (c *compiler) replaced(path string) string {
	if len(c.replace) == 0 || !strings.Contains(path, "$") {
		return path
	}
	names := make([]string, 0, len(c.replace))
	for name := range c.replace {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if path = strings.ReplaceAll(path, "$"+name, c.replace[name]); len(path) > maxLength {
			return path[:maxLength]
		}
	}
	return path
}

// suggest names the function that was probably meant.
func (c *compiler) suggest(name string) string {
	best, near := "", 3
	for known := range c.functions {
		d := distance(strings.ToLower(name), strings.ToLower(known))
		if d < near || d == near && best != "" && known < best {
			best, near = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance counts the letters to change between two words.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
