package graphite

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"steer/base/metric"
	"steer/monitor/receive"

	"golang.org/x/sync/errgroup"
)

// Config is the receiver's part of the server's configuration.
type Config struct {
	TCP string `yaml:"tcp" default:"127.0.0.1:2003" doc:"Address for Graphite lines over TCP; off closes it."`
	UDP string `yaml:"udp" default:"127.0.0.1:2003" doc:"Address for Graphite lines over UDP; off closes it."`

	Pickle string `yaml:"pickle" default:"off" doc:"Address for Carbon's pickle protocol over TCP, which relays speak: 127.0.0.1:2004; off closes it."`
}

// Options is what the server hands in.
type Options struct {
	Config
	Sink receive.Sink
	Log  *slog.Logger
}

// Receiver is the open sockets.
type Receiver struct {
	receive.Counters
	listeners        []*receive.Listener
	tcp, udp, pickle net.Addr
}

// parser reads what has come, as Parse does.
type parser func(dst []metric.Point, data []byte, now int64) (points []metric.Point, bad int, err error)

// New opens the sockets.
func New(o Options) (*Receiver, error) {
	r := &Receiver{}
	log := cmp.Or(o.Log, slog.Default())
	// Each connection has its own memory for points.
	into := func(parse parser) receive.Lines {
		points := make([]metric.Point, 0, 4096)
		var lastLog time.Time
		return func(from string, data []byte) (int, int, error) {
			now := time.Now()
			var bad int
			var first error
			points, bad, first = parse(points[:0], data, now.Unix())
			if first != nil && now.Sub(lastLog) > 10*time.Second {
				lastLog = now
				log.Warn("bad metric line dropped", "receiver", "graphite", "from", from, "error", first, "bad", bad)
			}
			if len(points) == 0 {
				return 0, bad, nil
			}
			return len(points), bad, o.Sink(from, points)
		}
	}
	lines := func() receive.Lines { return into(Parse) }
	messages := func() receive.Lines { return into(new(unpickler).points) }
	for _, s := range []struct {
		network, address string
		addr             *net.Addr
	}{{"tcp", o.TCP, &r.tcp}, {"udp", o.UDP, &r.udp}, {"pickle", o.Pickle, &r.pickle}} {
		if s.address == "" || s.address == "off" {
			continue
		}
		var l *receive.Listener
		var err error
		if s.network == "pickle" {
			l, err = receive.ListenFrames("graphite", s.network, s.address, &r.Counters, log, messages)
		} else {
			l, err = receive.Listen("graphite", s.network, s.address, &r.Counters, log, lines)
		}
		if err != nil {
			r.Close()
			return nil, err
		}
		*s.addr = l.Addr()
		r.listeners = append(r.listeners, l)
	}
	return r, nil
}

// TCP is the address of the TCP socket, nil when it is off.
func (r *Receiver) TCP() net.Addr { return r.tcp }

// UDP is the address of the UDP socket, nil when it is off.
func (r *Receiver) UDP() net.Addr { return r.udp }

// Pickle is the address of the socket for the pickle protocol, nil when it is off.
func (r *Receiver) Pickle() net.Addr { return r.pickle }

// Run receives until ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if len(r.listeners) == 0 { // all are off
		<-ctx.Done()
	}
	for _, l := range r.listeners {
		g.Go(func() error { return l.Run(ctx) })
	}
	return g.Wait()
}

// Close closes the sockets of a receiver that never ran.
func (r *Receiver) Close() {
	for _, l := range r.listeners {
		l.Close()
	}
}
