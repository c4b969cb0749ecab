// Package query evaluates the Graphite language over columns of float64.
//
// A target is parsed (Parse), compiled against the one table of functions
// (Functions), its data is fetched in one plan for the whole request, and then
// every function maps columns to columns. A missing value is NaN throughout.
// Names of results, null handling and alignment are Graphite's.
package query
