package main

import (
	"fmt"
	"net"
	"time"
)

// statsd sends metrics over UDP and never waits for anybody. A nil *statsd sends
// nothing.
type statsd struct {
	conn   net.Conn
	prefix string
}

func dial(host, port, prefix string) (*statsd, error) {
	if host == "" || port == "" {
		return nil, nil
	}
	conn, err := net.Dial("udp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("send metrics: %w", err)
	}
	return &statsd{conn, prefix}, nil
}

// request counts one request and the time to its first byte. Errors are ignored:
// a shop without metrics still sells.
func (s *statsd) request(ttfb time.Duration) {
	if s == nil {
		return
	}
	fmt.Fprintf(s.conn, "%[1]sttfb:%.3[2]f|ms\n%[1]srequests:1|c", s.prefix, float64(ttfb.Microseconds())/1000)
}
