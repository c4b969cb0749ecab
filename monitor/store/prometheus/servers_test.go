package prometheus_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/prometheus"
	"steer/monitor/store/prometheus/prometheustest"
)

// onServers runs a test against each kind of server.
func onServers(t *testing.T, test func(t *testing.T, server *prometheustest.Server, o prometheus.Options)) {
	for _, kind := range []string{prometheustest.VictoriaMetrics, prometheustest.Prometheus} {
		t.Run(kind, func(t *testing.T) {
			server := prometheustest.Start(t, kind)
			server.KeepSearchable()
			test(t, server, options(t, server.URL, t.TempDir()))
		})
	}
}

func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for start := time.Now(); time.Since(start) < 40*time.Second; time.Sleep(50 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain until %s: %v", what, err)
}

func fetch(t testing.TB, d store.Driver, from, until int64, names ...string) []metric.Series {
	t.Helper()
	got, err := d.Fetch(t.Context(), store.Request{Names: names, From: from, Until: until})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// More samples of one series than VictoriaMetrics returns points of a graph.
func TestLongSeries(t *testing.T) {
	onServers(t, func(t *testing.T, _ *prometheustest.Server, o prometheus.Options) {
		if err := os.WriteFile(o.Store.Schemas, []byte("[fine]\npattern = .\nretentions = 1s:2d\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		s := run(t, o)
		defer s.Close()
		const n = 40_000
		start := time.Now().Unix() - n - 600
		var batch []metric.Point
		for i := range int64(n) {
			batch = append(batch, metric.Point{Name: []byte("long"), Time: start + i, Value: float64(i)})
			if len(batch) == 5000 {
				if err := s.Write(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
				batch = batch[:0]
			}
		}
		until(t, "all values are there", func() error {
			got := fetch(t, s, start-1, start+n-1, "long")
			if len(got) != 1 || len(got[0].Values) != n {
				return fmt.Errorf("%d series", len(got))
			}
			for i, v := range got[0].Values {
				if v != float64(i) {
					return fmt.Errorf("value %d is %v", i, v)
				}
			}
			return nil
		})
	})
}

// Hundreds of names, some too long to stand together in one query.
func TestManyNames(t *testing.T) {
	onServers(t, func(t *testing.T, _ *prometheustest.Server, o prometheus.Options) {
		s := run(t, o)
		defer s.Close()
		now := time.Now().Unix()
		at := now - now%10
		var names []string
		var batch []metric.Point
		for i := range 450 {
			name := fmt.Sprintf("t.%d.z%s", i, strings.Repeat("x.y", i%150))
			if i%7 == 0 {
				name += ";host=h" + fmt.Sprint(i)
			}
			names = append(names, name)
			batch = append(batch, metric.Point{Name: []byte(name), Time: at, Value: float64(i)})
		}
		if err := s.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		until(t, "all are there", func() error {
			got := fetch(t, s, at-20, at, names...)
			if len(got) != len(names) {
				return fmt.Errorf("%d of %d", len(got), len(names))
			}
			for i, g := range got {
				if g.Name != names[i] || g.Values[len(g.Values)-1] != float64(i) {
					return fmt.Errorf("%s: %v", names[i], g)
				}
			}
			return nil
		})
		// The longest names that are taken, and one whose label would be too long.
		worst := []string{strings.Repeat(strings.Repeat("a", 15)+".", 255) + "a", strings.Repeat(`aaaaa"aaaaa"aaa.`, 255) + "a", strings.Repeat("\xff", 3072), strings.Repeat("é", 2048), strings.Repeat("\xff", 3073)}
		for _, name := range worst {
			if err := s.Write(t.Context(), []metric.Point{{Name: []byte(name), Time: at, Value: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "the longest are there", func() error {
			if got := fetch(t, s, at-10, at, worst...); len(got) != len(worst)-1 || s.Stats().Dropped["name"] != 1 {
				return fmt.Errorf("%d are, %+v", len(got), s.Stats())
			}
			return nil
		})
		// A pattern too long for an address.
		pattern := "t.{" + strings.Repeat("no,", 1500) + "7,8}.*"
		got, err := s.Find(t.Context(), pattern, 0)
		if err != nil || len(got) == 0 || !slices.ContainsFunc(got, func(m metric.Match) bool { return strings.HasPrefix(m.Path, "t.8.") }) {
			t.Errorf("%v %v", got, err)
		}
	})
}

// What others sent to the same cluster is not Steer's.
func TestForeignSeries(t *testing.T) {
	onServers(t, func(t *testing.T, server *prometheustest.Server, o prometheus.Options) {
		other := options(t, server.URL, t.TempDir())
		mine, theirs := run(t, o), run(t, other)
		defer mine.Close()
		defer theirs.Close()
		now := time.Now().Unix()
		at := now - now%10
		for i, s := range []running{theirs, mine} {
			if err := s.Write(t.Context(), []metric.Point{
				{Name: []byte("t.a"), Time: at, Value: float64(i)},
				{Name: fmt.Appendf(nil, "t.b;who=%d", i), Time: at, Value: 1},
			}); err != nil {
				t.Fatal(err)
			}
			until(t, "it is there", func() error {
				got := fetch(t, s, at-10, at, "t.a")
				if len(got) != 1 || got[0].Values[0] != float64(i) {
					return fmt.Errorf("%v", got)
				}
				return nil
			})
		}
		until(t, "only its own are found", func() error {
			got, err := mine.Find(t.Context(), "t.*", 0)
			if err != nil || fmt.Sprint(got) != "[{t.a true} {t.b;who=1 true}]" {
				return fmt.Errorf("%v %v", got, err)
			}
			return nil
		})
		if got, err := mine.TagValues(t.Context(), "who", nil, "", 0); err != nil || !slices.Equal(got, []string{"1"}) {
			t.Errorf("%q %v", got, err)
		}
	})
}

// Points that are sent a second time change nothing, and none is lost among them.
func TestSentTwice(t *testing.T) {
	onServers(t, func(t *testing.T, _ *prometheustest.Server, o prometheus.Options) {
		o.Late = config.Duration(prometheustest.Late - time.Hour)
		now := time.Now().Unix()
		b := now - now%10 - 600
		s := run(t, o)
		want := make([]float64, 60)
		for i := range want {
			want[i] = float64(i)
			for _, name := range []string{"t.a", "t.b;x=y"} {
				if err := s.Write(t.Context(), []metric.Point{{Name: []byte(name), Time: b + int64(i)*10, Value: want[i]}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func() error {
			got := fetch(t, s, b-1, b+590, "t.a", "t.b;x=y")
			if len(got) != 2 || !slices.Equal(got[0].Values, want) || !slices.Equal(got[1].Values, want) {
				return fmt.Errorf("%v", got)
			}
			return nil
		}
		until(t, "all is there", check)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// The acknowledgement is lost, as with power.
		if err := os.Remove(filepath.Join(o.Dir, "position")); err != nil {
			t.Fatal(err)
		}
		s = run(t, o)
		defer s.Close()
		if err := s.Write(t.Context(), []metric.Point{{Name: []byte("t.new"), Time: b, Value: 1}}); err != nil {
			t.Fatal(err)
		}
		until(t, "all was sent again", func() error {
			if st := s.Stats(); st.Sent < 121 || st.Dropped["rejected"] > 0 {
				return fmt.Errorf("%+v", st)
			}
			return check()
		})
	})
}

// Prometheus' window bounds what comes late; the rest of a batch arrives.
func TestTooOldForPrometheus(t *testing.T) {
	server := prometheustest.Start(t, prometheustest.Prometheus)
	o := options(t, server.URL, t.TempDir())
	s := run(t, o) // Late is not set: it is found out the hard way
	defer s.Close()
	now := time.Now().Unix()
	at := now - now%10
	var batch []metric.Point
	for i := range 50 {
		p := metric.Point{Name: fmt.Appendf(nil, "t.n%d", i), Time: at, Value: 1}
		if i == 20 {
			p.Time -= int64(prometheustest.Late/time.Second) + 7200
		}
		batch = append(batch, p)
	}
	if err := s.Write(t.Context(), []metric.Point{{Name: []byte("t.first"), Time: at, Value: 1}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the window is where it belongs", func() error {
		if s.Stats().Sent != 1 {
			return fmt.Errorf("%+v", s.Stats())
		}
		return nil
	})
	if err := s.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	until(t, "all others are there", func() error {
		if st := s.Stats(); st.Dropped["rejected"] != 1 || st.Sent != 50 || st.Failure != "" {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	var names []string
	for _, p := range batch {
		names = append(names, string(p.Name))
	}
	there := 0
	for _, got := range fetch(t, s, at-10, at, names...) {
		if got.Name != "t.n20" && got.Values[0] == 1 {
			there++
		}
	}
	if there != 49 {
		t.Errorf("%d of the 49 good points are there", there)
	}
}

// What PromQL users see is what the package says.
func TestMapping(t *testing.T) {
	onServers(t, func(t *testing.T, server *prometheustest.Server, o prometheus.Options) {
		o.Metric = "graphite"
		s := run(t, o)
		defer s.Close()
		now := time.Now().Unix()
		if err := s.Write(t.Context(), []metric.Point{
			{Name: []byte("servers.web1.cpu"), Time: now - 30, Value: 3}, {Name: []byte("disk.used;host=web1"), Time: now - 30, Value: 4},
		}); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]string{
			`graphite{path="servers.web1.cpu"}`:      `[map[__name__:graphite path:servers.web1.cpu]]`,
			`graphite{path="disk.used",host="web1"}`: `[map[__name__:graphite host:web1 name:disk.used;host=web1 path:disk.used]]`,
		} {
			until(t, query+" finds it", func() error {
				res, err := http.Get(server.URL + "/api/v1/query?query=" + url.QueryEscape(query))
				if err != nil {
					return err
				}
				defer res.Body.Close()
				var answer struct {
					Data struct {
						Result []struct{ Metric map[string]string }
					}
				}
				if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
					return err
				}
				var got []map[string]string
				for _, r := range answer.Data.Result {
					got = append(got, r.Metric)
				}
				if fmt.Sprint(got) != want {
					return fmt.Errorf("%v", got)
				}
				return nil
			})
		}
	})
}
