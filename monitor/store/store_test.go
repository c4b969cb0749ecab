package store_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"steer/base/config"
	"steer/monitor/store"
	"steer/monitor/store/storetest"
)

const schemas = `
[test]
pattern = ^t\.
retentions = 10s:6h,1m:7d,10m:1y
`

const aggregation = `
[max]
pattern = \.max$
xFilesFactor = 0
aggregationMethod = max

[average]
pattern = .*
xFilesFactor = 0
`

// running is a store whose Run works in the background.
type running struct {
	*store.Store
	stop func()
}

func (r running) Close() error {
	r.stop()
	return r.Store.Close()
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConformance(t *testing.T) {
	for _, sync := range []string{"always", "10ms"} {
		t.Run(sync, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, dir string) store.Driver { return run(t, dir, sync) })
		})
	}
}

func run(t *testing.T, dir, syncs string) store.Driver {
	t.Helper()
	s, err := store.Open(store.Options{
		Dir: filepath.Join(dir, "store"),
		Config: store.Config{
			Sync:        syncs,
			Schemas:     write(t, filepath.Join(dir, "storage-schemas.conf"), schemas),
			Aggregation: write(t, filepath.Join(dir, "storage-aggregation.conf"), aggregation),
			Flush:       config.Duration(1),
		},
		Log: slog.New(slog.DiscardHandler),
	})
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
