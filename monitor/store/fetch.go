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

	most := int64(mostValues)
	if r.Most > 0 {
		most = min(most, int64(r.Most))
	}
	targets := make([]target, 0, len(r.Names))
	total := int64(0)
	for _, name := range r.Names {
		ser := s.lookup(name)
		if ser == nil {
			continue
		}
		k, slot, size := ser.plan.window(r.From, r.Until, now)
		if total += size; total > most {
			return nil, fault.New(fault.TooMuch, "fetch of %d series from %d until %d: more than %d values (ask for fewer series or a shorter time)", len(r.Names), r.From, r.Until, most)
		}
		targets = append(targets, target{ser, len(targets), k, slot, size})
	}
	// Blocks are ordered by id.
	slices.SortFunc(targets, func(a, b target) int { return cmp.Compare(a.ser.id, b.ser.id) })
	out := make([]metric.Series, len(targets))
	parts := min(runtime.GOMAXPROCS(0), 1+len(targets)/fewSeries)
	if parts == 1 {
		if err := s.read(ctx, targets, r.Room, out); err != nil {
			return nil, err
		}
		return out, nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		part := targets[i*len(targets)/parts : (i+1)*len(targets)/parts]
		g.Go(func() error { return s.read(ctx, part, r.Room, out) })
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

// reader is what reading takes besides the answer. It serves one Fetch after the
// other.
type reader struct {
	columns columns
	view    view
	records []byte
}

// read reads targets that are sorted by id.
func (s *Store) read(ctx context.Context, targets []target, room func(n int) []float64, out []metric.Series) error {
	r, _ := s.readers.Get().(*reader)
	if r == nil {
		r = &reader{columns: columns{set: s.blocks, byStep: map[int64][]cursor{}}}
	}
	defer func() {
		r.columns.close()
		s.readers.Put(r)
	}()
	r.columns.ahead = 4 << 10
	if len(targets) > 16 {
		r.columns.ahead = 128 << 10
	}
	v := &r.view
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return err
		}
		archive := t.ser.plan.archives[t.k]
		var parted int
		r.records, parted = s.snapshot(t.ser, r.records[:0])
		r.columns.refresh()
		v.id, v.plan = t.ser.id, t.ser.plan
		v.memory = recall(v.memory, len(v.plan.archives), r.records[:parted], r.records[parted:])
		var values []float64
		if room != nil {
			values = room(int(t.size))
		} else {
			values = make([]float64, t.size)
		}
		r.columns.fill(v, t.k, t.slot, values, true)
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
