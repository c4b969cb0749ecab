package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"steer/test/bench/server"
)

// run is a system at work.
type run struct {
	peer peer
	dir  string // its own folder
	log  string
	base string // http://HOST:PORT
	addr server.Addresses
	proc *server.Process // nil: somebody else started it
}

// open starts a system and brings the data into it.
func (b *bench) open(ctx context.Context, p peer, d *data) (_ *run, err error) {
	r := &run{peer: p, dir: filepath.Join(b.dir, p.Name()), log: filepath.Join(b.dir, p.Name()+".log")}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return r, err
	}
	if o, ok := p.(other); ok {
		r.base, r.addr.Graphite = o.base, o.lines
		return r, d.send(ctx, r.addr.Graphite, 0, d.points)
	}
	if f, ok := p.(filer); ok {
		if err := f.Write(r.dir, d); err != nil {
			return r, err
		}
		return r, r.begin(ctx)
	}
	if err := r.begin(ctx); err != nil {
		return r, err
	}
	old := d.points - moves
	if err := d.send(ctx, r.addr.Graphite, 0, old); err != nil {
		return r, err
	}
	if err := r.await(ctx, d, old-1); err != nil {
		return r, err
	}
	if err := r.proc.Stop(ctx); err != nil {
		return r, err
	}
	if err := r.begin(ctx); err != nil {
		return r, err
	}
	return r, d.send(ctx, r.addr.Graphite, old, d.points)
}

// begin starts the system and waits until it answers.
func (r *run) begin(ctx context.Context) (err error) {
	if r.addr, err = server.FreeAddresses(); err != nil {
		return err
	}
	r.base = "http://" + r.addr.HTTP
	cmd, err := r.peer.Command(ctx, r.dir, r.addr)
	if err != nil {
		return err
	}
	if r.proc, err = server.Launch(cmd, r.log); err != nil {
		return err
	}
	return r.until(ctx, "wait for "+r.peer.Name()+" to be ready", func() (bool, error) {
		err := r.peer.Ready(ctx, r.base)
		return err == nil, err
	})
}

// await returns when a point of all series is in an answer: what is there was
// read from one connection in order.
func (r *run) await(ctx context.Context, d *data, point int) error {
	q := &query{
		target: "sumSeries(" + every + ")", points: 1,
		want: func(d *data, _ string, p int) float64 { return d.sum(p) },
	}
	part := *d
	part.points = point + 1
	return r.until(ctx, fmt.Sprintf("wait until %s has point %d", r.peer.Name(), point), func() (bool, error) {
		_, err := q.verify(ctx, r.base, &part, 0)
		return err == nil, err
	})
}

func (r *run) until(ctx context.Context, what string, ok func() (bool, error)) error {
	if r.proc != nil {
		return r.proc.Until(ctx, 20*time.Millisecond, what, ok)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		good, err := ok()
		if good {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%v)", what, ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// end stops what this program started.
func (r *run) end() {
	if r != nil && r.proc != nil {
		r.proc.Kill()
	}
}

func writeFile(dir, name, text string) (path string, err error) {
	path = filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}
