package graphite

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/api/graphite"
	"steer/base/metric"
	"steer/monitor/query"
	"steer/monitor/store"
)

// steer is Steer's Graphite API over its own store with the data set.
func steer(t *testing.T) http.Handler {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	var schemas, rolls strings.Builder
	all := All()
	for i, s := range all {
		var keep []string
		for _, a := range s.Archives {
			keep = append(keep, fmt.Sprintf("%ds:%ds", a.Step, a.Step*a.Keep))
		}
		pattern := "^" + regexp.QuoteMeta(s.Name) + "$"
		fmt.Fprintf(&schemas, "[s%d]\npattern = %s\nretentions = %s\n", i, pattern, strings.Join(keep, ","))
		fmt.Fprintf(&rolls, "[s%d]\npattern = %s\naggregationMethod = %s\nxFilesFactor = 0.5\n", i, pattern, s.Method)
	}
	config := store.Config{Schemas: filepath.Join(dir, "storage-schemas.conf"), Aggregation: filepath.Join(dir, "storage-aggregation.conf")}
	for name, text := range map[string]string{config.Schemas: schemas.String(), config.Aggregation: rolls.String()} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := func() time.Time { return time.Unix(Now, 0) }
	s, err := store.Open(store.Options{Config: config, Dir: filepath.Join(dir, "store"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, one := range all {
		points := make([]metric.Point, len(one.Points))
		for i, p := range one.Points {
			points[i] = metric.Point{Name: []byte(one.Name), Time: p.Time, Value: p.Value}
		}
		if err := s.Write(ctx, points); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := query.New(query.Options{Source: source{s}, Events: happened})
	if err != nil {
		t.Fatal(err)
	}
	return graphite.New(graphite.Options{Engine: engine, Tags: s, Events: noted(t), Now: now})
}

type source struct{ *store.Store }

func (s source) Select(ctx context.Context, expressions []string, limit int) ([]string, error) {
	match, err := store.ParseTagMatches(expressions)
	if err != nil {
		return nil, err
	}
	return s.Store.Select(ctx, match, limit)
}

func (s source) Fetch(ctx context.Context, names []string, from, until int64, most int, room func(n int) []float64) ([]metric.Series, error) {
	return s.Store.Fetch(ctx, store.Request{Names: names, From: from, Until: until, Most: max(most, 1), Room: room})
}

// happened are the events of the data set.
func happened(_ context.Context, tags []string, from, until int64) ([]int64, error) {
	var times []int64
	for _, e := range Events() {
		missing := slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(e.Tags, tag) })
		if !missing && e.When >= from && e.When < until {
			times = append(times, e.When)
		}
	}
	return times, nil
}
