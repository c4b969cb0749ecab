package hosts

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// stats takes the StatsD packets of a host's nodes, which Steer fetches. Like all of
// StatsD it loses what is too much.
type stats struct {
	port int
	conn *net.UDPConn

	mu    sync.Mutex
	all   [][]byte
	bytes int
}

const (
	maxStats  = 1 << 20 // bytes that wait for Steer
	maxPacket = 9000
)

// newStats listens on the port that file names, since nodes know it; if it names none
// or another program has that, on another one, which it writes there.
func newStats(file string) (*stats, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	port, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil && port != 0 {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "take StatsD metrics: %w", err)
	}
	s := &stats{port: c.LocalAddr().(*net.UDPAddr).Port, conn: c}
	if err := deploy.Replace(file, []byte(strconv.Itoa(s.port)+"\n")); err != nil {
		c.Close()
		return nil, err
	}
	go s.read()
	return s, nil
}

func (s *stats) read() {
	b := make([]byte, maxPacket)
	for {
		n, err := s.conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.mu.Lock()
		if n > 0 && s.bytes+n <= maxStats {
			s.all = append(s.all, append([]byte(nil), b[:n]...))
			s.bytes += n
		}
		s.mu.Unlock()
	}
}

// waiting says whether there are packets.
func (s *stats) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) > 0
}

func (s *stats) take() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all, s.bytes = nil, 0
	return all
}

// Close ends it.
func (s *stats) Close() error { return s.conn.Close() }
