package store

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"steer/base/fault"
	"steer/base/metric"
)

// mostValues is how many values one Fetch may return.
const mostValues = 1 << 28

// Fetch returns columns, as Driver says.
func (s *Store) Fetch(ctx context.Context, r Request) ([]metric.Series, error) {
	if r.Until < r.From {
		return nil, fault.New(fault.Invalid, "fetch from %d until %d: the range ends before it starts", r.From, r.Until)
	}
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	now := s.now().Unix()

	var targets []target
	total := int64(0)
	for _, name := range r.Names {
		ser := s.lookup(name)
		if ser == nil {
			continue
		}
		k, slot, size := ser.plan.window(r.From, r.Until, now)
		if total += size; total > mostValues {
			return nil, fault.New(fault.TooMuch, "fetch of %d series from %d until %d: more than %d values (ask for fewer series or a shorter time)", len(r.Names), r.From, r.Until, mostValues)
		}
		targets = append(targets, target{ser, len(targets), k, slot, size})
	}
	// Blocks are ordered by id.
	slices.SortFunc(targets, func(a, b target) int { return cmp.Compare(a.ser.id, b.ser.id) })
	out := make([]metric.Series, len(targets))
	parts := min(runtime.GOMAXPROCS(0), 1+len(targets)/fewSeries)
	g, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		part := targets[i*len(targets)/parts : (i+1)*len(targets)/parts]
		g.Go(func() error { return s.read(ctx, part, out) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// fewSeries are read on one core.
const fewSeries = 32

// target is a series to read, and where in the answer it goes.
type target struct {
	ser        *series
	at, k      int
	slot, size int64
}

// read reads targets that are sorted by id.
func (s *Store) read(ctx context.Context, targets []target, out []metric.Series) error {
	window := 4 << 10
	if len(targets) > 16 {
		window = 128 << 10
	}
	cols := newColumns(s.blocks, window)
	defer cols.close()
	var records []byte
	v := view{}
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return err
		}
		archive := t.ser.plan.archives[t.k]
		var parted int
		records, parted = s.snapshot(t.ser, records[:0])
		cols.refresh()
		v.id, v.plan = t.ser.id, t.ser.plan
		v.memory = recall(v.memory, len(v.plan.archives), records[:parted], records[parted:])
		values := make([]float64, t.size)
		cols.fill(&v, t.k, t.slot, values, true)
		out[t.at] = metric.Series{Name: t.ser.name, Start: t.slot * archive.step, Step: archive.step, Keep: archive.keep, Values: values}
	}
	return nil
}

func (s *Store) lookup(name string) *series {
	k := s.seeds.key([]byte(name))
	sh := &s.shards[k.shard()]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.series.get(k)
}

// window says which archive answers (from, until], and its slots.
func (p *plan) window(from, until, now int64) (k int, slot, size int64) {
	from = max(from, now-p.coarsest().keep)
	until = max(min(until, now+ahead), from)
	for k < len(p.archives)-1 && p.archives[k].keep < now-from {
		k++
	}
	step := p.archives[k].step
	slot = floor(from, step) + 1
	return k, slot, max(floor(until, step)-slot+1, 1)
}

// snapshot appends copies of a series' records, and says where those end that
// are being flushed.
func (s *Store) snapshot(ser *series, dst []byte) (_ []byte, parted int) {
	sh := &s.shards[ser.key.shard()]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	dst = sh.pages.append(dst, ser.old)
	parted = len(dst)
	return sh.pages.append(dst, ser.recent), parted
}
