package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"steer/test/bench/server"
)

// attackers are how many clients send hostile requests at once.
const attackers = 4

// attack is a request that no honest client sends.
type attack struct {
	name, target string
	years        int // of the range; 0: a day
}

func attacks() []attack {
	return []attack{
		{"deep", strings.Repeat("sumSeries(", 1500) + every + strings.Repeat(")", 1500), 0},
		{"everything for ten years", "*.*.*.*.*", 10},
		{"everything, many times", "sumSeries(" + strings.TrimSuffix(strings.Repeat(every+",", 200), ",") + ")", 0},
		{"ten years each", "movingAverage(" + every + ",'1d')", 10},
		{"slow glob", "servers.*d*c*.*w*e*b*-*0*1*2*9*x*.*{a,b,c,d,e,f,g}*{a,b,c,d,e,f,g}*.*", 0},
		{"expensive windows", "movingMedian(" + every + ",1000)", 0},
		{"every percentile", "nPercentile(movingWindow(" + every + ",2000,'stddev'),95)", 0},
	}
}

func (a attack) address(base string, d *data) string {
	length := int64(86400)
	if a.years > 0 {
		length = int64(a.years) * 365 * 86400
	}
	until := d.at(d.points - 1)
	return base + "/render?" + url.Values{
		"target": {a.target}, "format": {"json"}, "maxDataPoints": {"500"},
		"from": {strconv.FormatInt(until-length, 10)}, "until": {strconv.FormatInt(until, 10)},
		"noCache": {"1"}, "nocache": {"1"},
	}.Encode()
}

// hostile measures honest requests, alone and beside hostile ones.
func (b *bench) hostile(ctx context.Context, runs []*run, all []*query, d *data) error {
	const clients = 2
	honest := all[:2] // one series, and the sum of all
	before := server.Load()
	var quiet, beside, bad []*result
	for _, r := range runs {
		b.say("%s: hostile requests", r.peer.Name())
		q, h := &result{system: r.peer.Name()}, &result{system: r.peer.Name(), lenient: true}
		if r.proc != nil {
			if err := r.proc.ResetPeak(); err != nil {
				return err
			}
		}
		if err := r.load(ctx, honest, d, clients, b.time, q); err != nil {
			return fmt.Errorf("%s: %w", r.peer.Name(), err)
		}
		attacked, stop := context.WithCancel(ctx)
		done := make(chan *result)
		go func() { done <- r.attack(attacked, d, b.say) }()
		err := r.load(ctx, honest, d, clients, 2*b.time, h)
		stop()
		a := <-done
		if err != nil {
			return fmt.Errorf("%s, beside hostile requests: %w", r.peer.Name(), err)
		}
		quiet, beside, bad = append(quiet, q), append(beside, h), append(bad, a)
	}
	fmt.Fprintf(b.out, "\n%d honest clients (one, sum), alone and beside %d that send hostile requests (load of the machine before: %.2f)\n\n",
		clients, attackers, before)
	of := func(list []*result, r *result) *result {
		for _, other := range list {
			if other.system == r.system {
				return other
			}
		}
		return nil
	}
	write(b.out, beside, []figure{
		{"honest requests alone", "%.0f", false, func(r *result) float64 { return float64(len(of(quiet, r).latency)) }},
		{"· latency p50, ms", "%.2f", true, func(r *result) float64 { return of(quiet, r).quantile(0.50) }},
		{"· latency p99, ms", "%.2f", true, func(r *result) float64 { return of(quiet, r).quantile(0.99) }},
		{"honest requests beside hostile ones", "%.0f", false, func(r *result) float64 { return float64(len(r.latency)) }},
		{"· refused", "%.0f", false, func(r *result) float64 { return float64(r.failed) }},
		{"· latency p50, ms", "%.2f", true, func(r *result) float64 { return r.quantile(0.50) }},
		{"· latency p99, ms", "%.2f", true, func(r *result) float64 { return r.quantile(0.99) }},
		{"· longest, ms", "%.2f", true, func(r *result) float64 { return r.quantile(1) }},
		{"hostile requests refused", "%.0f", false, func(r *result) float64 { return float64(of(bad, r).failed) }},
		{"hostile requests answered", "%.0f", false, func(r *result) float64 { return float64(len(of(bad, r).latency) - of(bad, r).failed) }},
		{"· longest answer or refusal, s", "%.2f", true, func(r *result) float64 { return of(bad, r).quantile(1) / 1e3 }},
		{"peak memory, MB", "%.0f", true, func(r *result) float64 {
			return known(math.Max(float64(r.peak), float64(of(bad, r).peak)) / 1e6)
		}},
	})
	return nil
}

// attack sends hostile requests until the context ends; those under way then are
// given up and not counted.
func (r *run) attack(ctx context.Context, d *data, say func(string, ...any)) *result {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: attackers, DisableCompression: true}}
	defer client.CloseIdleConnections()
	res := &result{system: r.peer.Name()}
	said := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range attackers {
		wg.Go(func() {
			for n := c; ; n++ {
				a := attacks()[n%len(attacks())]
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.address(r.base, d), nil)
				if err != nil {
					return
				}
				sent := time.Now()
				answer, err := client.Do(req)
				var text []byte
				if err == nil {
					text, _ = io.ReadAll(io.LimitReader(answer.Body, 300))
					_, err = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				res.latency = append(res.latency, time.Since(sent))
				refused := err != nil || answer.StatusCode != http.StatusOK
				if refused {
					res.failed++
				}
				if !said[a.name] {
					said[a.name] = true
					what := "answered"
					if err != nil {
						what = err.Error()
					} else if refused {
						what = answer.Status + ": " + strings.TrimSpace(string(text))
					}
					say("%s, %s, after %.2f s: %.250s", r.peer.Name(), a.name, time.Since(sent).Seconds(), what)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if r.proc != nil {
		res.peak = r.proc.Peak()
	}
	return res
}
