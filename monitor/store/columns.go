package store

import (
	"errors"
	"fmt"
	"slices"

	"steer/monitor/store/internal/block"
)

// columns reads values of memory and blocks together, many series of the same
// few blocks one after another.
type columns struct {
	set     *blockSet
	version uint64 // of the set when byStep was filled
	ahead   int    // bytes read at once
	byStep  map[int64][]cursor
	spare   []*block.Cursor // for their memory
	scratch [][]float64     // by archive
	touched [][]bool
	err     error // reading failed; that is no damage and may pass
}

// mostSpare are kept, each with what it reads at once, 128 KiB mostly.
const mostSpare = 16

type cursor struct {
	*block.Cursor
	b *blockFile
}

func newColumns(set *blockSet, ahead int) *columns {
	return &columns{set: set, ahead: ahead, byStep: map[int64][]cursor{}}
}

// failed notes that values are missing.
func (c *columns) failed(b *blockFile, err error) {
	c.set.report(b, err)
	if !errors.Is(err, block.ErrDamaged) {
		c.err = fmt.Errorf("read block %s: %w", b.path, err)
	}
}

// refresh makes sure that blocks written before this call are seen. Whoever
// copied chunks of memory calls it after that: a flush makes its blocks known
// before it forgets its chunks.
func (c *columns) refresh() {
	if v := c.set.version.Load(); v != c.version {
		c.close()
		c.version = v
	}
}

// close lets go of all files. c can be used again.
func (c *columns) close() {
	for _, cursors := range c.byStep {
		for _, cur := range cursors {
			cur.b.release()
			if len(c.spare) < mostSpare {
				c.spare = append(c.spare, cur.Cursor)
			}
		}
	}
	clear(c.byStep)
	c.version = 0
}

func (c *columns) cursors(step int64) []cursor {
	all, ok := c.byStep[step]
	if !ok {
		for _, b := range c.set.use(step) {
			cur := &block.Cursor{}
			if last := len(c.spare) - 1; last >= 0 {
				cur, c.spare = c.spare[last], c.spare[:last]
			}
			cur.Use(b.Reader, c.ahead)
			all = append(all, cursor{cur, b})
		}
		c.byStep[step] = all
	}
	return all
}

// view is one series as a reader sees it.
type view struct {
	id     uint32
	plan   *plan
	memory []column // by archive
}

// written is what memory holds of an archive with a step itself.
func (v *view) written(o other) *column {
	for k, a := range v.plan.archives {
		if a.step == o.step {
			return &v.memory[k]
		}
	}
	return &column{}
}

// fill sets dst to slots at, at+1, … of archive k: what memory holds of that
// archive, else the rollup where memory holds something finer, else what the
// blocks say, else NaN. Without blocks it leaves those of archive k itself out.
func (c *columns) fill(v *view, k int, at int64, dst []float64, blocks bool) {
	known := written{dst: dst}
	col := &v.memory[k]
	i, j := col.between(at, at+int64(len(dst)))
	gaps := len(dst) - (j - i)
	if i < j {
		known.clear(int(col.slots[i]-at), int(col.slots[j-1]-at)+1)
	}
	for ; i < j; i++ {
		dst[col.slots[i]-at] = col.values[i]
	}
	if k > 0 {
		gaps -= c.roll(v, k, at, &known)
	}
	step := v.plan.archives[k].step
	if blocks && gaps > 0 {
		for _, cur := range c.cursors(step) {
			if b := cur.b; b.Start < at+int64(len(dst)) && b.End() > at {
				if err := cur.into(v.id, at, &known); err != nil {
					c.failed(b, err)
				}
			}
		}
	}
	known.end()
	if !blocks || gaps == 0 {
		return
	}
	for _, o := range v.plan.others {
		part := dst
		if o.now { // what it has from later on is in here by rollups
			part = dst[:max(0, min(int64(len(dst)), floor(v.plan.mixed-1, step)+1-at))]
		}
		if o.step != step && len(part) > 0 {
			c.fillOther(v, o, step, at, part)
		}
	}
}

// into adds what a block has of a series and nobody had before; slot at comes
// first.
func (cur cursor) into(id uint32, at int64, known *written) error {
	chunk, ok, err := cur.Find(id)
	from, to := max(chunk.First, at), min(chunk.End, at+int64(len(known.dst)))
	if err != nil || !ok || from >= to {
		return err
	}
	part := known.dst[from-at : to-at]
	if !known.add(int(from-at), int(to-at)) {
		_, err = cur.Fill(id, from, part)
		return err
	}
	if err = cur.Read(chunk, from, part); err != nil {
		block.Missing(part)
	}
	return err
}

