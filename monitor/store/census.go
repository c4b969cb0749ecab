package store

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"steer/monitor/store/internal/schema"
)

// census counts series and what they take up.
type census struct {
	schemas []schema.Schema
	rolls   []schema.Aggregation
	groups  []group  // by schema
	of      []int32  // by id: the schema's number plus one, 0: not counted
	active  []uint64 // bits by id
	records []byte
	columns []column

	mu sync.Mutex // guards groups and active while blocks are read
}

// group is the series of one schema.
type group struct {
	rolls          map[int]int64 // series by the number of their aggregation
	archives       map[schema.Archive]*extent
	series, active int64
	recent         int64 // points
	span           span
}

// extent is what a group has in the blocks of one archive.
type extent struct {
	blocks        int
	points, bytes int64
	span          span
}

// span is a stretch of time from the first point to the last, in seconds.
type span struct {
	first, last int64
	some        bool
}

func (a *span) add(first, last int64) {
	if !a.some {
		*a = span{first, last, true}
		return
	}
	a.first, a.last = min(a.first, first), max(a.last, last)
}

func newCensus(p *planner, last uint32) *census {
	schemas := p.schemas
	c := &census{schemas: schemas, rolls: p.rolls, groups: make([]group, len(schemas)), of: make([]int32, last+1), active: make([]uint64, last/64+1)}
	for i := range c.groups {
		c.groups[i] = group{rolls: map[int]int64{}, archives: map[schema.Archive]*extent{}}
	}
	return c
}

// enter counts a series and what memory has of it.
func (c *census) enter(s *Store, ser *series) {
	if int(ser.id) >= len(c.of) {
		return // it came meanwhile
	}
	p := ser.plan
	g := &c.groups[p.schema]
	c.of[ser.id] = int32(p.schema) + 1
	g.series++
	g.rolls[p.aggregation]++
	var parted int
	if c.records, parted = s.snapshot(ser, c.records[:0]); len(c.records) == 0 {
		return
	}
	c.active[ser.id/64] |= 1 << (ser.id % 64)
	c.columns = recall(c.columns, len(p.archives), c.records[:parted], c.records[parted:])
	for k, col := range c.columns {
		if n := len(col.slots); n > 0 {
			g.recent += int64(n)
			g.span.add(col.slots[0]*p.archives[k].step, col.slots[n-1]*p.archives[k].step)
		}
	}
}

// count counts what blocks have.
func (c *census) count(ctx context.Context, s *Store, files []*blockFile) error {
	// A sender with a wrong clock makes blocks of the future: those are not the
	// newest.
	now := s.now().Unix()
	newest := map[schema.Archive]int64{}
	for _, b := range files {
		if a := archiveOf(b); b.Start*b.Step <= now {
			newest[a] = max(newest[a], b.Start)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, b := range files {
		g.Go(func() error { return c.block(ctx, s, b, b.Start == newest[archiveOf(b)]) })
	}
	return g.Wait()
}

func archiveOf(b *blockFile) schema.Archive { return schema.Archive{Step: b.Step, Keep: b.Keep} }

// block counts one block.
func (c *census) block(ctx context.Context, s *Store, b *blockFile, newest bool) error {
	a := archiveOf(b)
	found := make([]extent, len(c.groups))
	var active []uint32
	n := 0
	for e, err := range b.Extents() {
		if n++; n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.blocks.report(b, err)
			continue
		}
		if int(e.ID) >= len(c.of) || c.of[e.ID] == 0 {
			continue
		}
		number := c.of[e.ID] - 1
		f := &found[number]
		f.points += int64(e.Count)
		f.bytes += e.Bytes
		first := b.Start + int64(e.First)
		f.span.add(first*b.Step, (first+int64(e.Count)-1)*b.Step)
		if newest && c.schemas[number].Archives[0] == a {
			active = append(active, e.ID)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range found {
		if f.points == 0 {
			continue
		}
		x := c.groups[i].archives[a]
		if x == nil {
			x = &extent{}
			c.groups[i].archives[a] = x
		}
		x.blocks++
		x.points += f.points
		x.bytes += f.bytes
		x.span.add(f.span.first, f.span.last)
	}
	for _, id := range active {
		c.active[id/64] |= 1 << (id % 64)
	}
	return nil
}

// result words what was counted. Schemas without series are left out when only
// some series were asked for.
func (c *census) result(some bool) []SchemaUsage {
	for id, number := range c.of {
		if number > 0 && c.active[id/64]>>(id%64)&1 == 1 {
			c.groups[number-1].active++
		}
	}
	all := []SchemaUsage{}
	for i, g := range c.groups {
		if some && g.series == 0 {
			continue
		}
		sc := c.schemas[i]
		u := SchemaUsage{
			Name: sc.Name, Pattern: sc.Pattern.String(), Series: g.series, Active: g.active, Recent: g.recent,
			Aggregations: []AggregationUsage{}, Archives: []ArchiveUsage{},
		}
		var kept []string
		for _, a := range sc.Archives {
			kept = append(kept, a.String())
			u.Archives = append(u.Archives, g.archive(a, false))
			delete(g.archives, a)
		}
		u.Retentions = strings.Join(kept, ",")
		for _, a := range slices.SortedFunc(maps.Keys(g.archives), func(a, b schema.Archive) int {
			return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Keep, b.Keep))
		}) {
			u.Archives = append(u.Archives, g.archive(a, true))
		}
		for _, n := range slices.Sorted(maps.Keys(g.rolls)) {
			r := c.rolls[n]
			u.Aggregations = append(u.Aggregations, AggregationUsage{r.Name, r.Method.String(), r.XFilesFactor, g.rolls[n]})
		}
		u.Oldest, u.Newest = g.span.times()
		all = append(all, u)
	}
	return all
}

// archive words what the group has in one archive, and widens the group's span.
func (g *group) archive(a schema.Archive, former bool) ArchiveUsage {
	u := ArchiveUsage{Retention: a.String(), Former: former}
	x := g.archives[a]
	if x == nil {
		return u
	}
	u.Blocks, u.Points, u.Bytes = x.blocks, x.points, x.bytes
	u.BytesPerPoint = float64(x.bytes) / float64(x.points)
	u.Oldest, u.Newest = x.span.times()
	g.span.add(x.span.first, x.span.last)
	return u
}

func (a span) times() (first, last time.Time) {
	if !a.some {
		return first, last
	}
	return time.Unix(a.first, 0).UTC(), time.Unix(a.last, 0).UTC()
}
