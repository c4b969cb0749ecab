// Package store keeps metrics: it is the seam Driver and Steer's own engine
// behind it.
//
// A point's address is (series, time / step): timestamps are not stored, a
// point that comes again replaces the first one, rollups align. A series has a
// number for good; its name decides how long and how finely it is kept.
package store
