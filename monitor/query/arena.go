package query

import "sync"

// slabSize is how many values are taken from the engine's pool at once: 1 MiB.
const slabSize = 128 << 10

type slab [slabSize]float64

// arena is the memory of the columns of one request. It goes back to the pool
// when the request is answered, so that the next one finds it: the garbage
// collector and the kernel, who would otherwise clear it each time, have no work
// with it. What the pool holds, the garbage collector lets go of when it is not
// asked for.
type arena struct {
	pool *sync.Pool // of *slab

	mu   sync.Mutex
	used []*slab
	free []float64 // of the last one
}

// column is memory for n values, whatever stands in it. Of no arena it is memory
// of its own.
func (a *arena) column(n int) []float64 {
	if a == nil || n > slabSize/2 {
		return make([]float64, n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.free) < n {
		s, _ := a.pool.Get().(*slab)
		if s == nil {
			s = new(slab)
		}
		a.used = append(a.used, s)
		a.free = s[:]
	}
	c := a.free[:n:n]
	a.free = a.free[n:]
	return c
}

// size is how many values it has memory for.
func (a *arena) size() int { return len(a.used) * slabSize }

// release gives the memory back: nobody may hold a column any more.
func (a *arena) release() {
	if a == nil {
		return
	}
	for _, s := range a.used {
		a.pool.Put(s)
	}
	a.used, a.free = nil, nil
}
