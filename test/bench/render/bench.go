package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/test/bench/report"
	"steer/test/bench/server"
)

// bench is one run of the whole.
type bench struct {
	steer, victoria, python, other string
	only, queries, clients         string
	series, points                 int
	time                           time.Duration
	seed                           uint64
	dir                            string
	keep                           bool
	out, progress                  io.Writer
}

// run starts the systems, checks their answers, and times them.
func (b *bench) run(ctx context.Context) (err error) {
	var crowds []int
	for text := range strings.SplitSeq(b.clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > moves {
			return fmt.Errorf("-clients: %q is no number from 1 to %d", text, moves)
		}
		crowds = append(crowds, n)
	}
	d := makeData(b.series, b.points, b.seed, time.Now())
	chosen, hostile, err := b.chosen(d)
	if err != nil {
		return err
	}
	peers, err := b.peers()
	if err != nil {
		return err
	}
	var runs []*run
	defer func() {
		for _, r := range runs {
			r.end()
		}
	}()
	for _, p := range peers {
		b.say("%s gets %d series of %d points", p.Name(), len(d.names), d.points)
		r, e := b.open(ctx, p, d)
		if e == nil {
			runs = append(runs, r)
			if e = r.await(ctx, d, d.points-1); e == nil {
				e = b.check(ctx, r, chosen, d)
			}
		}
		if e != nil {
			return fmt.Errorf("%s: %w", p.Name(), e)
		}
	}
	for _, q := range chosen {
		for _, clients := range crowds {
			if err := b.measure(ctx, runs, q, d, clients); err != nil {
				return err
			}
		}
	}
	if hostile {
		return b.hostile(ctx, runs, b.all(d), d)
	}
	return nil
}

// chosen are the queries that -query names, and whether it says hostile.
func (b *bench) chosen(d *data) (chosen []*query, hostile bool, err error) {
	for name := range strings.SplitSeq(b.queries, ",") {
		if name == "hostile" {
			hostile = true
			continue
		}
		all := b.all(d)
		i := slices.IndexFunc(all, func(q *query) bool { return q.name == name })
		if i < 0 {
			return nil, false, fmt.Errorf("-query: %q is none of one, sum, average, moving, hostile", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, hostile, nil
}

// peers are the chosen ones that are here.
func (b *bench) peers() (found []peer, err error) {
	running := other{}
	if b.other != "" {
		if running, err = parseOther(b.other); err != nil {
			return nil, err
		}
	}
	known := []peer{steer{b.steer}, victoria{b.victoria}, graphiteWeb{b.python}, running}
	for name := range strings.SplitSeq(b.only, ",") {
		i := slices.IndexFunc(known, func(p peer) bool { return p.Name() == name })
		if i < 0 {
			return nil, fmt.Errorf("-only: unknown system %q", name)
		}
		version, err := known[i].Find()
		if err != nil {
			b.say("%s is skipped: %v", name, err)
			continue
		}
		fmt.Fprintf(b.out, "%s: %s\n", name, version)
		found = append(found, known[i])
	}
	if len(found) == 0 {
		return nil, errors.New("none of the systems is here: see above for the reasons")
	}
	return found, nil
}

// check compares answers of a system with what they must be.
func (b *bench) check(ctx context.Context, r *run, chosen []*query, d *data) error {
	for _, q := range chosen {
		for _, moved := range []int{0, moves - 1} {
			early, err := q.verify(ctx, r.base, d, moved)
			if err != nil {
				return fmt.Errorf("the answer to %s is wrong: %w", q.name, err)
			}
			if early && moved == 0 {
				fmt.Fprintf(b.out, "%s: the windows of movingAverage end one point early, as in older versions of Graphite\n", r.peer.Name())
			}
		}
	}
	b.say("%s answers rightly", r.peer.Name())
	return nil
}

// measure times a query on all systems, which take turns, and reports it.
func (b *bench) measure(ctx context.Context, runs []*run, q *query, d *data, clients int) error {
	const turns = 4
	results := make([]*result, len(runs))
	before := server.Load()
	for i, r := range runs {
		results[i] = &result{system: r.peer.Name()}
		if r.proc != nil {
			if err := r.proc.ResetPeak(); err != nil {
				return err
			}
		}
	}
	for range turns {
		for i, r := range runs {
			if err := r.load(ctx, []*query{q}, d, clients, b.time/turns, results[i]); err != nil {
				return fmt.Errorf("%s: %w", r.peer.Name(), err)
			}
		}
	}
	fmt.Fprintf(b.out, "\n%s, %d at once (load of the machine before: %.2f)\n\n", q.title, clients, before)
	write(b.out, results, figures())
	return nil
}

// write writes a table of the figures.
func write(out io.Writer, results []*result, figures []figure) {
	var systems []string
	rows := make([]report.Row, len(figures))
	for i, f := range figures {
		rows[i] = report.Row{Title: f.title, Format: f.format, Ratio: f.ratio}
	}
	for _, r := range results {
		systems = append(systems, r.system)
		for i, f := range figures {
			rows[i].Values = append(rows[i].Values, f.of(r))
		}
	}
	report.Table(out, systems, rows)
}

// say tells progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
