// Package stream is the carrier between the parts of Steer and to other
// programs: NATS with JetStream, as a server inside this process that keeps its
// data in a folder, or as an external cluster.
//
// Who publishes much at once should fill messages to about 64 KiB (six times the
// bytes per second of 1 KiB), and give jetstream.WithStallWait, since an
// asynchronous publish otherwise fails after a stall of 200 ms. Who consumes
// must keep PullMaxMessages times the message size below 64 MiB, or Consume may
// hang without a word.
package stream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"steer/base/fault"
)

// Options say which stream to use.
type Options struct {
	Dir    string        // folder of the embedded server
	URL    string        // of an external NATS server or cluster; then Dir, Listen and Sync do not count
	Listen string        // "" or address at which the embedded server takes clients: "127.0.0.1:4222"
	Token  string        // what clients must send; required if Listen is not a loopback address
	Sync   time.Duration // the embedded server's data is on disk after this time at the latest; default 1 s
	Log    *slog.Logger
}

// Limits of the embedded server. Streams keep their own below these.
const (
	maxStore  = 16 << 30  // bytes on disk
	maxMemory = 256 << 20 // bytes of memory streams
	patience  = 10 * time.Second
)

// Stream is an open connection, and the embedded server behind it if there is
// one. It is safe for concurrent use.
type Stream struct {
	server *server.Server // nil: external
	conn   *nats.Conn
	js     jetstream.JetStream
}

// Open starts the embedded server, or connects to the external one, and checks
// that JetStream answers.
func Open(ctx context.Context, o Options) (*Stream, error) {
	log := cmp.Or(o.Log, slog.Default())
	options := []nats.Option{
		nats.Name("steer"), nats.Timeout(patience), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("stream: disconnected, trying to connect again", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("stream: connected again", "url", c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			log.Error("stream: error of a subscription", "subject", subject, "error", err)
		}),
	}
	if o.Token != "" {
		options = append(options, nats.Token(o.Token))
	}
	s := &Stream{}
	if o.URL == "" {
		var err error
		if s.server, err = embed(o, log); err != nil {
			return nil, err
		}
		options = append(options, nats.InProcessServer(s.server))
	}
	if err := s.connect(ctx, o.URL, options); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Stream) connect(ctx context.Context, url string, options []nats.Option) (err error) {
	where := cmp.Or(url, "the embedded server")
	if s.conn, err = nats.Connect(url, options...); err != nil {
		return fault.New(fault.Unavailable, "connect to stream at %s: %w", where, err)
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return fmt.Errorf("connect to stream at %s: %w", where, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err = s.js.AccountInfo(ctx); err != nil {
		return fault.New(fault.Unavailable, "connect to stream at %s: JetStream does not answer (start the server with JetStream on): %w", where, err)
	}
	return nil
}

// embed starts a server that nobody outside of this process can reach unless an
// address is given.
func embed(o Options, log *slog.Logger) (*server.Server, error) {
	if o.Dir == "" {
		return nil, fault.New(fault.Invalid, "start stream: neither a folder nor a URL is given")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start stream: %w", err)
	}
	options := &server.Options{
		ServerName: "steer", NoSigs: true, DontListen: o.Listen == "", Authorization: o.Token,
		JetStream: true, StoreDir: o.Dir, JetStreamMaxStore: maxStore, JetStreamMaxMemory: maxMemory, DisableJetStreamBanner: true,
		// The server's own default is two minutes, which a power failure would take.
		SyncInterval: cmp.Or(o.Sync, time.Second),
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fault.New(fault.Invalid, "start stream: listen address %q: %w (use HOST:PORT)", o.Listen, err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fault.New(fault.Invalid, "start stream: listen address %q: port %q is not a number up to 65535", o.Listen, port)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && o.Token == "" {
			return nil, fault.New(fault.Invalid, "start stream: listen address %q can be reached from other machines, so set a token or use 127.0.0.1", o.Listen)
		}
		options.Host, options.Port = host, int(n)
		if n == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start stream in %s: %w", o.Dir, err)
	}
	s.SetLoggerV2(logger{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(patience) {
		s.Shutdown()
		return nil, fault.New(fault.Unavailable, "start stream in %s: not ready after %s (is %s in use, or the disk full?)", o.Dir, patience, cmp.Or(o.Listen, "the folder"))
	}
	return s, nil
}

// Conn is the connection, for publish and subscribe without storage.
func (s *Stream) Conn() *nats.Conn { return s.conn }

// JetStream is the connection, for what is stored.
func (s *Stream) JetStream() jetstream.JetStream { return s.js }

// Address is where the embedded server takes clients, "" if it does not.
func (s *Stream) Address() string {
	if s.server == nil || s.server.Addr() == nil {
		return ""
	}
	return s.server.Addr().String()
}

// Close ends the connection and the embedded server, which writes everything to
// disk. It may be called twice.
func (s *Stream) Close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	return nil
}

// logger passes on what the embedded server says. Its notices are about its own
// start and stop, which Steer reports itself.
type logger struct{ to *slog.Logger }

func (l logger) Noticef(f string, v ...any) { l.to.Debug("stream: " + fmt.Sprintf(f, v...)) }
func (l logger) Warnf(f string, v ...any)   { l.to.Warn("stream: " + fmt.Sprintf(f, v...)) }
func (l logger) Errorf(f string, v ...any)  { l.to.Error("stream: " + fmt.Sprintf(f, v...)) }
func (l logger) Fatalf(f string, v ...any)  { l.to.Error("stream: " + fmt.Sprintf(f, v...)) }
func (l logger) Debugf(f string, v ...any)  { l.to.Debug("stream: " + fmt.Sprintf(f, v...)) }
func (l logger) Tracef(f string, v ...any)  { l.to.Debug("stream: " + fmt.Sprintf(f, v...)) }
