package store

// tidyNames keeps the list of series short and sorted: the sorted part is the
// tree of names, ready to be read. Now and then it forgets series all of whose
// points have expired.
func (s *Store) tidyNames() error {
	m := &s.maintain
	forgotten := 0
	if m.last.Sub(m.forgot) >= s.limit.forget {
		m.forgot = m.last
		forgotten = s.forget()
	}
	if forgotten == 0 && !m.names.damaged && m.names.loose <= s.limit.loose+int(s.count.Load())/4 {
		return nil
	}
	all := make([]*series, 0, s.count.Load())
	pick := func(name []byte) (string, bool) {
		k := s.seeds.key(name)
		sh := &s.shards[k.shard()]
		sh.mu.Lock()
		defer sh.mu.Unlock()
		ser := sh.series.get(k)
		if ser == nil {
			return "", false // it is forgotten
		}
		all = append(all, ser)
		return ser.name, true
	}
	if forgotten > 0 {
		s.index.Replace(pick)
		s.log.Info("series forgotten: all their points have expired", "series", forgotten, "left", len(all))
	} else {
		s.index.Each(func(name []byte) { pick(name) })
	}
	// What is created from here on is fresh and gets appended by the next flush; a
	// series that is in both places does no harm.
	return m.names.rewrite(all)
}

// all lists every series.
func (s *Store) all() []*series {
	all := make([]*series, 0, s.count.Load())
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.series.each(func(ser *series) { all = append(all, ser) })
		sh.mu.Unlock()
	}
	return all
}

// forget drops the series that have points neither in blocks nor in memory, and
// says how many. Should one come again, it gets a new id: the list of series may
// then hold both, and the later one counts.
func (s *Store) forget() (forgotten int) {
	kept := make([]uint64, s.lastID.Load()/64+1)
	for _, b := range s.blocks.all() {
		for id, err := range b.IDs() {
			if err != nil {
				s.blocks.report(b, err)
				return 0 // nobody knows whose points are in there
			}
			if int(id/64) < len(kept) {
				kept[id/64] |= 1 << (id % 64)
			}
		}
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		fresh := map[*series]bool{} // their names are on disk only in the log
		for _, ser := range sh.fresh {
			fresh[ser] = true
		}
		left := table{}
		sh.series.each(func(ser *series) {
			if ser.recent.head == 0 && ser.old.head == 0 && !fresh[ser] && int(ser.id/64) < len(kept) && kept[ser.id/64]>>(ser.id%64)&1 == 0 {
				forgotten++
				return
			}
			left.add(ser)
		})
		sh.series = left
		sh.mu.Unlock()
	}
	s.count.Add(-int64(forgotten))
	return forgotten
}
