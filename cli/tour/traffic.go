package tour

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// traffic is customers: clients that keep their connections and ask for one page
// after the other, all together at a rate.
type traffic struct {
	base  string   // http://host:port
	paths []string // that they ask for in turn
	rate  atomic.Uint64
	began time.Time

	mu    sync.Mutex
	count tally
	done  sync.WaitGroup
	stop  context.CancelFunc
}

// tally is what came of the requests.
type tally struct {
	sent, answered, failed int
	retried                int            // answered, but only on a second connection
	versions               map[string]int // answers by the version that gave them
	slowest                time.Duration
	failures               []failure // the first few
}

type failure struct {
	at    time.Time
	path  string
	cause string
}

const (
	clients      = 16
	patience     = 10 * time.Second // of a customer
	failuresKept = 5
)

// startTraffic begins to send rate requests a second in total.
func startTraffic(base string, paths []string, rate int) *traffic {
	ctx, stop := context.WithCancel(context.Background())
	t := &traffic{base: base, paths: paths, began: time.Now(), stop: stop}
	t.setRate(rate)
	for i := range clients {
		t.done.Go(func() { t.client(ctx, i) })
	}
	return t
}

func (t *traffic) setRate(perSecond int) { t.rate.Store(uint64(perSecond)) }

// interval is how long one client waits between the starts of its requests.
func (t *traffic) interval() time.Duration {
	return clients * time.Second / time.Duration(max(1, t.rate.Load()))
}

// client is one customer. Requests that are under way when ctx ends are finished,
// so that stopping makes no failure.
func (t *traffic) client(ctx context.Context, n int) {
	dialer := &net.Dialer{Timeout: patience}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConns: 1, IdleConnTimeout: time.Minute, DisableCompression: true}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: patience}
	// Spread evenly, with a little disorder, so that some request is always under way.
	next := time.Now().Add(t.interval() * time.Duration(n) / clients)
	for i := n; ; i++ {
		wait := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		t.ask(c, t.paths[i%len(t.paths)])
		pause := t.interval()
		next = next.Add(pause + time.Duration((rand.Float64()-0.5)*0.2*float64(pause)))
		if now := time.Now(); next.Before(now) {
			next = now // a slow answer is not made up for by a burst
		}
	}
}

func (t *traffic) ask(c *http.Client, path string) {
	connections := 0
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	start := time.Now()
	version, err := fetch(ctx, c, t.base+path)
	t.record(path, start, version, connections, err)
}

// fetch reads a whole answer and returns the version that gave it.
func fetch(ctx context.Context, c *http.Client, url string) (version string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode >= 400 {
		return "", fmt.Errorf("answered %s", res.Status)
	}
	return res.Header.Get("X-Version"), nil
}

func (t *traffic) record(path string, start time.Time, version string, connections int, err error) {
	took := time.Since(start)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.sent++
	if err != nil {
		t.count.failed++
		if len(t.count.failures) < failuresKept {
			t.count.failures = append(t.count.failures, failure{start, path, err.Error()})
		}
		return
	}
	t.count.answered++
	if t.count.versions == nil {
		t.count.versions = map[string]int{}
	}
	t.count.versions[version]++
	t.count.slowest = max(t.count.slowest, took)
	if connections > 1 {
		t.count.retried++
	}
}

// counted is the tally so far.
func (t *traffic) counted() tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.count
	c.failures, c.versions = slices.Clone(c.failures), maps.Clone(c.versions)
	return c
}

// end stops asking and returns when the last answers are in.
func (t *traffic) end() tally {
	t.stop()
	t.done.Wait()
	return t.counted()
}

// error says which requests failed, or nil.
func (c tally) error() error {
	if c.failed == 0 {
		return nil
	}
	text := fmt.Sprintf("%d of %d requests failed", c.failed, c.sent)
	for _, f := range c.failures {
		text += fmt.Sprintf("\n  %s GET %s: %s", f.at.Format("15:04:05.000"), f.path, f.cause)
	}
	return fmt.Errorf("%s", text)
}
