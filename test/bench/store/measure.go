package main

import (
	"context"
	"time"

	"steer/test/bench/server"
)

// result is what one system did with one workload. What a workload doesn't
// measure is 0.
type result struct {
	system         string
	load           float64 // of the machine before it
	series, points int     // points of each series
	sent           int     // points sent at once

	queryable           float64 // seconds from the first byte until all is found
	sender              float64 // CPU seconds of this program while it sends
	cpuIngest, cpuStop  float64 // CPU seconds from the first byte until all is found, and of a clean stop
	before, after, peak int64   // memory in bytes: resident before and after, most ever
	data, metrics       size    // on disk after the clean stop
	merged              size    // the metrics after a merge by hand, for who has it

	steady steady

	clean, killed        begin // starts after a clean stop and after kill -9
	checked              int   // points
	missing, wrong, more int   // of them
	lost                 int   // missing after kill -9 already, not in missing
}

// begin is a start: seconds from exec until ready and until a first host was
// read (NaN: there was nothing to read), and the most memory in bytes.
type begin struct {
	ready, answers float64
	peak           int64
}

// bulk sends a workload as fast as the system takes it and waits until all can
// be queried.
func (b *bench) bulk(ctx context.Context, r *run, w *workload, l *lines, last int, res *result) error {
	cpu, own := r.proc.CPU(), ownCPU()
	res.before = r.proc.Memory("VmRSS")
	res.sent = w.series * (last + 1)
	first, err := l.send(ctx, r.addr.Graphite, 0)
	if err != nil {
		return err
	}
	sent := time.Since(first)
	res.sender = ownCPU() - own
	if err := b.await(ctx, r, w, last); err != nil {
		return err
	}
	res.queryable, res.cpuIngest = time.Since(first).Seconds(), r.proc.CPU()-cpu
	res.after = r.proc.Memory("VmRSS")
	b.say("%s: took %.0f MB in %.1f s, all could be queried after %.1f s", r.peer.Name(), float64(l.bytes)/1e6, sent.Seconds(), res.queryable)
	return nil
}

// cleanStop ends the system and measures what that costs and what is on disk then.
func (r *run) cleanStop(ctx context.Context, res *result) error {
	cpu := r.proc.CPU()
	if err := r.proc.Stop(ctx); err != nil {
		return err
	}
	res.cpuStop = r.proc.CPU() - cpu
	var err error
	if res.data, err = diskUse(r.data()); err != nil {
		return err
	}
	res.metrics, err = diskUse(r.peer.Metrics(r.data())...)
	return err
}

// measure sends a workload to a system, stops it cleanly, starts it again, and
// compares every point that it has then with what was sent.
func (b *bench) measure(ctx context.Context, p peer, w *workload, l *lines) (_ *result, err error) {
	res := &result{system: p.Name(), load: server.Load(), series: w.series, points: w.points}
	r, err := b.newRun(p, w)
	if err != nil {
		return nil, err
	}
	defer func() { r.end(b.keep || err != nil) }()
	if _, err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := b.bulk(ctx, r, w, l, w.points-1, res); err != nil {
		return nil, err
	}
	if err := r.cleanStop(ctx, res); err != nil {
		return nil, err
	}
	res.peak = r.proc.Peak()
	if res.clean, err = r.again(ctx, w); err != nil {
		return nil, err
	}
	if err := b.checkAll(ctx, r, w, 1, res); err != nil {
		return nil, err
	}
	s, ok := p.(interface {
		settle(ctx context.Context, r *run) error
	})
	if !ok {
		return res, nil
	}
	if err := s.settle(ctx, r); err != nil {
		return nil, err
	}
	if err := r.proc.Stop(ctx); err != nil {
		return nil, err
	}
	res.merged, err = diskUse(p.Metrics(r.data())...)
	return res, err
}
