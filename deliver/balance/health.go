package balance

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// failuresToLeave is how many probes in a row fail before a backend gets no more
// requests: one lost probe is no reason. A refused connection is, see RoundTrip.
const failuresToLeave = 2

// probe asks a backend for its health until ctx ends.
func (b *Balancer) probe(ctx context.Context, p *pool, n *backend, h Health, port string) {
	address := n.Address[port]
	if address == "" {
		return // no ports: there is nothing to ask, and no request either
	}
	timeout := cmp.Or(h.Timeout, 3*time.Second)
	ask := func(ctx context.Context) error { return connects(ctx, address) }
	if h.Path != "" {
		ask = func(ctx context.Context) error { return answers(ctx, n.transport, "http://"+address+h.Path) }
	}
	tick := time.NewTicker(cmp.Or(h.Interval, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		limited, cancel := context.WithTimeout(ctx, timeout)
		err := ask(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if p.mark(n, "") {
				b.log.Info("node gets requests again", "node", n.ID, "service", p.key.service, "environment", p.key.environment)
			}
		} else if p.failed(n) >= failuresToLeave && p.mark(n, err.Error()) {
			b.log.Warn("node gets no requests", "node", n.ID, "service", p.key.service, "environment", p.key.environment, "error", err)
		}
	}
}

func connects(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

func answers(ctx context.Context, t *http.Transport, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "steer-balance")
	response, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("GET %s: status %s", url, response.Status)
	}
	return nil
}
