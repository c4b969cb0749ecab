package whisper

import (
	"cmp"
	"math"
	"slices"

	"steer/base/metric"
	"steer/monitor/store"
)

// value is one value of the series in question.
type value struct {
	t int64 // where its slot begins, seconds since 1970
	v float64
}

// part is what one archive of the store gets, in order of time.
type part struct {
	step   int64
	values []value
}

// placement is what becomes of a file.
type placement struct {
	parts []part // from fine to coarse
	read  int    // values that the file shows
	old   int    // of these, values that no archive of the store reaches back to
}

// place says what of a file goes where, so that each archive of a store that
// keeps the series as r says shows what the file does. An archive shows the
// values of the file's archive with its step. If the file has none, it shows the
// file's finer values, rolled up, for as long as they reach back, and before them
// the coarser ones, where their intervals begin.
//
// What the store rolls up by itself from a finer archive is left out: a value that
// is written to an archive hides what finer ones say that come soon after it.
func place(f *File, r store.Retention, now int64) (p placement) {
	columns := make([]metric.Series, len(f.Archives))
	coarsest := r.Archives[len(r.Archives)-1]
	for i := range f.Archives {
		columns[i] = f.Column(i, now)
		for j, v := range columns[i].Values {
			if v == v {
				p.read++
				if slot(columns[i].Start+int64(j)*columns[i].Step, coarsest.Step) <= now-coarsest.Keep {
					p.old++
				}
			}
		}
	}
	var finer []value
	for k, a := range r.Archives {
		all := show(f, columns, r, k, now)
		write := all
		if k > 0 {
			write = unrolled(all, finer, r, k, now)
		}
		if len(write) > 0 {
			p.parts = append(p.parts, part{a.Step, write})
		}
		finer = all
	}
	return p
}

// slot is where the interval of t begins.
func slot(t, step int64) int64 { return floor(t, step) * step }

// show lists what archive k of the store is to show.
func show(f *File, columns []metric.Series, r store.Retention, k int, now int64) (all []value) {
	a := r.Archives[k]
	first := 0 // the coarsest archive of the file that is not coarser than a
	for i := range columns {
		if columns[i].Step <= a.Step {
			first = i
		}
	}
	var fine []float64
	for i, c := range slices.Backward(columns) {
		if i < first {
			break
		}
		until := now
		if i > first {
			until = now - f.Archives[i-1].Keep // from here on the finer one shows more
		}
		ratio := int(max(a.Step/c.Step, 1))
		for j := 0; j < len(c.Values); {
			t := c.Start + int64(j)*c.Step
			at := slot(t, a.Step)
			fine = fine[:0]
			for ; j < len(c.Values) && t < at+a.Step && t <= until; j, t = j+1, t+c.Step {
				fine = append(fine, c.Values[j])
			}
			if len(fine) == 0 {
				break // all that comes is after until
			}
			if at <= now-a.Keep {
				continue
			}
			v, ok := fine[0], fine[0] == fine[0]
			if ratio > 1 || len(fine) > 1 {
				for len(fine) < ratio {
					fine = append(fine, math.NaN())
				}
				v, ok = r.Roll(fine)
			}
			if !ok {
				continue
			}
			if n := len(all); n > 0 && all[n-1].t == at {
				all = all[:n-1] // of a coarser archive
			}
			all = append(all, value{at, v})
		}
	}
	return all
}

// unrolled lists the values of archive k that the store does not make from finer,
// all that the archive before k shows: where that does not reach back, and where
// it has too few. An interval that is not over will still get some.
func unrolled(all, finer []value, r store.Retention, k int, now int64) []value {
	a, fine := r.Archives[k], r.Archives[k-1]
	n, _ := slices.BinarySearchFunc(all, now-fine.Keep+1, func(v value, t int64) int { return cmp.Compare(v.t, t) })
	write := slices.Clip(all[:n])
	values := make([]float64, a.Step/fine.Step)
	for _, v := range all[n:] {
		for len(finer) > 0 && finer[0].t < v.t {
			finer = finer[1:]
		}
		for i := range values {
			values[i] = math.NaN()
		}
		for ; len(finer) > 0 && finer[0].t < v.t+a.Step; finer = finer[1:] {
			values[(finer[0].t-v.t)/fine.Step] = finer[0].v
		}
		if _, ok := r.Roll(values); !ok && v.t+a.Step <= now {
			write = append(write, v)
		}
	}
	return write
}
