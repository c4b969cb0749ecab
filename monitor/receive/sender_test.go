package receive

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// heard remembers who sent which line.
type heard struct {
	mu    sync.Mutex
	lines []string
	all   chan struct{}
	n     int
}

func (h *heard) take(from string, data []byte) (int, int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for line := range strings.Lines(string(data)) {
		h.lines = append(h.lines, from+": "+strings.TrimSuffix(line, "\n"))
		if h.n--; h.n == 0 {
			close(h.all)
		}
	}
	return 0, 0, nil
}

// listen runs a listener until n lines have come, and says which address it has.
func listen(t *testing.T, network, address string, n int) (*heard, string) {
	t.Helper()
	h := &heard{all: make(chan struct{}), n: n}
	l, err := Listen("graphite", network, address, &Counters{}, slog.New(slog.DiscardHandler), func() Lines { return h.take })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h, l.Addr().String()
}

// dial connects from one of this machine's own addresses.
func dial(t *testing.T, network, from, to string) net.Conn {
	t.Helper()
	var local net.Addr = &net.TCPAddr{IP: net.ParseIP(from)}
	if network == "udp" {
		local = &net.UDPAddr{IP: net.ParseIP(from)}
	}
	d := net.Dialer{LocalAddr: local}
	c, err := d.Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLinesComeWithTheirSender: several hosts, and several sockets of one, send in
// turn.
func TestLinesComeWithTheirSender(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"}
			const rounds = 20
			h, address := listen(t, network, "127.0.0.1:0", rounds*len(hosts))
			var conns []net.Conn
			for _, host := range hosts {
				conns = append(conns, dial(t, network, host, address))
			}
			var want []string
			for round := range rounds {
				for i, c := range conns {
					fmt.Fprintf(c, "%d.%d\n", i, round)
					want = append(want, fmt.Sprintf("graphite %s %s: %d.%d", network, hosts[i], i, round))
				}
			}
			<-h.all
			slices.Sort(h.lines)
			slices.Sort(want)
			if !slices.Equal(h.lines, want) {
				t.Fatalf("got  %q\nwant %q", h.lines, want)
			}
		})
	}
}

func TestSendersOfDatagramsAllocateNothing(t *testing.T) {
	s := senders{of: "graphite udp "}
	addrs := []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.1.2.4"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:10.1.2.5")}
	want := []string{"graphite udp 10.1.2.3", "graphite udp 10.1.2.4", "graphite udp 2001:db8::1", "graphite udp fe80::1%eth0", "graphite udp 10.1.2.5"}
	if n := testing.AllocsPerRun(100, func() {
		for i, a := range addrs {
			if got := s.text(a); got != want[i] {
				t.Fatalf("%q, want %q", got, want[i])
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSendersAreForgottenBeforeTheyFillMemory(t *testing.T) {
	s := senders{of: "graphite udp "}
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if got := s.text(a); got != "graphite udp "+a.String() {
			t.Fatalf("%v is called %q", a, got)
		}
		if len(s.texts) > mostSenders {
			t.Fatalf("%d texts are kept", len(s.texts))
		}
	}
}
