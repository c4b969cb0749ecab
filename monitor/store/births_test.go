package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/metric"
)

// crowd is a store whose clock and log a test has in its hands.
type crowd struct {
	*Store
	t   *testing.T
	now time.Time
	log bytes.Buffer
}

func openCrowd(t *testing.T, most, each int) *crowd {
	c := &crowd{t: t, now: time.Unix(testNow, 0)}
	o := testOptions(t)
	o.MaxSeries, o.NewSeries = most, each
	o.Now = func() time.Time { return c.now }
	o.Log = slog.New(slog.NewTextHandler(&c.log, nil))
	c.Store = mustOpen(t, o)
	return c
}

// send sends n points with names that end in from, from+1 and so on.
func (c *crowd) send(sender, prefix string, from, n int) {
	c.t.Helper()
	points := make([]metric.Point, n)
	for i := range points {
		points[i] = metric.Point{Name: fmt.Appendf(nil, "%s%d", prefix, from+i), Time: c.now.Unix(), Value: 1}
	}
	if err := c.WriteFrom(context.Background(), sender, points); err != nil {
		c.t.Fatal(err)
	}
}

// series checks how many there are and how many points the limits dropped.
func (c *crowd) series(series, dropped int) {
	c.t.Helper()
	if st := c.Stats(); st.Series != int64(series) || st.NewSeries != uint64(series) || st.Dropped["limit"] != uint64(dropped) {
		c.t.Errorf("%d series, %d new, %d points dropped; want %d and %d\n%s", st.Series, st.NewSeries, st.Dropped["limit"], series, dropped, &c.log)
	}
}

