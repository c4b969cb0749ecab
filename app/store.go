package app

import (
	"context"

	"steer/base/fault"
	"steer/monitor/store"
	"steer/monitor/store/prometheus"
)

// Store says where metrics are kept.
type Store struct {
	Driver       string `yaml:"driver" default:"disk" doc:"Where metrics are kept: disk (Steer's own engine, in the data folder) or prometheus (a cluster that speaks Prometheus remote write and query API, like VictoriaMetrics or Mimir)."`
	store.Config `yaml:",inline"`
	Prometheus   prometheus.Config `yaml:"prometheus"`
}

// Check says what is wrong with the configuration.
func (s Store) Check() error {
	switch s.Driver {
	case "disk":
		return nil
	case "prometheus":
		if p := s.Prometheus; p.URL == "" && (p.WriteURL == "" || p.ReadURL == "") {
			return fault.New(fault.Invalid, "prometheus.url: is missing, and driver is prometheus (write where the cluster is, like http://victoria:8428)")
		}
		return nil
	}
	return fault.New(fault.Invalid, "driver: %q is unknown (use disk or prometheus)", s.Driver)
}

// metricStore is a driver as it runs in a server.
type metricStore interface {
	store.Driver
	Run(context.Context) error
	Apply(store.Rules) error
}

// openStore opens the driver that was chosen. The second result reads its
// figures, names below "store.".
func (a *App) openStore() (metricStore, func() map[string]float64, error) {
	c := a.o.Store
	_, files := a.definitions.Current()
	rules, err := retention(files)
	if err != nil {
		return nil, nil, err
	}
	if c.Driver == "prometheus" {
		s, err := prometheus.Open(prometheus.Options{
			Config: c.Prometheus, Store: c.Config, Rules: rules, Dir: a.path("spool"), Agent: "Steer/" + a.o.Version, Log: a.log,
		})
		if err != nil {
			return nil, nil, err
		}
		return s, func() map[string]float64 { return clusterFigures(s.Stats()) }, nil
	}
	s, err := store.Open(store.Options{Config: c.Config, Rules: rules, Dir: a.path("metrics"), Log: a.log})
	if err != nil {
		return nil, nil, err
	}
	a.monitor.disk = s
	return s, func() map[string]float64 { return diskFigures(s.Stats()) }, nil
}

func diskFigures(s store.Stats) map[string]float64 {
	return withDropped(map[string]float64{
		"series":       float64(s.Series),
		"max_series":   float64(s.MaxSeries),
		"new_series":   float64(s.NewSeries),
		"points":       float64(s.Points),
		"refused":      float64(s.Refused),
		"memory_bytes": float64(s.Memory),
		"wal_bytes":    float64(s.WALBytes),
		"block_bytes":  float64(s.BlockBytes),
		"blocks":       float64(s.Blocks),
		"damaged":      float64(s.Damaged),
		"flushes":      float64(s.Flushes),
	}, s.Dropped)
}

func clusterFigures(s prometheus.Stats) map[string]float64 {
	return withDropped(map[string]float64{
		"points":      float64(s.Points),
		"sent":        float64(s.Sent),
		"refused":     float64(s.Refused),
		"retries":     float64(s.Retries),
		"spool_bytes": float64(s.Waiting),
		"damaged":     float64(s.Damaged),
	}, s.Dropped)
}

func withDropped(f map[string]float64, dropped map[string]uint64) map[string]float64 {
	for reason, n := range dropped {
		f["dropped."+reason] = float64(n)
	}
	return f
}
