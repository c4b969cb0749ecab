package prometheus

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// mostPayloads is about how many bytes of spool one request is made of: some
	// thousand points.
	mostPayloads = 128 << 10

	// mostSplits is how many times one request that was refused is split.
	mostSplits = 200

	// mostAfter bounds what a server may ask for with Retry-After.
	mostAfter = 5 * time.Minute
)

// backoff says how long to wait before a request is tried again.
type backoff struct{ first, most time.Duration }

// wait doubles with every try, up to most, and varies by half, so that senders
// do not come back all at once.
func (b backoff) wait(try int, chance func() float64) time.Duration {
	d := b.most
	if try < 16 {
		d = min(b.first<<try, b.most)
	}
	return d/2 + time.Duration(chance()*float64(d/2))
}

// retryAfter reads the header: seconds or a date.
func retryAfter(s string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), mostAfter)
}

// hopeless says whether the same points will be refused for ever. A server that
// does not know the address or the sender may be told otherwise by a person; the
// points are not to blame.
func hopeless(err error) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return false
	}
	switch r.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusInternalServerError:
		// What Prometheus 2.42 says to a point outside its window.
		return strings.Contains(r.text, "too old sample")
	}
	return r.status/100 == 4
}

// deliver sends what is in the spool until ctx ends.
func (s *Store) deliver(ctx context.Context) {
	// A request that is under way gets a little time: what is cut off comes twice.
	sending, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.grace, cut) })()
	d := delivery{s: s, ctx: ctx, sending: sending, encoder: newEncoder(s.metric)}
	for {
		payloads, err := s.spool.Next(ctx, mostPayloads)
		if err != nil {
			if ctx.Err() != nil || !d.again(0, err) {
				return
			}
			continue
		}
		d.points = d.points[:0]
		for _, p := range payloads {
			if d.points, err = decode(d.points, p); err != nil {
				s.log.Error("part of the spool is lost", "bytes", len(p), "err", err)
			}
		}
		d.splits = 0
		if !d.send(d.points) {
			return
		}
		if err := s.spool.Done(); err != nil {
			s.log.Error("points that were sent may be sent again at the next start", "err", err)
		}
	}
}

type delivery struct {
	s       *Store
	ctx     context.Context // ends with Run
	sending context.Context // a little later
	encoder *encoder
	points  []point
	splits  int
}

// send returns when the server has taken the points or they are dropped, and
// false when Run ended before.
func (d *delivery) send(points []point) bool {
	if len(points) == 0 {
		return true
	}
	s := d.s
	for try := 0; ; try++ {
		err := s.client.post(d.sending, d.encoder.request(points))
		if err == nil {
			s.sent.Add(uint64(len(points)))
			s.well()
			return true
		}
		if hopeless(err) {
			// One point that a server does not take makes some refuse all others.
			if half := len(points) / 2; half > 0 && d.splits < mostSplits {
				d.splits++
				return d.send(points[:half]) && d.send(points[half:])
			}
			s.reject(points, err)
			return true
		}
		if !d.again(try, err) {
			return false
		}
	}
}

// again waits before the next try; it is false when Run ends.
func (d *delivery) again(try int, err error) bool {
	d.s.ill(err)
	wait := d.s.backoff.wait(try, rand.Float64)
	var r *refusal
	if errors.As(err, &r) {
		wait = max(wait, r.after)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-d.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// ill notes why nothing gets to the cluster, and tells the log when that begins.
func (s *Store) ill(err error) {
	s.tries.Add(1)
	text := err.Error()
	if s.failure.Swap(&text) == nil {
		s.log.Error("points do not get to the metrics cluster: they wait in the spool, and it is tried again",
			"url", s.client.write, "err", err, "waiting_bytes", s.spool.Waiting())
	}
}

func (s *Store) well() {
	s.lastSent.Store(time.Now().UnixMicro())
	if s.failure.Swap(nil) != nil {
		s.log.Info("points get to the metrics cluster again", "url", s.client.write, "waiting_bytes", s.spool.Waiting())
	}
}

// reject counts points that the server refused for good and, once a minute,
// tells the log one and the reason.
func (s *Store) reject(points []point, err error) {
	s.drop(dropRejected, len(points), points[0].name, "err", err)
}
