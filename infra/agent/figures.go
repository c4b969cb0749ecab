package agent

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/base/metric"
)

// Figure is one measurement of a host.
type Figure struct {
	Name  string  `json:"name"` // without servers.HOST.
	Time  int64   `json:"time"` // seconds since 1970
	Value float64 `json:"value"`
}

// Bounds of what hosts measure.
const (
	mostFigures  = 5000 // at a time
	longestName  = 200
	oldestFigure = time.Hour
)

// Figures takes what a verified host measured. It can name nothing but itself.
func (r *Registry) Figures(host id.Host, all []Figure) error {
	if len(all) > mostFigures {
		return fault.New(fault.Invalid, "figures: %d at a time (send up to %d)", len(all), mostFigures)
	}
	prefix := "servers." + strings.ReplaceAll(string(host), ".", "_") + "."
	points := make([]metric.Point, len(all))
	now := r.now()
	for i, f := range all {
		odd := func(c rune) bool { return c <= ' ' || c == ';' || c > '~' }
		if f.Name == "" || len(f.Name) > longestName || strings.ContainsFunc(f.Name, odd) || strings.Contains("."+f.Name+".", "..") {
			return fault.New(fault.Invalid, "figures: %.40q is no name of a metric", f.Name)
		}
		if age := now.Sub(time.Unix(f.Time, 0)).Abs(); age > oldestFigure {
			return fault.New(fault.Invalid, "figures: the clock of %s is %s away from the server's", host, age.Round(time.Second))
		}
		points[i] = metric.Point{Name: []byte(prefix + f.Name), Time: f.Time, Value: f.Value}
	}
	if r.figures == nil {
		return nil
	}
	if err := r.figures(points); err != nil {
		return fmt.Errorf("figures of %s: %w", host, err)
	}
	return nil
}

// measure sends what this host measures, while the server is there.
func (a *Agent) measure(ctx context.Context) {
	err := a.o.Measure(ctx, func(all []Figure) error {
		a.mu.Lock()
		connected := !a.status.Connected.IsZero()
		a.mu.Unlock()
		if !connected {
			return nil
		}
		within, cancel := context.WithTimeout(ctx, answering)
		defer cancel()
		res, err := a.ask(within, http.MethodPost, "/api/v1/hosts/metrics", map[string]any{"figures": all})
		if err == nil {
			res.Body.Close()
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		a.log.Error("this host is not measured", "error", err)
	}
}
