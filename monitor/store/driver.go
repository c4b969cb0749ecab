package store

import (
	"context"
	"time"

	"steer/base/metric"
)

// Driver is a metric store as the rest of Steer sees it. Steer's own engine is
// one; a cluster reached over the network can be another. storetest.Run says
// what every driver must do.
type Driver interface {
	// Write stores points; the last write to a slot of a series wins. Nil means
	// accepted: on disk at the latest after the sync interval, or at once when
	// the driver syncs always. A point that cannot be kept (NaN, too old, from
	// the far future, one series too many) is counted and left out without an
	// error. fault.Unavailable means that the store cannot take points now:
	// send the batch again later, writing twice does no harm. Names are copied.
	// Write may be called concurrently.
	Write(ctx context.Context, points []metric.Point) error

	// Find returns the nodes of the name tree that a Graphite glob matches
	// (* ? [a-z] [!a] {a,b} within a node, ** across nodes), sorted by path. A
	// path that is a series and has others below it comes twice, the branch
	// first. With a limit above 0 at most that many come: ask for one more than
	// you need to learn whether there are more.
	Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error)

	// Select returns the names of the series whose tags are as all expressions
	// say, sorted, at most limit of them if limit is above 0. At least one
	// expression must not match an absent tag; else it is fault.Invalid.
	Select(ctx context.Context, match []TagMatch, limit int) ([]string, error)

	// Tags returns the tags that the series of Select have (of all series when
	// match is empty) and that start with prefix, sorted; "name" is one of every
	// series.
	Tags(ctx context.Context, match []TagMatch, prefix string, limit int) ([]string, error)

	// TagValues returns the values of one tag in the same way.
	TagValues(ctx context.Context, tag string, match []TagMatch, prefix string, limit int) ([]string, error)

	// Fetch returns the named series in the order of Request.Names; names that
	// the store does not know are left out.
	Fetch(ctx context.Context, r Request) ([]metric.Series, error)

	// Sync returns when everything accepted before is on disk.
	Sync(ctx context.Context) error

	// Close syncs and lets go of everything; after it only Close works.
	Close() error

	// Traits declares where the driver keeps less than the rest of this contract
	// promises.
	Traits() Traits
}

// Traits are the promises that drivers differ in.
type Traits struct {
	// Rewrites: a point that comes again replaces the one in its slot. Without
	// it, the later of two times in a slot counts, and of two points with the
	// same time any.
	Rewrites bool
	// Rollups: a series has the archives of its schema, and coarse ones are
	// computed from all finer points, late ones included. Without it every range
	// comes with the step of the first archive, or of a multiple of it, and as
	// far back as the last one reaches.
	Rollups bool
	// Late is how long ago a point may lie, in seconds; 0: as long as the
	// coarsest archive reaches back.
	Late int64
	// Ahead is how far ahead of now a point may lie, in seconds, at most a day.
	Ahead int64
	// Special: infinities, negative zero and every bit of a float64 come back.
	// Without it, numbers come back to eleven digits where those of a series are
	// of like size.
	Special bool
	// Lag is how long a point that was accepted and synced may take to be read.
	Lag time.Duration
}

// Request asks for columns of values over (From, Until].
//
// Each series comes on Graphite's grid: with the step s of the finest archive
// that still covers From, the first value is at From - From%s + s, the last at
// Until - Until%s; if both ends fall into one step, one value comes back.
// Missing values are NaN. From before the oldest archive is moved up to its
// border, Until at most to one day after now, the last time a point may have.
type Request struct {
	Names       []string
	From, Until int64 // seconds since 1970

	// Most is how many values may come, over all series (0: the driver's own
	// bound). More is fault.TooMuch, before any of them is read.
	Most int

	// Room gives memory for the n values of a series, whatever stands in it; it is
	// called from several goroutines. A driver may make its own; nil: it has to.
	Room func(n int) []float64

	// MaxPoints is how many values per series the caller can use (0: any). A
	// driver may answer with a coarser step when it has one at hand, never
	// with a finer one than asked for; Steer's engine returns the native step.
	MaxPoints int
}
