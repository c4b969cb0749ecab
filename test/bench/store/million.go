package main

import (
	"context"
	"time"

	"steer/test/bench/server"
)

// steady is what a system uses while points come at the pace of their step.
type steady struct {
	wall, cpu float64 // seconds
	points    int     // that came meanwhile
}

// share is the part of one core that taking points needs, without and with
// these points' part of a clean stop, which brings them to their last place.
func (s steady) share() float64 { return s.cpu / s.wall }
func (s steady) whole(r *result) float64 {
	return (s.cpu + r.cpuStop*float64(s.points)/float64(r.total())) / s.wall
}

// million sends some rounds back to back, then more at their own pace; kills
// the system, starts it, stops it cleanly, starts it again. The first paced
// round lets it settle and isn't measured, unless it is the only one.
func (b *bench) million(ctx context.Context, p peer, w *workload) (_ *result, err error) {
	res := &result{system: p.Name(), load: server.Load(), series: w.series, points: w.points}
	bulk := w.points - b.paced
	now := time.Now().Unix()
	w.start = now - now%w.step - int64(bulk-1)*w.step
	seq := w.begin()
	all, err := writeLines(b.dir, w, seq, 0, bulk)
	if err != nil {
		return nil, err
	}
	defer all.remove()
	var rounds []*lines
	for k := bulk; k < w.points; k++ {
		l, err := writeLines(b.dir, w, seq, k, k+1)
		if err != nil {
			return nil, err
		}
		defer l.remove()
		rounds = append(rounds, l)
	}
	r, err := b.newRun(p, w)
	if err != nil {
		return nil, err
	}
	defer func() { r.end(b.keep || err != nil) }()
	if _, err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := b.bulk(ctx, r, w, all, bulk-1, res); err != nil {
		return nil, err
	}
	if err := b.pacedRounds(ctx, r, w, rounds, res); err != nil {
		return nil, err
	}
	res.after = r.proc.Memory("VmRSS")
	res.peak = r.proc.Peak()

	r.proc.Kill()
	if res.killed, err = r.again(ctx, w); err != nil {
		return nil, err
	}
	if err := b.checkAll(ctx, r, w, 20, res); err != nil {
		return nil, err
	}
	res.lost = res.missing
	res.checked, res.missing = 0, 0 // wrong ones may count twice: there should be none
	if err := r.cleanStop(ctx, res); err != nil {
		return nil, err
	}
	if res.clean, err = r.again(ctx, w); err != nil {
		return nil, err
	}
	err = b.checkAll(ctx, r, w, 20, res)
	res.missing -= res.lost
	return res, err
}

func (b *bench) pacedRounds(ctx context.Context, r *run, w *workload, rounds []*lines, res *result) error {
	var begin time.Time
	var cpu float64
	for i, l := range rounds {
		if i <= 1 {
			begin, cpu, res.steady.points = time.Now(), r.proc.CPU(), 0
		}
		if _, err := l.send(ctx, r.addr.Graphite, b.pace); err != nil {
			return err
		}
		res.steady.points += w.series
		if err := b.await(ctx, r, w, w.points-len(rounds)+i); err != nil {
			return err
		}
		b.say("%s: round %d of %d at its own pace is there", r.peer.Name(), i+1, len(rounds))
	}
	if len(rounds) > 0 {
		res.steady.wall, res.steady.cpu = time.Since(begin).Seconds(), r.proc.CPU()-cpu
	}
	return nil
}
