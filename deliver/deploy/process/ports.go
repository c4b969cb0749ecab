package process

import (
	"net"
	"strconv"
	"sync"

	"steer/base/fault"
)

// ports gives out port numbers of a range, each after the last, so that a number
// is not soon used again by another node that a kept connection still points to.
type ports struct {
	first, last int

	mu    sync.Mutex
	next  int
	taken map[int]int // how often: two nodes may remember one number
}

func newPorts(first, last int) *ports {
	return &ports{first: first, last: last, next: first, taken: map[int]int{}}
}

// choose returns a free number for each name.
func (p *ports) choose(names []string) (map[string]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := map[string]int{}
	for _, name := range names {
		port := 0
		for range p.last - p.first + 1 {
			c := p.next
			if p.next++; p.next > p.last {
				p.next = p.first
			}
			if p.taken[c] == 0 && unused(c) {
				port = c
				break
			}
		}
		if port == 0 {
			for _, n := range r {
				p.taken[n]--
			}
			return nil, fault.New(fault.TooMuch, "no free port in %d-%d (widen the driver's ports)", p.first, p.last)
		}
		r[name] = port
		p.taken[port]++
	}
	return r, nil
}

// take marks remembered numbers.
func (p *ports) take(numbers map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range numbers {
		p.taken[n]++
		if n >= p.next && n < p.last {
			p.next = n + 1
		}
	}
}

func (p *ports) give(numbers map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range numbers {
		if p.taken[n]--; p.taken[n] <= 0 {
			delete(p.taken, n)
		}
	}
}

// free says whether nobody listens on the numbers.
func (p *ports) free(numbers map[string]int) bool {
	for _, n := range numbers {
		if !unused(n) {
			return false
		}
	}
	return true
}

// unused tries the port on all addresses, since the node may listen on any.
func unused(port int) bool {
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
