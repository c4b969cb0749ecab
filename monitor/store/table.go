package store

import "hash/maphash"

// key is what a name is known by in memory: 128 bits of two hashes with seeds that
// no sender knows. Two names with the same key do not happen: with a million
// series the chance is below 10^-26, while comparing the names themselves would
// cost each point a trip to memory.
type key struct{ a, b uint64 }

// seeds are drawn anew at each start.
type seeds struct{ a, b maphash.Seed }

func newSeeds() seeds { return seeds{maphash.MakeSeed(), maphash.MakeSeed()} }

func (s *seeds) key(name []byte) key {
	return key{maphash.Bytes(s.a, name), maphash.Bytes(s.b, name)}
}

// shard is which of the store's shards has the series.
func (k key) shard() int { return int(k.a >> (64 - shardBits)) }

// table finds series by their keys: open addressing, so that one look mostly takes
// one line of the processor's cache.
type table struct {
	slots []slot // a power of two, at most three quarters in use
	used  int
}

type slot struct {
	b      uint64
	series *series // nil: free
}

func (t *table) get(k key) *series {
	if len(t.slots) == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := k.a & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.series == nil || s.b == k.b && s.series.key.a == k.a {
			return s.series
		}
	}
}

// add enters a series that is not in it.
func (t *table) add(s *series) {
	if t.used >= len(t.slots)/4*3 {
		old := t.slots
		t.slots = make([]slot, max(16, 2*len(old)))
		for _, o := range old {
			if o.series != nil {
				t.place(o.series)
			}
		}
	}
	t.place(s)
	t.used++
}

func (t *table) place(s *series) {
	mask := uint64(len(t.slots) - 1)
	i := s.key.a & mask
	for t.slots[i].series != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = slot{s.key.b, s}
}

// each hands every series to f.
func (t *table) each(f func(*series)) {
	for _, s := range t.slots {
		if s.series != nil {
			f(s.series)
		}
	}
}
