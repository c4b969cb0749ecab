package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// result is what one system did with one workload.
type result struct {
	system, version string
	series, points  int // per series

	send, queryable      float64 // seconds from the first byte to: all handed to the kernel, all found
	sender               float64 // CPU seconds of this program meanwhile
	cpuIngest, cpuStop   float64 // CPU seconds from the first byte until all is found, and from there to the end of a clean stop
	before, after, peak  int64   // memory in bytes: resident before and after, most ever
	data, metrics        size    // on disk after the clean stop
	merged               size    // after a merge by hand, for who has it
	ready, answers       float64 // seconds from exec after the clean stop to: ready, a first host read
	checked              int
	missing, wrong, more int // points
}

// size is disk usage in bytes: blocks taken, and lengths of files.
type size struct{ allocated, apparent int64 }

func diskUse(dir string) (s size, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s.allocated += info.Sys().(*syscall.Stat_t).Blocks * 512
		if d.Type().IsRegular() {
			s.apparent += info.Size()
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("measure disk use: %w", err)
	}
	return s, nil
}

// settler can merge what it keeps to the form that it has after a long time.
type settler interface {
	settle(ctx context.Context, a addresses) error
}

// run is a system at work in a folder of its own.
type run struct {
	peer peer
	dir  string
	addr addresses
	proc *process
}

// begin starts the system and says after how many seconds it was ready.
func (r *run) begin(ctx context.Context) (float64, error) {
	var err error
	if r.addr, err = freeAddresses(); err != nil {
		return 0, err
	}
	data := r.data()
	if err := os.MkdirAll(data, 0o755); err != nil {
		return 0, err
	}
	cmd, err := r.peer.Command(ctx, data, r.addr)
	if err != nil {
		return 0, err
	}
	if r.proc, err = launch(cmd, filepath.Join(r.dir, "log")); err != nil {
		return 0, err
	}
	err = r.proc.until(ctx, 2*time.Millisecond, "wait for "+r.peer.Name()+" to be ready", func() (bool, error) {
		err := r.peer.Ready(ctx, r.addr)
		return err == nil, err
	})
	return time.Since(r.proc.started).Seconds(), err
}

func (r *run) data() string { return filepath.Join(r.dir, "data") }

// measure sends a workload to a system, stops it cleanly, starts it again, and
// compares every point that it has then with what was sent.
func (b *bench) measure(ctx context.Context, p peer, version string, w *workload, l *lines) (_ *result, err error) {
	res := &result{system: p.Name(), version: version, series: w.series, points: w.points}
	r := &run{peer: p, dir: filepath.Join(b.dir, p.Name()+"-"+w.name)}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, err
	}
	defer func() {
		if r.proc != nil {
			r.proc.kill()
		}
		if err == nil && !b.keep {
			os.RemoveAll(r.dir)
		}
	}()
	if _, err := r.begin(ctx); err != nil {
		return nil, err
	}
	cpu, own := r.proc.cpu(), ownCPU()
	res.before = r.proc.memory("VmRSS")
	first, err := l.send(ctx, r.addr.graphite, 0)
	if err != nil {
		return nil, err
	}
	res.send, res.sender = time.Since(first).Seconds(), ownCPU()-own
	b.say("%s: sent %d points in %.1f s", p.Name(), w.total(), res.send)
	if err := b.await(ctx, r, w, w.points-1); err != nil {
		return nil, err
	}
	res.queryable, res.cpuIngest = time.Since(first).Seconds(), r.proc.cpu()-cpu
	res.after = r.proc.memory("VmRSS")
	b.say("%s: all can be queried after %.1f s", p.Name(), res.queryable)
	if err := r.proc.stop(ctx); err != nil {
		return nil, err
	}
	res.cpuStop, res.peak = r.proc.cpu()-cpu-res.cpuIngest, r.proc.peak.Load()
	if res.data, err = diskUse(r.data()); err != nil {
		return nil, err
	}
	if res.metrics, err = diskUse(p.Metrics(r.data())); err != nil {
		return nil, err
	}
	return res, b.again(ctx, r, w, res)
}

// again starts the system on what it kept and looks through all of it.
func (b *bench) again(ctx context.Context, r *run, w *workload, res *result) (err error) {
	if res.ready, err = r.begin(ctx); err != nil {
		return err
	}
	skip := 0 // points that are too old for the finest archive
	if s, ok := r.peer.(interface{ Reach() time.Duration }); ok {
		oldest := time.Now().Add(-s.Reach()).Unix() + 120
		skip = int(max(0, (oldest-w.start+w.step-1)/w.step))
	}
	seq := w.begin()
	for h := range seq {
		if err := b.check(ctx, r, w, h, seq[h], skip, res); err != nil {
			return err
		}
		if h == 0 {
			res.answers = time.Since(r.proc.started).Seconds()
		}
	}
	b.say("%s: looked at %d points: %d missing, %d wrong, %d too many", r.peer.Name(), res.checked, res.missing, res.wrong, res.more)
	s, ok := r.peer.(settler)
	if !ok {
		return nil
	}
	if err := s.settle(ctx, r.addr); err != nil {
		return err
	}
	if err := r.proc.stop(ctx); err != nil {
		return err
	}
	res.merged, err = diskUse(r.data())
	return err
}
