package balance

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// tcpPort balances the connections of one port.
type tcpPort struct {
	b    *Balancer
	pool *pool
	name string

	mu    sync.Mutex
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newTCPPort(b *Balancer, p *pool, name string) *tcpPort {
	return &tcpPort{b: b, pool: p, name: name, conns: map[net.Conn]bool{}}
}

// serve accepts until the listener is closed.
func (t *tcpPort) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if ne, ok := err.(interface{ Temporary() bool }); ok && ne.Temporary() { // out of file descriptors
				time.Sleep(50 * time.Millisecond)
				continue
			}
			return
		}
		t.mu.Lock()
		t.conns[c] = true
		t.mu.Unlock()
		t.wg.Go(func() {
			t.handle(c)
			t.mu.Lock()
			delete(t.conns, c)
			t.mu.Unlock()
		})
	}
}

func (t *tcpPort) handle(client net.Conn) {
	defer client.Close()
	at := time.Now()
	b, node, err := t.connect()
	if err != nil {
		version := t.pool.wanted()
		t.b.count(newNames(t.pool.key, version), 0, true, -1)
		t.b.log.Warn("connection failed", "service", t.pool.key.service, "environment", t.pool.key.environment, "version", version, "error", err)
		return
	}
	defer t.pool.release(b)
	defer node.Close()
	t.b.count(b.names, 0, false, time.Since(at))
	done := make(chan struct{})
	go func() {
		copyHalf(node, client)
		close(done)
	}()
	copyHalf(client, node)
	<-done
}

// connect tries backends until one accepts.
func (t *tcpPort) connect() (*backend, net.Conn, error) {
	var tried []*backend
	var last error
	for range maxTries {
		b, err := t.pool.pick(t.name, tried)
		if err != nil {
			if last != nil {
				err = last
			}
			return nil, nil, err
		}
		b.requests.Add(1)
		c, err := net.DialTimeout("tcp", b.Address[t.name], t.b.o.ConnectTimeout.Std())
		if err == nil {
			return b, c, nil
		}
		last = err
		b.errors.Add(1)
		t.pool.mark(b, "refuses connections: "+err.Error())
		t.pool.release(b)
		tried = append(tried, b)
	}
	return nil, nil, last
}

// copyHalf passes one direction on, and its end as an end of that direction only.
// When the direction breaks, both sides are closed: nobody would read the rest.
func copyHalf(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	} else {
		to.Close()
	}
}

// shutdown waits for the connections until ctx ends, then closes them.
func (t *tcpPort) shutdown(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		t.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	t.mu.Lock()
	for c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	<-done
}
