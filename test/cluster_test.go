package test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/monitor/store/prometheus/prometheustest"
)

// Steer keeps its metrics in VictoriaMetrics. That goes away, Steer is killed with
// points that nobody else has, and both come back.
func TestMetricsInACluster(t *testing.T) {
	const series = 20
	cluster := prometheustest.Start(t, prometheustest.VictoriaMetrics)
	schemas := filepath.Join(t.TempDir(), "schemas.conf")
	if err := os.WriteFile(schemas, []byte("[all]\npattern = .*\nretentions = 1s:2h\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	set := []string{"store.driver=prometheus", "store.prometheus.url=" + cluster.URL, "store.sync=always", "store.schemas=" + schemas, "agent.enabled=false"}
	p := serve(t, t.TempDir(), set...)
	start := time.Now().Unix() - 3000
	batches, lines := 0, 0
	send := func(n int) {
		t.Helper()
		conn, err := net.Dial("tcp", p.address("Graphite TCP"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range n {
			var b strings.Builder
			for i := range series {
				fmt.Fprintf(&b, "kill.s%d %d %d\n", i, batches+1, start+int64(batches))
			}
			if _, err := conn.Write([]byte(b.String())); err != nil {
				t.Fatal(err)
			}
			batches++
			lines += series
		}
		until(t, "all lines are accepted", func() error {
			if got := p.figure("steer_receive_graphite_points"); got != float64(lines) {
				return fmt.Errorf("%v of %d", got, lines)
			}
			return nil
		})
	}

	send(100)
	p.complete(t, series, start, 100)
	get := func(path string) string {
		t.Helper()
		body, err := get(p.url + path)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	if body := get("/metrics/find?query=kill.s1*&format=completer"); strings.Count(body, "kill.s1") != 11 {
		t.Errorf("find: %s", body)
	}
	if body := get("/render?" + url.Values{"target": {"sumSeries(kill.*)"}, "from": {fmt.Sprint(start + 9)}, "until": {fmt.Sprint(start + 10)}, "format": {"raw"}}.Encode()); !strings.HasSuffix(strings.TrimSpace(body), "|220.0") {
		t.Errorf("render: %s", body)
	}
	get("/check?metric=kill.s1&range=3600&max=100&min=1") // 200: within its bounds
	if p.figure("steer_store_sent") < 100*series || p.figure("steer_store_dropped_rejected") != 0 {
		t.Errorf("figures: sent %v, rejected %v", p.figure("steer_store_sent"), p.figure("steer_store_dropped_rejected"))
	}

	cluster.Stop()
	send(100)
	until(t, "the points wait in the spool", func() error {
		if p.figure("steer_store_spool_bytes") == 0 || p.figure("steer_store_retries") == 0 {
			return fmt.Errorf("%v bytes wait", p.figure("steer_store_spool_bytes"))
		}
		return nil
	})
	p.kill()
	lines = 0
	p = serve(t, p.data, set...) // it starts without its cluster, and takes points
	send(100)
	p.kill()
	cluster.Restart()
	lines = 0
	p = serve(t, p.data, set...)
	if n := p.complete(t, series, start, 300); n != 300 {
		t.Errorf("%d batches", n)
	}
	until(t, "the spool is empty", func() error {
		// Its own figures keep coming.
		if n := p.figure("steer_store_spool_bytes"); n > 0 {
			return fmt.Errorf("%v bytes", n)
		}
		return nil
	})
	if err := p.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// figure is one of /metrics, or -1.
func (p *process) figure(name string) float64 {
	p.t.Helper()
	body, err := get(p.url + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}
