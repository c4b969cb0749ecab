package query

import (
	"math"
	"strconv"
	"strings"
)

// pathExpressions joins what a combining function lists in its name: each path
// expression once, in the order of the first series that has it.
func pathExpressions(list []*Result) string {
	var b strings.Builder
	seen := make(map[string]bool, 8)
	for _, s := range list {
		if !seen[s.PathExpression] {
			if len(seen) > 0 {
				b.WriteByte(',')
			}
			b.WriteString(s.PathExpression)
			seen[s.PathExpression] = true
		}
	}
	return b.String()
}

// key joins the chosen nodes or tags of a series with dots. A name that ends like
// a call is asked for its first metric path.
func key(s *Result, nodes []scalar) string {
	path := s.Name
	if strings.HasSuffix(path, ")") {
		// A name that people chose may go on behind what can be read: "rate (5m)".
		if x, err := (&parser{in: path}).expression(0); err == nil {
			if p := firstPath(x); p != "" {
				path = p
			}
		}
	}
	path, _, _ = strings.Cut(path, ";")
	parts := strings.Split(path, ".")
	var b strings.Builder
	for i, n := range nodes {
		if i > 0 {
			b.WriteByte('.')
		}
		if !n.integer {
			b.WriteString(s.Tags[n.text])
			continue
		}
		at := int(n.number)
		if at < 0 {
			at += len(parts)
		}
		if at >= 0 && at < len(parts) {
			b.WriteString(parts[at])
		} else {
			b.WriteString(s.Tags[n.text])
		}
	}
	return b.String()
}

// firstPath goes down the first arguments to a metric path.
func firstPath(x *Expr) string {
	for {
		switch {
		case x.Kind == Path:
			return x.Text
		case x.Kind == Call && len(x.Args) > 0:
			x = x.Args[0]
		default:
			return ""
		}
	}
}

// slice takes nodes from a name as Graphite's substr does: of what stands in the
// innermost parentheses, up to the first comma.
func slice(name string, start, stop int) string {
	left, right := strings.LastIndexByte(name, '(')+1, strings.IndexByte(name, ')')
	if right < 0 {
		right = len(name)
	}
	if right < left {
		return ""
	}
	parts := strings.Split(name[left:right], ".")
	if stop == 0 {
		stop = len(parts)
	}
	bound := func(i int) int {
		if i < 0 {
			i += len(parts)
		}
		return min(max(i, 0), len(parts))
	}
	from, to := bound(start), bound(stop)
	name = strings.Join(parts[from:max(from, to)], ".")
	name, _, _ = strings.Cut(name, ",")
	return name
}

// general prints a number like C's %g, which names use.
func general(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case v != v:
		return "nan"
	}
	exponent := 0
	if v != 0 {
		s := strconv.FormatFloat(v, 'e', 5, 64)
		exponent, _ = strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	}
	if exponent < -4 || exponent >= 6 {
		s := strconv.FormatFloat(v, 'e', 5, 64)
		i := strings.IndexByte(s, 'e')
		return trimZeros(s[:i]) + s[i:]
	}
	return trimZeros(strconv.FormatFloat(v, 'f', max(5-exponent, 0), 64))
}

func trimZeros(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// AppendFloat appends a number as Graphite's answers print it: the shortest text
// that reads back the same, with ".0" behind whole numbers, and an exponent from
// 1e16 up and below 1e-4. It is not for NaN and infinities.
func AppendFloat(b []byte, v float64) []byte {
	if b, ok := appendDecimal(b, v); ok {
		return b
	}
	if a := math.Abs(v); a != 0 && (a >= 1e16 || a < 1e-4) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	if v == math.Trunc(v) {
		return append(strconv.AppendInt(b, int64(v), 10), '.', '0')
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

func float(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case v != v:
		return "nan"
	}
	return string(AppendFloat(nil, v))
}
