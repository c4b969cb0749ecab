package access

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"steer/base/fault"
)

func conflict(err error) bool { return fault.Of(err) == fault.Conflict }

// Bounds on wrong tokens from one address: some at once, then one per interval.
// Addresses beyond the most that are remembered share one count.
const (
	burst    = 10
	interval = 6 * time.Second
	sources  = 4096
)

// VerifyFrom is Verify for callers from the network, known by their IP address.
// After several wrong tokens from there it answers TooMuch for a while. A valid
// token always passes: tokens cannot be guessed, so the limit only has to keep the
// noise down, and a forgotten script with an old token must not lock out the
// people who call from the same address.
func (a *Access) VerifyFrom(ctx context.Context, from, token string) (Identity, error) {
	who, err := a.Verify(ctx, token)
	if err == nil || fault.Of(err) != fault.Anonymous {
		return who, err
	}
	if wait := a.failed.count(source(from), a.now()); wait > 0 {
		return Identity{}, fault.New(fault.TooMuch, "too many wrong tokens from %s: wait %s before the next", from, wait.Round(time.Second))
	}
	return Identity{}, err
}

// source is what addresses of the same caller have in common: an IPv6 host may use
// any address of its /64.
func source(from string) string {
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return from
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// limiter counts failures per source. For each it keeps the time at which all of
// them are forgiven: every failure moves that by one interval.
type limiter struct {
	mu       sync.Mutex
	forgiven map[string]time.Time
}

// count notes a failure and returns how long to wait, 0 while that is fine.
func (l *limiter) count(source string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgiven == nil {
		l.forgiven = map[string]time.Time{}
	}
	if _, ok := l.forgiven[source]; !ok && len(l.forgiven) >= sources {
		for s, t := range l.forgiven {
			if !t.After(now) {
				delete(l.forgiven, s)
			}
		}
		if len(l.forgiven) >= sources {
			source = ""
		}
	}
	t := l.forgiven[source]
	if t.Before(now) {
		t = now
	}
	// Failures while limited count no further, or a busy script would never end it.
	if wait := t.Sub(now) - (burst-1)*interval; wait > 0 {
		return wait
	}
	l.forgiven[source] = t.Add(interval)
	return 0
}
