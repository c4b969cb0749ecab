package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// bench is one run of the whole.
type bench struct {
	steer           string
	only, workloads string
	series, points  int
	fewer           int // points at most for carbon and go-carbon
	rounds, paced   int
	pace            time.Duration
	seed            uint64
	keep            bool
	dir             string // for data, lines and logs
	out, progress   io.Writer
}

// peers are the chosen ones that are here.
func (b *bench) peers() (found []peer, err error) {
	known := map[string]peer{}
	for _, p := range []peer{&steer{program: b.steer}, &steer{program: b.steer, defaults: true}, &victoria{}, carbon{}, goCarbon{}} {
		known[p.Name()] = p
	}
	for name := range strings.SplitSeq(b.only, ",") {
		p := known[name]
		if p == nil {
			return nil, fmt.Errorf("-only: unknown system %q", name)
		}
		v, err := p.Find()
		if err != nil {
			b.say("%s is skipped: %v", name, err)
			continue
		}
		fmt.Fprintf(b.out, "%s: %s\n", name, v)
		found = append(found, p)
	}
	if len(found) == 0 {
		return nil, errors.New("none of the systems is here: see above for the reasons")
	}
	return found, nil
}

// named is the workload of a name, as large as the flags say.
func (b *bench) named(name string) (*workload, error) {
	w := &workload{name: name, step: 10, seed: b.seed, conns: 4}
	switch name {
	case "a":
		w.series, w.points = 100_000, cmp.Or(b.points, 60)
	case "b":
		w.series, w.points = 1000, cmp.Or(b.points, 8640)
	case "million":
		w.series, w.points, w.step = 1_000_000, b.rounds+b.paced, 60
	default:
		return nil, fmt.Errorf("-workload: %q is none of a, b, million", name)
	}
	w.series = cmp.Or(b.series, w.series)
	return w, nil
}

// workload runs one workload on every system and reports it. A system that
// fails leaves the others their turn.
func (b *bench) workload(ctx context.Context, w *workload, peers []peer) (err error) {
	rows, measure := figures(), b.prepared
	if w.name == "million" {
		rows, measure = millionFigures(), b.million
	}
	now := time.Now().Unix()
	w.start = now - now%w.step - int64(w.points-1)*w.step
	b.say("workload %s: %d series of %d points", w.name, w.series, w.points)
	var results []*result
	for _, p := range peers {
		mine := *w
		if _, ok := p.(interface{ FetchIsFree() bool }); ok {
			mine.series = min(w.series, max(1, b.fewer/w.points))
		}
		if w.name == "million" && !slices.Contains([]string{"steer", "victoria"}, p.Name()) {
			continue
		}
		r, e := measure(ctx, p, &mine)
		if e != nil {
			e = fmt.Errorf("%s, workload %s: %w", p.Name(), w.name, e)
			b.say("%v", e)
			err = errors.Join(err, e)
			continue
		}
		results = append(results, r)
	}
	fmt.Fprintf(b.out, "\nWorkload %s\n\n", w.name)
	write(b.out, rows, results)
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

// say tells progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
