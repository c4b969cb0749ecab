package docker

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// Task implements deploy.Driver, with a container that is removed afterwards.
func (d *Driver) Task(ctx context.Context, s deploy.Spec, out io.Writer) error {
	fail := func(err error) error { return fault.New(fault.Of(err), "run %s: %w", s.ID, err) }
	defer d.reserve(s.ID)()
	name := d.name(s.ID)
	if c, err := d.inspect(ctx, name); err != nil { // of a Steer that died
		return fail(err)
	} else if c != nil {
		if err := d.end(ctx, name, s.Grace); err != nil {
			return fail(err)
		}
	}
	i, release, err := d.image(ctx, s)
	if err != nil {
		return fail(err)
	}
	defer release()
	if err := d.create(ctx, s, i); err != nil {
		return fail(err)
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace+patience)
		defer cancel()
		if err := d.end(last, name, s.Grace); err != nil {
			d.log.Warn("the container of a command that ran once is removed later", "container", name, "error", err)
		}
	}()
	d.passStats()
	if err := d.engine.call(ctx, "POST", "/containers/"+url.PathEscape(name)+"/start", nil, nil, nil); err != nil {
		return fail(err)
	}
	// The log ends with the container; a broken connection does not end it.
	for query := []string{"follow", "1"}; ; {
		end, _ := d.read(ctx, s.ID, out, query...) // what failed, inspecting tells
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c, e := d.inspect(ctx, name)
		switch {
		case e == nil && c == nil:
			return fail(fault.New(fault.Conflict, "its container was removed"))
		case e == nil && !c.State.Running && c.State.ExitCode == 0 && c.State.Error == "":
			return nil
		case e == nil && !c.State.Running:
			return fmt.Errorf("%s", c.how(s))
		case e != nil && fault.Of(e) != fault.Unavailable:
			return fail(e)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followGap):
		}
		query = since(end)
	}
}

// end stops a container and removes it.
func (d *Driver) end(ctx context.Context, name string, grace time.Duration) error {
	if err := d.halt(ctx, name, grace); err != nil {
		return err
	}
	return d.remove(ctx, name)
}