// told takes the messages of the log since the last call.
func (c *crowd) told(want ...string) {
	c.t.Helper()
	var got []string
	for line := range strings.Lines(c.log.String()) {
		_, line, _ = strings.Cut(line, "msg=")
		line, _, _ = strings.Cut(line, " for_example=")
		got = append(got, strings.ReplaceAll(line, `\"`, `"`))
	}
	c.log.Reset()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		c.t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRunawaySenderIsStoppedAndNamed: its known series go on, and so do others.
func TestRunawaySenderIsStoppedAndNamed(t *testing.T) {
	const runaway, other = "graphite tcp 10.1.2.3", "graphite udp 10.1.2.4"
	c := openCrowd(t, 10_000, 100)
	c.send(runaway, "app.requests.id-", 0, 90)
	c.send(runaway, "app.mean.m", 0, 5)
	c.told()
	c.send(runaway, "app.requests.id-", 85, 20) // 5 known ones, 5 new, 10 too many
	c.series(100, 10)
	c.told(`"graphite tcp 10.1.2.3 sent 100 new series in the last hour, most of them below "app.requests", as many as one sender may: points of further ones are left out; raise store.new_series or drop them with a route rule" reason=limit from="graphite tcp 10.1.2.3"`)
	c.send(other, "web.hits.h", 0, 100)
	c.series(200, 10)
	c.send(other, "web.hits.h", 100, 1)
	c.told(`"graphite udp 10.1.2.4 sent 100 new series in the last hour, most of them below "web.hits", as many as one sender may: points of further ones are left out; raise store.new_series or drop them with a route rule" reason=limit from="graphite udp 10.1.2.4"`)
	if err := c.Write(context.Background(), []metric.Point{{Name: []byte("import.1"), Time: testNow}}); err != nil {
		t.Fatal(err)
	}
	c.send("", "import.", 2, 150) // an import is no runaway
	c.series(351, 11)
	c.told()

	// Once a minute.
	c.now = c.now.Add(59 * time.Second)
	c.send(runaway, "app.requests.id-", 105, 1000)
	c.told()
	c.now = c.now.Add(time.Second)
	c.send(runaway, "app.requests.id-", 105, 1000)
	c.told(`"graphite tcp 10.1.2.3 sent 100 new series in the last hour, most of them below "app.requests", as many as one sender may: points of further ones are left out; raise store.new_series or drop them with a route rule" reason=limit from="graphite tcp 10.1.2.3"`)

	// After an hour there is a new share.
	c.now = time.Unix(testNow, 0).Add(54 * time.Minute)
	c.send(runaway, "late.", 0, 1)
	c.series(351, 2012)
	c.now = time.Unix(testNow, 0).Add(time.Hour)
	c.send(runaway, "late.", 0, 60)
	c.now = c.now.Add(30 * time.Minute)
	c.send(runaway, "later.", 0, 60) // 40 of them
	c.now = c.now.Add(30 * time.Minute)
	c.send(runaway, "latest.", 0, 100) // 60 of them
	c.series(511, 2072)
}

func TestSeriesLimitNamesWhoTookTheRoom(t *testing.T) {
	c := openCrowd(t, 1000, 5000)
	c.send("graphite tcp 10.1.2.4", "servers.web1.cpu.", 0, 60)
	c.send("agent", "servers.web2.", 0, 3)
	c.send("graphite tcp 10.1.2.3", "app.requests.id-", 0, 837)
	c.send("", "disk;host=", 0, 100)
	c.told()
	c.send("graphite udp 10.1.2.5", "web.", 0, 1)
	c.series(1000, 1)
	c.told(`"series limit reached: 1000 of 1000; most new series in the last hour: graphite tcp 10.1.2.3 (837), unnamed (100), below "app.requests" (837), "disk" (100); raise store.max_series or drop them with a route rule" reason=limit from="graphite udp 10.1.2.5"`)
	c.send("graphite tcp 10.1.2.3", "app.requests.id-", 900, 1000)
	c.told() // within the minute

	st := c.Stats()
	if st.MaxSeries != 1000 || fmt.Sprint(st.TopSenders) != "[{graphite tcp 10.1.2.3 837 1000 837} {unnamed 100 0 100} {graphite tcp 10.1.2.4 60 0 60} {agent 3 0 3} {graphite udp 10.1.2.5 0 1 0}]" {
		t.Errorf("top senders %+v", st.TopSenders)
	}
	if fmt.Sprint(st.TopPrefixes) != "[{app.requests 837 1000 837} {disk 100 0 100} {servers.web1 60 0 60} {servers.web2 3 0 3} {web 0 1 0}]" {
		t.Errorf("top prefixes %+v", st.TopPrefixes)
	}
	if b, _ := json.Marshal(st); !strings.Contains(string(b), `"top_senders":[{"name":"graphite tcp 10.1.2.3","count":837,"dropped":1000,"total":837},`) ||
		!strings.Contains(string(b), `"top_prefixes":[{"name":"app.requests",`) {
		t.Errorf("%s", b)
	}

	// Nobody created anything in the last hour.
	c.now = c.now.Add(2 * time.Hour)
	c.send("graphite tcp 10.1.2.3", "app.requests.id-", 900, 1000)
	c.log.Reset()
	c.now = c.now.Add(time.Minute)
	c.send("graphite udp 10.1.2.6", "x", 0, 1)
	c.told(`"series limit reached: 1000 of 1000; most points left out in the last hour: graphite tcp 10.1.2.3 (1000), below "app.requests" (1000); raise store.max_series or drop them with a route rule" reason=limit from="graphite udp 10.1.2.6"`)
}

// TestLastRoomIsForOthers: one sender whose share is the whole store does not get
// all of it, hour after hour.
func TestLastRoomIsForOthers(t *testing.T) {
	c := openCrowd(t, 1000, 1000)
	n := 0
	flood := func() {
		c.send("graphite tcp 10.1.2.3", "app.requests.id-", n, 2000)
		n += 2000
	}
	flood()
	c.series(901, 1099)
	c.told(`"graphite tcp 10.1.2.3 sent 901 new series in the last hour, most of them below "app.requests", and the room that is left, 99 of 1000, is kept for other senders: points of further ones are left out; raise store.max_series or drop them with a route rule" reason=limit from="graphite tcp 10.1.2.3"`)
	c.send("graphite tcp 10.1.2.4", "web.", 0, 20)
	c.series(921, 1099)
	for _, want := range []int{961, 981, 991, 996} {
		c.now = c.now.Add(time.Hour)
		flood()
		if got := c.Stats().Series; got != int64(want) {
			t.Fatalf("%d series, want %d", got, want)
		}
	}
	c.send("graphite tcp 10.1.2.5", "late.", 0, 1)
	if got := c.Stats().Series; got != 997 {
		t.Fatalf("%d series: no room for another sender", got)
	}
}

// TestPointsTooOldAreNoNewSeries: they neither count nor use up the share.
func TestPointsTooOldAreNoNewSeries(t *testing.T) {
	c := openCrowd(t, 100, 10)
	for i := range 50 {
		p := metric.Point{Name: fmt.Appendf(nil, "old.%d", i), Time: 1e9}
		if err := c.WriteFrom(context.Background(), "graphite tcp 10.1.2.3", []metric.Point{p}); err != nil {
			t.Fatal(err)
		}
	}
	c.told(`"points left out" reason=old from="graphite tcp 10.1.2.3"`)
	c.send("graphite tcp 10.1.2.3", "new.", 0, 10)
	c.series(10, 0)
	if top := c.Stats().TopPrefixes; fmt.Sprint(top) != "[{new 10 0 10}]" {
		t.Errorf("%+v", top)
	}
}

// TestSendersAtOnce: however many write at the same time, each gets its share.
func TestSendersAtOnce(t *testing.T) {
	const senders, writers, share = 8, 4, 500
	c := openCrowd(t, 100_000, share)
	c.Store.log = slog.New(slog.DiscardHandler)
	var wg sync.WaitGroup
	for w := range senders * writers {
		wg.Go(func() {
			for i := range 20 {
				c.send(fmt.Sprint("sender", w%senders), fmt.Sprintf("w%d.p%d.", w, i%3), i*10, 10)
				c.Stats()
			}
		})
	}
	wg.Wait()
	c.series(senders*share, senders*(writers*200-share))
	for _, s := range c.Stats().TopSenders {
		if s.Count != share || s.Dropped != writers*200-share {
			t.Errorf("%+v", s)
		}
	}
}

func TestLimitsBelowOneAreWrong(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{MaxSeries: 1, NewSeries: 1}, ""},
		{Config{NewSeries: 1}, "max_series: must be at least 1"},
		{Config{MaxSeries: 1, NewSeries: -1}, "new_series: must be at least 1"},
	} {
		got := ""
		if err := c.config.Check(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.config, got, c.want)
		}
	}
}

