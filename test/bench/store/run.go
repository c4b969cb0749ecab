package main

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"steer/test/bench/server"
)

// run is a system at work in a folder of its own.
type run struct {
	peer peer
	step int64
	dir  string // holds the data folder, log and configuration
	addr server.Addresses
	proc *server.Process
}

func (b *bench) newRun(p peer, w *workload) (*run, error) {
	r := &run{peer: p, step: w.step, dir: filepath.Join(b.dir, p.Name()+"-"+w.name)}
	return r, os.MkdirAll(r.data(), 0o755)
}

func (r *run) data() string { return filepath.Join(r.dir, "data") }

// end kills what still runs.
func (r *run) end(keep bool) {
	if r.proc != nil {
		r.proc.Kill()
	}
	if !keep {
		os.RemoveAll(r.dir)
	}
}

// begin starts the system and says after how many seconds it was ready.
func (r *run) begin(ctx context.Context) (float64, error) {
	var err error
	if r.addr, err = server.FreeAddresses(); err != nil {
		return 0, err
	}
	cmd, err := r.peer.Command(ctx, r.data(), r.addr, r.step)
	if err != nil {
		return 0, err
	}
	if r.proc, err = server.Launch(cmd, filepath.Join(r.dir, "log")); err != nil {
		return 0, err
	}
	err = r.proc.Until(ctx, 2*time.Millisecond, "wait for "+r.peer.Name()+" to be ready", func() (bool, error) {
		err := r.peer.Ready(ctx, r.addr)
		return err == nil, err
	})
	return time.Since(r.proc.Started).Seconds(), err
}

// again starts the system on what it has, and reads a first host.
func (r *run) again(ctx context.Context, w *workload) (b begin, err error) {
	if b.ready, err = r.begin(ctx); err != nil {
		return b, err
	}
	t := newTable(w.start, w.step, w.points)
	if err := r.peer.Fetch(ctx, r.data(), r.addr, w.host(0), t); err != nil {
		return b, err
	}
	b.answers = time.Since(r.proc.Started).Seconds()
	if len(t.columns) == 0 {
		b.answers = math.NaN() // it had nothing of that host on disk yet
	}
	b.peak = r.proc.Peak()
	return b, nil
}

// size is disk usage in bytes: blocks taken, and lengths of files.
type size struct{ allocated, apparent int64 }

func diskUse(dirs ...string) (s size, err error) {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
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
	}
	return s, nil
}
