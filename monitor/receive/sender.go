package receive

import "net/netip"

// mostSenders is how many addresses a UDP socket remembers the texts of.
const mostSenders = 1024

// senders are the texts of the addresses that datagrams come from, so that not
// every datagram makes its own.
type senders struct {
	of    string // protocol and network, a space behind
	texts map[netip.Addr]string
	addr  netip.Addr // of the last datagram
	last  string
}

func (s *senders) text(addr netip.Addr) string {
	if addr == s.addr && s.last != "" {
		return s.last
	}
	text, ok := s.texts[addr]
	if !ok {
		if s.texts == nil || len(s.texts) >= mostSenders { // addresses can be made up
			s.texts = map[netip.Addr]string{}
		}
		text = s.of + host(addr)
		s.texts[addr] = text
	}
	s.addr, s.last = addr, text
	return text
}

// host writes an address; a socket for both versions of IP sees those of version 4
// as ::ffff:10.1.2.3.
func host(addr netip.Addr) string { return addr.Unmap().String() }
