package receive

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"time"
)

// longestFrame is the bytes of one message, as in Carbon.
const longestFrame = 1 << 20

// ListenFrames opens a TCP socket of a protocol whose messages have their length in
// front, four bytes, big-endian. The function messages is called once per
// connection; what it returns gets one message at a time.
func ListenFrames(name, protocol, address string, c *Counters, log *slog.Logger, messages func() Lines) (*Listener, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, taken(name, protocol, err)
	}
	l := &Listener{name: name + " " + protocol, lines: messages, counters: c, log: log, tcp: tcp}
	l.serve = l.serveFrames
	return l, nil
}

func (l *Listener) serveFrames(ctx context.Context, c net.Conn) {
	defer c.Close()
	last := func() { c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) }
	stop := context.AfterFunc(ctx, last)
	defer stop()
	take, in := l.lines(), bufio.NewReaderSize(c, 64<<10)
	from := l.name + " " + host(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
	var head [4]byte
	var message []byte
	for {
		c.SetReadDeadline(time.Now().Add(idle))
		if ctx.Err() != nil {
			last()
		}
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > longestFrame {
			l.counters.Bad.Add(1)
			l.log.Warn("message too long, connection closed", "receiver", l.name, "from", c.RemoteAddr().String(), "bytes", n, "limit", longestFrame)
			return
		}
		if int(n) > cap(message) {
			message = make([]byte, n)
		}
		if _, err := io.ReadFull(in, message[:n]); err != nil {
			return // half a message: who sent it knows that it is not complete
		}
		l.counters.Bytes.Add(int64(len(head)) + int64(n))
		l.take(take, from, message[:n])
	}
}
