package prometheus_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/config"
	"steer/monitor/store"
	"steer/monitor/store/prometheus"
	"steer/monitor/store/prometheus/prometheustest"
	"steer/monitor/store/storetest"
)

const schemas = "[test]\npattern = ^t\\.\nretentions = 10s:6h,1m:7d,10m:1y\n"

// options are those of a driver on a folder of its own, whose series no other
// folder sees.
func options(t testing.TB, url, dir string) prometheus.Options {
	t.Helper()
	file := filepath.Join(dir, "storage-schemas.conf")
	if err := os.WriteFile(file, []byte(schemas), 0o644); err != nil {
		t.Fatal(err)
	}
	metric := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, dir)
	return prometheus.Options{
		Config: prometheus.Config{URL: url, Metric: metric},
		Store:  store.Config{Sync: "10ms", Schemas: file},
		Dir:    filepath.Join(dir, "spool"),
		Log:    slog.New(slog.DiscardHandler),
	}
}

// running is a store whose Run works in the background.
type running struct {
	*prometheus.Store
	stop func()
}

func (r running) Close() error {
	r.stop()
	return r.Store.Close()
}

func run(t testing.TB, o prometheus.Options) running {
	t.Helper()
	s, err := prometheus.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return running{s, func() { cancel(); wg.Wait() }}
}

func TestConformance(t *testing.T) {
	for _, kind := range []string{prometheustest.VictoriaMetrics, prometheustest.Prometheus} {
		t.Run(kind, func(t *testing.T) {
			server := prometheustest.Start(t, kind)
			server.KeepSearchable()
			for _, sync := range []string{"always", "10ms"} {
				t.Run(sync, func(t *testing.T) {
					storetest.Run(t, func(t *testing.T, dir string) store.Driver {
						o := options(t, server.URL, dir)
						o.Store.Sync = sync
						if kind == prometheustest.Prometheus {
							o.Late = config.Duration(prometheustest.Late - time.Hour)
						}
						return run(t, o)
					})
				})
			}
		})
	}
}
