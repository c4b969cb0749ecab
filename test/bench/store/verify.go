package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"steer/test/bench/values"
)

// probed is how many hosts are asked for until all is there.
const probed = 32

// await returns when the last points of hosts all over the workload can be
// queried up to point last: of the last host of every connection, whose lines
// come last, and of more, evenly spread. What is there was read from the
// sockets in order, so everything is; the check after the restart counts it.
func (b *bench) await(ctx context.Context, r *run, w *workload, last int) error {
	const window = 10
	from := max(0, last-window+1)
	hosts := w.probes(probed)
	if f, ok := r.peer.(interface{ FetchIsFree() bool }); ok && f.FetchIsFree() {
		hosts = w.probes(w.hosts())
	}
	return r.proc.Until(ctx, 50*time.Millisecond, fmt.Sprintf("wait until %s finds all points", r.peer.Name()), func() (bool, error) {
		for len(hosts) > 0 {
			h := hosts[0]
			t := newTable(w.at(from), w.step, last-from+1)
			if err := r.peer.Fetch(ctx, r.data(), r.addr, w.host(h), t); err != nil {
				return false, err
			}
			if n, want := t.found(), w.seriesOf(h)*t.points; n < want {
				return false, fmt.Errorf("%d of %d points of %s", n, want, w.host(h))
			}
			hosts = hosts[1:]
		}
		return true, nil
	})
}

// probes are at least the last host of each connection and up to n in all.
func (w *workload) probes(n int) []int {
	var hosts []int
	for h := max(0, w.hosts()-w.conns); h < w.hosts(); h++ {
		hosts = append(hosts, h)
	}
	for i := range n {
		hosts = append(hosts, i*w.hosts()/n)
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	slices.Reverse(hosts)
	return hosts
}

func (t *table) found() (n int) {
	for _, c := range t.columns {
		for _, v := range c {
			if v == v {
				n++
			}
		}
	}
	return n
}

// checkAll compares every so many hosts' points with what was sent.
func (b *bench) checkAll(ctx context.Context, r *run, w *workload, every int, res *result) error {
	skip := 0 // points that are too old for the finest archive
	if s, ok := r.peer.(interface{ Reach() time.Duration }); ok {
		oldest := time.Now().Add(-s.Reach()).Unix() + 120
		skip = int(max(0, (oldest-w.start+w.step-1)/w.step))
	}
	all := metrics()
	for h := 0; h < w.hosts(); h += every {
		if err := b.check(ctx, r, w, h, w.sequences(h, all), skip, res); err != nil {
			return err
		}
	}
	b.say("%s: compared %d points: %d missing, %d wrong, %d never sent", r.peer.Name(), res.checked, res.missing, res.wrong, res.more)
	return nil
}

// check compares all that a system has of a host with what was sent.
func (b *bench) check(ctx context.Context, r *run, w *workload, h int, seq []values.Sequence, skip int, res *result) error {
	if skip >= w.points {
		return nil
	}
	t := newTable(w.at(skip), w.step, w.points-skip)
	if err := r.peer.Fetch(ctx, r.data(), r.addr, w.host(h), t); err != nil {
		return fmt.Errorf("read %s from %s: %w", w.host(h), r.peer.Name(), err)
	}
	t.compare(w.host(h), metrics(), seq, skip, res)
	return nil
}

// compare counts into res; the sequences stand at the first point.
func (t *table) compare(host string, all []metric, seq []values.Sequence, skip int, res *result) {
	for m := range seq {
		s, digits := &seq[m], all[m].kind.Decimals()
		for range skip {
			s.Next()
		}
		res.checked += t.points
		name := host + "." + all[m].name
		column, ok := t.columns[name]
		delete(t.columns, name)
		if !ok {
			res.missing += t.points
			continue
		}
		for _, got := range column {
			switch want := values.Number(s.Next(), digits); {
			case got != got:
				res.missing++
			case !same(got, want):
				res.wrong++
			}
		}
	}
	res.more += t.stray + t.found() // series that were never sent are left over
}

// same allows for the last bit: some systems keep decimals, some binary fractions.
func same(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }
