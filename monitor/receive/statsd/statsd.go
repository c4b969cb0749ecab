package statsd

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"steer/monitor/receive"
)

// Config is the receiver's part of the server's configuration.
type Config struct {
	UDP string `yaml:"udp" default:"127.0.0.1:8125" doc:"Address for StatsD datagrams; off closes it."`
}

// Options is what the server hands in.
type Options struct {
	Config
	Sink receive.SampleSink
	Log  *slog.Logger
}

// Receiver is the open socket.
type Receiver struct {
	receive.Counters
	listener *receive.Listener
}

// New opens the socket.
func New(o Options) (*Receiver, error) {
	r := &Receiver{}
	if o.UDP == "" || o.UDP == "off" {
		return r, nil
	}
	log := cmp.Or(o.Log, slog.Default())
	var err error
	r.listener, err = receive.Listen("statsd", "udp", o.UDP, &r.Counters, log, func() receive.Lines {
		var p Parser
		var lastLog time.Time
		return func(from string, data []byte) (int, int, error) {
			samples, bad, first := p.Parse(data)
			if now := time.Now(); first != nil && now.Sub(lastLog) > 10*time.Second {
				lastLog = now
				log.Warn("bad metric line dropped", "receiver", "statsd", "from", from, "error", first, "bad", bad)
			}
			if len(samples) == 0 {
				return 0, bad, nil
			}
			return len(samples), bad, o.Sink(samples)
		}
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// UDP is the address of the socket, nil when it is off.
func (r *Receiver) UDP() net.Addr {
	if r.listener == nil {
		return nil
	}
	return r.listener.Addr()
}

// Run receives until ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	if r.listener == nil {
		<-ctx.Done()
		return nil
	}
	return r.listener.Run(ctx)
}

// Close closes the socket of a receiver that never ran.
func (r *Receiver) Close() {
	if r.listener != nil {
		r.listener.Close()
	}
}
