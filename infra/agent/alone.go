package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"steer/base/fault"
)

// Unattended convergence without the server.
const (
	alone      = time.Hour        // after so long, and again after each
	aloneLater = 10 * time.Minute // at most, by chance, so that not all hosts do it at once
)

// alone converges this host by what it knows, when the server is gone for long.
func (a *Agent) alone(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	chance := rand.N(aloneLater)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.mu.Lock()
		s := a.status
		a.mu.Unlock()
		last := s.Contact
		if s.Alone.After(last) {
			last = s.Alone
		}
		if !s.Connected.IsZero() || s.Paused || time.Since(last) < alone+chance {
			continue
		}
		chance = rand.N(aloneLater)
		a.begin()
		run, err := a.o.Converge(ctx)
		a.end()
		a.note(func(s *Status) { s.Alone = time.Now().UTC() }) //nolint:errcheck // the next note tries again
		switch {
		case fault.Of(err) == fault.NotFound:
			continue // it was never converged
		case fault.Of(err) == fault.Conflict:
			continue // another run changes this host
		case err != nil:
			run.Error, run.Failed = err.Error(), true
		}
		a.log.Info("converged without the server", "failed", run.Failed, "error", run.Error)
		a.report(Report{At: time.Now().UTC(), Run: &run})
	}
}
