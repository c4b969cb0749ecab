// Package metric is the vocabulary of the metric path: what receivers parse,
// the store keeps and queries return.
package metric

// Point is one measurement of one series.
//
// Name is a Graphite path ("servers.web1.cpu.idle"), with tags in Graphite's
// form behind it ("disk.used;host=web1;mount=root", sorted as the texts
// "tag=value" are, each tag once). It may alias a receive buffer: it is valid
// only until the call that it was handed to returns, and whoever keeps it makes
// a copy.
type Point struct {
	Name  []byte
	Time  int64 // seconds since 1970
	Value float64
}

// Kind is the type of a StatsD sample.
type Kind uint8

// The kinds of samples.
const (
	Counter    Kind = iota
	Timer           // milliseconds, or any distribution
	Gauge           // absolute value
	GaugeDelta      // change of the gauge by Value
	Set             // count of different Texts
)

// Sample is one StatsD observation before aggregation. Name and Text alias the
// receive buffer as Point.Name does.
type Sample struct {
	Name  []byte
	Kind  Kind
	Value float64
	Rate  float64 // share of events that were sent, in (0, 1]
	Text  []byte  // the member, for Set
}

// Series is a column of values on a fixed grid: Values[i] belongs to the time
// Start + i*Step (seconds since 1970). A missing value is NaN.
type Series struct {
	Name   string
	Start  int64
	Step   int64
	Keep   int64 // how far back the archive reaches that the values came from, seconds; 0: none, or not known
	Values []float64
}

// Match is one node of the name tree that a find pattern matched.
type Match struct {
	Path string // full dotted path
	Leaf bool   // it is a series; a path can be both leaf and branch, then it is listed twice
}
