// Package receive is the way into the metric path: it owns the sockets of all
// receivers and hands parsed batches to sinks. Each protocol is a package below
// this one with a pure parser.
//
// The flow of monitor: receive → route → aggregate → store → query → state →
// notify.
package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/fault"
	"steer/base/metric"
)

// Sink takes a batch of points. From is what messages call the sender, protocol
// and address without the port, like "graphite tcp 10.1.2.3": all that one host
// sends has the same. The batch and the names in it belong to the caller again
// when Sink returns. While a sink is busy its callers wait, which
// is the back-pressure of the metric path.
type Sink func(from string, points []metric.Point) error

// SampleSink is a Sink for StatsD samples.
type SampleSink func(samples []metric.Sample) error

// Counters are what a receiver counts. All grow for ever.
type Counters struct {
	Bytes       atomic.Int64 // read from sockets
	Packets     atomic.Int64 // datagrams
	Connections atomic.Int64 // TCP connections accepted
	Accepted    atomic.Int64 // points or samples handed on
	Bad         atomic.Int64 // lines that could not be read
	Refused     atomic.Int64 // points or samples that the sink refused
}

// Limits of one receiver.
const (
	longestLine = 64 << 10  // bytes of one TCP line
	readBuffer  = 256 << 10 // bytes read at once
	largestUDP  = 64 << 10  // bytes of one datagram
	idle        = 10 * time.Minute
)

// Lines is called with one or more whole lines of one sender, see Sink, each ended
// by "\n" or the end of the data. It returns what it could not read through bad,
// the count. It may change the data.
type Lines func(from string, data []byte) (accepted, bad int, err error)

// Listener is one TCP or UDP socket of a line protocol, or of one with frames.
type Listener struct {
	name     string
	lines    func() Lines
	counters *Counters
	log      *slog.Logger
	tcp      net.Listener
	udp      *net.UDPConn
	serve    func(ctx context.Context, c net.Conn) // one TCP connection, to its end
}

// Listen opens a socket. Network is "tcp" or "udp". The function lines is
// called once per connection or reader, so that each has its own buffers.
func Listen(name, network, address string, c *Counters, log *slog.Logger, lines func() Lines) (*Listener, error) {
	l := &Listener{name: name, lines: lines, counters: c, log: log}
	l.serve = l.serveLines
	var err error
	switch network {
	case "tcp":
		l.tcp, err = net.Listen("tcp", address)
	case "udp":
		var conn net.PacketConn
		if conn, err = net.ListenPacket("udp", address); err == nil {
			l.udp = conn.(*net.UDPConn)
			// Bursts wait here while the parser works; the kernel caps it at rmem_max.
			_ = l.udp.SetReadBuffer(8 << 20)
		}
	default:
		return nil, fmt.Errorf("BUG: listen on network %q", network)
	}
	if err != nil {
		return nil, taken(name, network, err)
	}
	return l, nil
}

func taken(name, network string, err error) error {
	return fault.New(fault.Unavailable, "receive.%s.%s: %w (another program may use the port: choose one with --set receive.%s.%s=HOST:PORT, or off)", name, network, err, name, network)
}

// Addr is the address that the socket listens on.
func (l *Listener) Addr() net.Addr {
	if l.tcp != nil {
		return l.tcp.Addr()
	}
	return l.udp.LocalAddr()
}

// Run reads until ctx ends; then it takes what has already arrived and returns.
func (l *Listener) Run(ctx context.Context) error {
	if l.udp != nil {
		return l.runUDP(ctx)
	}
	return l.runTCP(ctx)
}

func (l *Listener) runUDP(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.udp.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) })
	defer stop()
	defer l.udp.Close()
	lines, buf, senders := l.lines(), make([]byte, largestUDP), senders{of: l.name + " udp "}
	for {
		n, addr, err := l.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("receive.%s.udp: %w", l.name, err)
			}
			l.log.Warn("read datagram", "receiver", l.name, "error", err)
			continue
		}
		l.counters.Packets.Add(1)
		l.counters.Bytes.Add(int64(n))
		l.take(lines, senders.text(addr.Addr()), buf[:n])
	}
}

func (l *Listener) take(lines Lines, from string, data []byte) {
	accepted, bad, err := lines(from, data)
	l.counters.Bad.Add(int64(bad))
	if err != nil {
		l.counters.Refused.Add(int64(accepted))
		return // the sink counts and reports why; here it would be one log line per packet
	}
	l.counters.Accepted.Add(int64(accepted))
}

func (l *Listener) runTCP(ctx context.Context) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	stop := context.AfterFunc(ctx, func() { l.tcp.Close() })
	defer stop()
	for {
		c, err := l.tcp.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("receive.%s.tcp: %w", l.name, err)
			}
			l.log.Warn("accept connection", "receiver", l.name, "error", err)
			select { // out of file descriptors, most likely
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		l.counters.Connections.Add(1)
		conns.Go(func() { l.serve(ctx, c) })
	}
}

// serveLines hands on the whole lines of each read and keeps the rest for the next.
func (l *Listener) serveLines(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) })
	defer stop()
	lines, buf, kept := l.lines(), make([]byte, readBuffer), 0
	from := l.name + " tcp " + host(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
	for {
		if ctx.Err() == nil {
			c.SetReadDeadline(time.Now().Add(idle))
		}
		n, err := c.Read(buf[kept:])
		l.counters.Bytes.Add(int64(n))
		data := buf[:kept+n]
		end := lastNewline(data)
		if end > 0 {
			l.take(lines, from, data[:end])
			kept = copy(buf, data[end:])
		} else {
			kept = len(data)
		}
		if kept > longestLine {
			l.counters.Bad.Add(1)
			l.log.Warn("line too long, connection closed", "receiver", l.name, "from", c.RemoteAddr().String(), "limit", longestLine)
			return
		}
		if err != nil {
			// A last line without its newline counts only at a clean end: after a
			// time-out or reset it may be cut in the middle of a number.
			if kept > 0 && errors.Is(err, io.EOF) {
				l.take(lines, from, buf[:kept])
			}
			return
		}
	}
}

// lastNewline returns the length of data up to and with its last "\n", or 0.
func lastNewline(data []byte) int {
	for i := len(data) - 1; i >= 0; i-- {
		if data[i] == '\n' {
			return i + 1
		}
	}
	return 0
}

// Close closes the socket of a listener that does not run.
func (l *Listener) Close() {
	if l.tcp != nil {
		l.tcp.Close()
	} else {
		l.udp.Close()
	}
}
