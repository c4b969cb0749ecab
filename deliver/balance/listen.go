package balance

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// listener is one port of a frontend while it is open.
type listener struct {
	protocol string
	port     int
	net      net.Listener
	http     *http.Server
	tcp      *tcpPort
}

// open starts to serve a port of a frontend on a listening socket.
func (b *Balancer) open(p *pool, name, protocol string, l net.Listener) *listener {
	limited := &limited{Listener: l, free: make(chan struct{}, b.o.Connections), closed: make(chan struct{})}
	r := &listener{protocol: protocol, port: l.Addr().(*net.TCPAddr).Port, net: limited}
	if protocol == TCP {
		r.tcp = newTCPPort(b, p, name)
		go r.tcp.serve(limited)
		return r
	}
	r.http = &http.Server{
		Handler:           newHTTPPort(b, p, name),
		ReadHeaderTimeout: b.o.HeaderTimeout.Std(),
		IdleTimeout:       b.o.IdleTimeout.Std(),
		MaxHeaderBytes:    b.o.HeaderBytes,
		ErrorLog:          b.quiet,
	}
	go r.http.Serve(limited)
	return r
}

// close stops to accept and waits for what is under way until ctx ends.
func (l *listener) close(ctx context.Context) {
	if l.http != nil {
		if l.http.Shutdown(ctx) != nil {
			l.http.Close()
		}
		l.net.Close() // the server does not know it before Serve has begun
		return
	}
	l.net.Close()
	l.tcp.shutdown(ctx)
}

// listen opens a port of the configured address; 0 any free one.
func (b *Balancer) listen(port int) (net.Listener, error) {
	return net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(b.o.Address), Port: port})
}

// limited lets at most cap(free) connections be open; others wait in the
// system's queue.
type limited struct {
	net.Listener
	free   chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{TCPConn: c.(*net.TCPConn), l: l}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitedConn embeds the concrete type so that CloseWrite, ReadFrom and WriteTo
// stay visible.
type limitedConn struct {
	*net.TCPConn
	l    *limited
	once sync.Once
}

func (c *limitedConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { <-c.l.free })
	return err
}