func TestBelow(t *testing.T) {
	for name, want := range map[string]string{
		"app.requests.17.count": "app.requests",
		"app.requests.17":       "app.requests",
		"app.17":                "app",
		"17":                    "*",
		"app.requests.17;a=b":   "app.requests",
		"app.requests;id=1.2.3": "app.requests",
		"disk_used;host=web1":   "disk_used",
	} {
		if got := below(name); got != want {
			t.Errorf("below(%q) = %q, want %q", name, got, want)
		}
	}
}

// BenchmarkCreate is what a point of a new series costs, and one that a limit
// drops.
func BenchmarkCreate(b *testing.B) {
	run := func(each int, name func(i int) string) func(b *testing.B) {
		return func(b *testing.B) {
			o := testOptions(b)
			o.MaxSeries, o.NewSeries = 1<<40, each
			s := mustOpen(b, o)
			points := make([]metric.Point, 1000)
			n := 0
			for b.Loop() {
				b.StopTimer()
				for i := range points {
					points[i] = metric.Point{Name: []byte(name(n)), Time: testNow, Value: 1}
					n++
				}
				b.StartTimer()
				if err := s.WriteFrom(context.Background(), "graphite tcp 10.1.2.3", points); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/point")
		}
	}
	b.Run("few prefixes", run(1<<40, func(i int) string { return fmt.Sprintf("app.requests.id-%d.count", i) }))
	b.Run("each its own", run(1<<40, func(i int) string { return fmt.Sprintf("app.r%d.count", i) }))
	b.Run("dropped", run(1, func(i int) string { return fmt.Sprintf("app.requests.id-%d.count", i) }))
}
