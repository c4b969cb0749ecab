package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"steer/base/fault"
)

// allLines are as many lines as one asks for of a log that is new.
const allLines = 10000

// Logs implements deploy.Driver. Who follows a node hears of it when the connection was
// cut, and goes on when it is there again, also on another host.
func (d *Driver) Logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	h, _ := d.of(node)
	if h == nil {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node, or it stopped more than %s ago", node, d.o.Retain)
	}
	r, err := h.logs(ctx, node, lines, follow)
	if err != nil {
		return nil, fault.New(fault.Of(err), "logs of node %s: %w", node, err)
	}
	if !follow {
		return r, nil
	}
	out, in := io.Pipe()
	go func() { in.CloseWithError(d.follow(ctx, node, h, r, in)) }()
	return out, nil
}

// of is the host of a node, nil if the node is not known, and whether it has not been
// stopped.
func (d *Driver) of(node string) (h *host, lives bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.nodes[node]
	if r == nil || d.closed {
		return nil, false
	}
	return d.attend(r.Host), r.Stopped.IsZero()
}

func (d *Driver) follow(ctx context.Context, node string, h *host, from io.ReadCloser, to io.Writer) error {
	for {
		_, err := io.Copy(to, from)
		from.Close()
		if ctx.Err() != nil || errors.Is(err, io.ErrClosedPipe) {
			return nil
		}
		if fault.Of(err) != fault.Unavailable {
			return err
		}
		if _, err := fmt.Fprintf(to, "(%v; lines may be missing)\n", err); err != nil {
			return nil
		}
		for from = nil; from == nil; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(lookAgain):
			}
			next, lives := d.of(node)
			if !lives {
				return nil
			}
			lines := 0
			if next.name != h.name {
				lines = allLines
			}
			if from, err = next.logs(ctx, node, lines, true); err == nil {
				h = next
			}
		}
	}
}

// logs reads a node's log on the host.
func (h *host) logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	limited, cancel := context.WithTimeout(ctx, acquainting)
	defer cancel()
	if err := h.met(ctx, limited.Done()); err != nil {
		return nil, err
	}
	return h.client.logs(ctx, node, lines, follow)
}