// atOnce is how many finer values are held at once to roll them up.
const atOnce = 1 << 18

// fillOther fills missing slots from archives of another step: finer values are
// rolled up, a coarser one stands where its interval starts when nothing finer is
// known in it.
func (c *columns) fillOther(v *view, o other, step, at int64, dst []float64) {
	from := floor(at*step, o.step)
	to := floor((at+int64(len(dst)))*step-1, o.step) + 1
	memory := v.written(o)
	i, j := memory.between(from, to)
	// Only where something is: between may be years.
	low, high := to, from
	if i < j {
		low, high = memory.slots[i], memory.slots[j-1]+1
	}
	for _, cur := range c.cursors(o.step) {
		if b := cur.b; slices.Contains(o.keeps, b.Keep) && b.Start < to && b.End() > from {
			low, high = min(low, max(from, b.Start)), max(high, min(to, b.End()))
		}
	}
	if low >= high {
		return
	}
	first := max(floor(low*o.step, step), at)
	dst = dst[first-at : min(floor(high*o.step-1, step)+1-at, int64(len(dst)))]
	at = first
	from = floor(at*step, o.step)
	to = floor((at+int64(len(dst)))*step-1, o.step) + 1

	if half := int64(len(dst) / 2); half > 0 && to-from > atOnce {
		c.fillOther(v, o, step, at, dst[:half])
		c.fillOther(v, o, step, at+half, dst[half:])
		return
	}
	old := missing(to - from)
	i, j = memory.between(from, to)
	found := i < j
	for ; i < j; i++ {
		old[memory.slots[i]-from] = memory.values[i]
	}
	for _, cur := range c.cursors(o.step) {
		if !slices.Contains(o.keeps, cur.b.Keep) || cur.b.Start >= to || cur.b.End() <= from {
			continue
		}
		ok, err := cur.Fill(v.id, from, old)
		if err != nil {
			c.failed(cur.b, err)
		}
		found = found || ok
	}
	if !found {
		return
	}
	for i := 0; i < len(old); {
		start := (from + int64(i)) * o.step
		s := floor(start, step) - at
		n := 1 // values that start in this slot
		for i+n < len(old) && floor(start+int64(n)*o.step, step)-at == s {
			n++
		}
		value, ok := v.plan.roll.Roll(old[i : i+n])
		i += n
		if !ok || s < 0 || s >= int64(len(dst)) {
			continue
		}
		end := s + 1
		if o.step > step {
			end = min(floor(start+o.step-1, step)+1-at, int64(len(dst)))
		}
		if !slices.ContainsFunc(dst[s:end], func(known float64) bool { return known == known }) {
			dst[s] = value
		}
	}
}

// roll fills the missing slots that memory's finer points fall into, and says how
// many.
func (c *columns) roll(v *view, k int, at int64, known *written) (filled int) {
	dst := known.dst
	for len(c.scratch) <= k {
		c.scratch, c.touched = append(c.scratch, nil), append(c.touched, nil)
	}
	if cap(c.touched[k]) < len(dst) {
		c.touched[k] = make([]bool, len(dst))
	}
	touched := c.touched[k][:len(dst)]
	clear(touched)
	n := 0
	step := v.plan.archives[k].step
	for archive := range k {
		fine := v.plan.archives[archive].step
		col := &v.memory[archive]
		i, j := col.between(at*step/fine, (at+int64(len(dst)))*step/fine)
		if i < j {
			known.clear(int(floor(col.slots[i]*fine, step)-at), int(floor(col.slots[j-1]*fine, step)-at)+1)
		}
		for ; i < j; i++ {
			s := floor(col.slots[i]*fine, step) - at
			if !touched[s] && dst[s] != dst[s] {
				touched[s] = true
				n++
			}
		}
	}
	if n == 0 {
		return 0
	}
	ratio := v.plan.archives[k].ratio
	for i := 0; n > 0; i++ {
		if !touched[i] {
			continue
		}
		end := i
		for end < len(dst) && touched[end] && (end == i || int64(end-i+1)*ratio <= atOnce) {
			end++
		}
		n -= end - i
		size := int64(end-i) * ratio
		if int64(cap(c.scratch[k])) < size {
			c.scratch[k] = make([]float64, size)
		}
		fine := c.scratch[k][:size]
		c.fill(v, k-1, (at+int64(i))*ratio, fine, true)
		for ; i < end; i++ {
			if value, ok := v.plan.roll.Roll(fine[:ratio]); ok {
				dst[i] = value
				filled++
			}
			fine = fine[ratio:]
		}
		i--
	}
	return filled
}
