package store

import "steer/monitor/store/internal/block"

// written is a column while it is put together from parts: what lies between from
// and to is written, the rest is whatever its memory held before. So every value
// is mostly written once.
type written struct {
	dst      []float64
	from, to int
}

// add makes a part belong to what is written, and what lies between missing. It is
// true when nothing of the part was written: then it is up to the caller to do so.
func (w *written) add(from, to int) bool {
	switch {
	case w.from == w.to:
		w.from, w.to = from, to
		return true
	case to <= w.from:
		block.Missing(w.dst[to:w.from])
		w.from = from
		return true
	case from >= w.to:
		block.Missing(w.dst[w.to:from])
		w.to = to
		return true
	}
	if from < w.from {
		block.Missing(w.dst[from:w.from])
		w.from = from
	}
	if to > w.to {
		block.Missing(w.dst[w.to:to])
		w.to = to
	}
	return false
}

// clear makes those slots of a part missing that are not written.
func (w *written) clear(from, to int) {
	if w.add(from, to) {
		block.Missing(w.dst[from:to])
	}
}

// end makes all missing that is not written.
func (w *written) end() {
	block.Missing(w.dst[:w.from])
	block.Missing(w.dst[w.to:])
}
