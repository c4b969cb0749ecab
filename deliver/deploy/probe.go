package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"steer/base/fault"
)

// alone is how long a node without ports must run to count as healthy.
const alone = time.Second

// probing names what probe asks.
func probing(n Instance) string {
	switch at := askedAt(n); {
	case at == "":
		return "process runs for " + alone.String()
	case n.Health.HTTP != "":
		return "GET " + n.Health.HTTP + " on " + at
	default:
		return "connect to " + at
	}
}

// probe asks a node for its health as its manifest says.
func (d *Deployer) probe(ctx context.Context, n Instance) error {
	if !n.Running {
		if n.LastExit == "" {
			return errors.New(cmp.Or(n.Waiting, "it does not run yet"))
		}
		return fmt.Errorf("it does not run (%s)", n.LastExit)
	}
	if d.o.Probe != nil {
		return d.o.Probe(ctx, n)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	at := askedAt(n)
	if at == "" {
		if time.Since(n.Started) < alone {
			return errors.New("it has just started")
		}
		return nil
	}
	if n.Health.HTTP == "" {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err != nil {
			return plain(err)
		}
		return c.Close()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+n.Health.HTTP, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "steer-deploy")
	response, err := d.prober.RoundTrip(r) // follows no redirects
	if err != nil {
		return plain(err)
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 399 {
		b, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		return fmt.Errorf("status %s: %q", response.Status, b)
	}
	return nil
}

// plain makes an error about a connection short: the address is told elsewhere.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer within 3s")
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("cannot connect: %w", op.Err)
	}
	return err
}

// probeAll asks nodes at the same time and remembers what they say.
func (d *Deployer) probeAll(ctx context.Context, nodes []Instance) {
	var wg sync.WaitGroup
	limit := make(chan struct{}, 32)
	for _, n := range nodes {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			err := d.probe(ctx, n)
			if ctx.Err() != nil {
				return
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.health[n.ID] = verdict{err, n.life(), time.Now()}
		})
	}
	wg.Wait()
}

// life tells a node's process from the one before.
type life struct {
	restarts int
	pid      int
	started  int64
}

func (n Instance) life() life { return life{n.Restarts, n.PID, n.Started.UnixNano()} }

// verdict is the last probe of a node's process; nil is healthy.
type verdict struct {
	err  error
	life life
	at   time.Time
}

// ill is why a node is not healthy as far as was seen last; nil if it is.
func (d *Deployer) ill(n Instance) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.health[n.ID]
	err := v.err
	if n.Unsure != "" && err != nil {
		err = fmt.Errorf("%w; %s", err, n.Unsure)
	}
	switch {
	case !n.Running && n.Unsure != "":
		return errors.New(n.Unsure)
	case !n.Running && n.Started.IsZero() && n.LastExit == "" && n.Waiting != "":
		return errors.New(n.Waiting)
	case !n.Running:
		return fault.New(fault.Unavailable, "it does not run (%s)", n.LastExit)
	case !ok || v.life != n.life():
		return errors.New("it was not probed yet")
	}
	return err
}
