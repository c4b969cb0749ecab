package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"steer/deliver/deploy"
)

// Task implements deploy.Driver. Its process is on record in DIR/tasks/ID.json
// while it runs, so that the next Steer can end it after kill -9 of this one.
func (d *Driver) Task(ctx context.Context, s deploy.Spec, out io.Writer) error {
	fail := func(err error) error { return fmt.Errorf("run %s: %w", s.ID, err) }
	file := filepath.Join(d.o.Dir, "tasks", filepath.Base(s.ID)+".json")
	if err := endLeft(file); err != nil {
		return fail(err)
	}
	d.expect(s.Digest, 1)
	defer d.expect(s.Digest, -1)
	if err := d.version(ctx, s.Digest); err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fail(err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer from.Close()
	r := record{Kept: deploy.Kept{Spec: s}}
	p, err := d.launch(r, to, func(p *process) error {
		r.PID, r.Start, r.Boot = p.pid, p.start, boot()
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return os.WriteFile(file, data, 0o640)
	})
	to.Close()
	if err != nil {
		return fail(err)
	}
	copied := make(chan struct{})
	go func() {
		io.Copy(out, from)
		close(copied)
	}()
	select {
	case <-p.ended:
	case <-ctx.Done():
	}
	if err := p.stop(s.Grace); err != nil { // also what the command left behind
		return fail(err) // the record stays, so that it is tried again
	}
	<-p.ended
	<-copied // nothing is left that could write
	if err := os.Remove(file); err != nil {
		return fail(err)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case p.exit != "exit status 0":
		return errors.New(p.exit)
	}
	return nil
}

// endLeft ends the process of a task that an earlier Steer began.
func endLeft(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var r record
	if json.Unmarshal(data, &r) == nil { // one that is cut off was never let run
		if p := adopt(r); p != nil {
			if err := p.stop(r.Grace); err != nil {
				return err
			}
		}
	}
	return os.Remove(file)
}
