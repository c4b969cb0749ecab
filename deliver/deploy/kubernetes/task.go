package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// Task implements deploy.Driver, with a pod that is removed afterwards.
func (d *Driver) Task(ctx context.Context, s deploy.Spec, out io.Writer) (err error) {
	fail := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.New(fault.Of(err), "run %s: %w", s.ID, err)
	}
	name := d.name(s.ID)
	defer d.reserve(name)()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fail(errStopping)
	}
	at := d.space(s.Cluster)
	d.mu.Unlock()
	changed, stop := at.changes(name)
	defer stop()
	ref, err := d.image(ctx, s)
	if err != nil {
		return fail(err)
	}
	if err := at.settle(ctx, changed); err != nil {
		return fail(err)
	}
	if err := d.end(ctx, at, name, s.Grace, nil); err != nil { // of a Steer that died
		return fail(err)
	}
	p, hidden, err := d.prepare(ctx, at, s, ref)
	if err != nil {
		return fail(err)
	}
	p.Restart, p.Spread = "Never", nil
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace+patience)
		defer cancel()
		if err := d.end(last, at, name, s.Grace, nil); err != nil {
			d.log.Warn("the pod of a command that ran once is removed later", "pod", name, "error", err)
		}
	}()
	pod := podObject{Version: "v1", Kind: "Pod", Meta: meta{Name: name, Labels: d.labels(s)}, Spec: p}
	var made podObject
	if err := at.Call(ctx, http.MethodPost, at.Path(api.Pods), nil, pod, &made); err != nil {
		return fail(err)
	}
	if err := d.own(ctx, at, hidden, owner{"v1", "Pod", name, made.Meta.UID}); err != nil {
		return fail(err)
	}
	return d.attend(ctx, s, at, name, changed, out, fail)
}

// settle waits until it is known what there is. Without an answer of the API it says so.
func (s *space) settle(ctx context.Context, changed <-chan struct{}) error {
	for slow := time.After(patience); ; {
		_, _, err := s.see("")
		if err == nil || !errors.Is(err, errNotSeen) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-slow:
			return err
		case <-changed:
		}
	}
}

// attend passes on what a task writes, and tells how it ended.
func (d *Driver) attend(ctx context.Context, s deploy.Spec, at *space, name string, changed <-chan struct{}, out io.Writer, fail func(error) error) error {
	var where mark
	made, arrive := false, time.NewTimer(d.o.Arrive.Std())
	defer arrive.Stop()
	for {
		_, all, err := at.see(name)
		if err == nil && len(all) == 0 && made {
			return fail(fault.New(fault.Conflict, "its pod was removed"))
		}
		waiting := "it waits for a machine"
		if p := choose(all); err == nil && p != nil {
			made = true
			c := p.container()
			switch {
			case p.Meta.Deleted != nil: // also when it ended well: it was told to end
				return fail(fault.New(fault.Conflict, "%s", p.gone()))
			case c.State.Ended != nil:
				if err := at.read(ctx, name, out, &where, keptLines, false); err != nil && ctx.Err() == nil {
					d.log.Warn("the end of what a command wrote is lost", "pod", name, "error", err)
				}
				if c.State.Ended.Code == 0 {
					return nil
				}
				return errors.New(c.State.Ended.how(s))
			case p.over():
				return fail(fault.New(fault.Conflict, "%s", p.gone()))
			case c.State.Running != nil:
				arrive.Stop()
				at.read(ctx, name, out, &where, keptLines, true) // it ends with the container; the watch tells how
			default:
				var hopeless bool
				if waiting, hopeless = p.waits(); hopeless {
					return fail(fault.New(fault.Invalid, "%s", waiting))
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-arrive.C:
			return fail(fault.New(fault.Unavailable, "it did not start within %s: %s", d.o.Arrive, waiting))
		case <-changed:
		case <-time.After(followGap):
		}
	}
}
