package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// workload runs one workload on every system and reports it. A system that
// fails leaves the others their turn.
func (b *bench) workload(ctx context.Context, name string, peers []peer) (err error) {
	w := &workload{name: name, step: 10, seed: b.seed, conns: 4}
	rows := figures()
	measure := b.prepared
	switch name {
	case "a":
		w.series, w.points = 100_000, cmp.Or(b.points, 60)
	case "b":
		w.series, w.points = 1000, cmp.Or(b.points, 8640)
	case "million":
		w.series, w.points, w.step = 1_000_000, b.rounds+b.paced, 60
		rows, measure = millionFigures(), b.million
	default:
		return fmt.Errorf("-workload: %q is none of a, b, million", name)
	}
	w.series = cmp.Or(b.series, w.series)
	now := time.Now().Unix()
	w.start = now - now%w.step - int64(w.points-1)*w.step
	b.say("workload %s: %d series of %d points", name, w.series, w.points)
	var results []*result
	for _, p := range peers {
		mine := *w
		if _, ok := p.(interface{ FetchIsFree() bool }); ok {
			mine.series = min(w.series, max(1, b.fewer/w.points))
		}
		if name == "million" && p.Name() != "steer" && p.Name() != "victoria" {
			continue
		}
		r, e := measure(ctx, p, &mine)
		if e != nil {
			e = fmt.Errorf("%s, workload %s: %w", p.Name(), name, e)
			b.say("%v", e)
			err = errors.Join(err, e)
			continue
		}
		results = append(results, r)
	}
	fmt.Fprintf(b.out, "\nWorkload %s\n\n", name)
	report(b.out, rows, results)
	return err
}

// prepared writes all lines of a workload and measures a system with them.
func (b *bench) prepared(ctx context.Context, p peer, w *workload) (*result, error) {
	l, err := writeLines(b.dir, w, w.begin(), 0, w.points)
	if err != nil {
		return nil, err
	}
	defer l.remove()
	return b.measure(ctx, p, w, l)
}
