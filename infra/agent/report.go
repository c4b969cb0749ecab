package agent

import (
	"context"
	"fmt"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
)

// Report is what a host tells by itself: one of Drift and Run.
type Report struct {
	At    time.Time    `json:"at"`
	Drift *infra.Drift `json:"drift,omitempty"`
	Run   *Run         `json:"run,omitempty"`
	// Lost is how many reports before this one were dropped, since too many waited.
	Lost int `json:"lost,omitempty"`
}

// Run is a convergence that the host did by itself.
type Run struct {
	Counts map[string]int `json:"counts"` // of resources, by status
	Hash   string         `json:"hash,omitempty"`
	Error  string         `json:"error,omitempty"`
	Failed bool           `json:"failed"`
	Took   time.Duration  `json:"took"` // nanoseconds
}

// Bounds of what hosts report.
const (
	MostReports    = 100  // in one request
	longestRef     = 1000 // of a resource
	oldestReport   = 30 * 24 * time.Hour
	mostBursts     = 30              // requests at once
	reportInterval = 2 * time.Second // per request after that
)

// allowance bounds how often one host reports: the journal is for all.
type allowance struct {
	used float64
	at   time.Time
}

func (a *allowance) take(now time.Time) bool {
	a.used = max(0, a.used-now.Sub(a.at).Seconds()/reportInterval.Seconds())
	a.at = now
	if a.used >= mostBursts {
		return false
	}
	a.used++
	return true
}

// Report takes what a verified host tells.
func (r *Registry) Report(ctx context.Context, host id.Host, all []Report) error {
	if len(all) == 0 || len(all) > MostReports {
		return fault.New(fault.Invalid, "report: %d reports at a time (send from 1 to %d)", len(all), MostReports)
	}
	r.mu.Lock()
	ok := r.presence(host).allowed.take(r.now())
	r.mu.Unlock()
	if !ok {
		return fault.New(fault.TooMuch, "report: %s reports too often (send more at a time)", host)
	}
	now := r.now()
	for i, one := range all {
		if one.At.After(now) || now.Sub(one.At) > oldestReport {
			all[i].At = now // its clock is wrong
		}
		if one.Drift != nil && len(one.Drift.Ref) > longestRef {
			return fault.New(fault.Invalid, "report: number %d names a resource with %d bytes", i, len(one.Drift.Ref))
		}
		if (one.Drift == nil) == (one.Run == nil) {
			return fault.New(fault.Invalid, "report: number %d is not one of drift and run", i)
		}
	}
	if r.reports == nil {
		return nil
	}
	if err := r.reports(ctx, host, all); err != nil {
		return fmt.Errorf("report of %s: %w", host, err)
	}
	return nil
}
