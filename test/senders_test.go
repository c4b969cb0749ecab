package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cactus/go-statsd-client/v5/statsd"
)

// appears waits until a target has a value that fits, as the UI would ask for it.
func (p *process) appears(target string, fits func(v float64) bool) {
	p.t.Helper()
	until(p.t, target+" appears", func() error {
		body, err := get(p.url + "/render?" + url.Values{"target": {target}, "from": {"-5min"}, "format": {"json"}}.Encode())
		if err != nil {
			return err
		}
		var all []struct {
			Target     string        `json:"target"`
			Datapoints [][2]*float64 `json:"datapoints"`
		}
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			return err
		}
		for _, s := range all {
			for _, d := range s.Datapoints {
				if d[0] != nil && fits(*d[0]) {
					return nil
				}
			}
		}
		return fmt.Errorf("%d series: %.300s", len(all), body)
	})
}

// secondly keeps a point each second, so that tests need not wait for ten.
func secondly(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schemas.conf")
	if err := os.WriteFile(path, []byte("[all]\npattern = .*\nretentions = 1s:2h\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCollectdAppears(t *testing.T) {
	collectd := need(t, "collectd", "/usr/sbin/collectd")
	p := serve(t, t.TempDir(), "store.schemas="+secondly(t))
	host, port, err := net.SplitHostPort(p.address("Graphite TCP"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "collectd.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `Hostname "box"
FQDNLookup false
Interval 1
BaseDir %[1]q
PIDFile "%[1]s/pid"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin load
LoadPlugin memory
LoadPlugin write_graphite
<Plugin write_graphite>
  <Node "steer">
    Host %[2]q
    Port %[3]q
    Protocol "tcp"
    LogSendErrors true
    Prefix "collectd."
    StoreRates true
    AlwaysAppendDS false
    EscapeCharacter "_"
  </Node>
</Plugin>
`, dir, host, port), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(collectd, "-f", "-C", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	p.appears("collectd.box.load.load.shortterm", func(v float64) bool { return v >= 0 })
	p.appears("collectd.box.memory.memory-free", func(v float64) bool { return v > 0 })
	// In the tree of the UI too.
	body, err := get(p.url + "/metrics/find?query=collectd.box.*&format=treejson")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []struct{ Text string }
	if err := json.Unmarshal([]byte(body), &nodes); err != nil || len(nodes) < 2 {
		t.Errorf("the tree below collectd.box: %s, %v", body, err)
	}
}

func TestStatsDClientAppears(t *testing.T) {
	p := serve(t, t.TempDir(), "store.schemas="+secondly(t), "aggregate.statsd.flush=1s")
	client, err := statsd.NewClientWithConfig(&statsd.ClientConfig{Address: p.address("StatsD UDP"), Prefix: "shop", UseBuffered: true, FlushInterval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			client.Inc("orders", 2, 1)
			client.Gauge("stock", 41, 1)
			client.GaugeDelta("stock", 1, 1)
			client.TimingDuration("checkout", 120*time.Millisecond, 1)
			client.Set("customers", "ada", 1)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	for target, fits := range map[string]func(float64) bool{
		"stats_counts.shop.orders":            func(v float64) bool { return v > 2 },
		"stats.shop.orders":                   func(v float64) bool { return v > 2 },
		"stats.gauges.shop.stock":             func(v float64) bool { return v == 42 },
		"stats.timers.shop.checkout.upper_90": func(v float64) bool { return v == 120 },
		"stats.sets.shop.customers.count":     func(v float64) bool { return v == 1 },
	} {
		p.appears(target, fits)
	}
}

// Lines that are wrong are counted and do no harm to those beside them.
func TestBadLinesAreCounted(t *testing.T) {
	p := serve(t, t.TempDir(), "store.schemas="+secondly(t))
	conn, err := net.Dial("tcp", p.address("Graphite TCP"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	now := time.Now().Unix()
	fmt.Fprintf(conn, "good.one 1 %d\nno value\nbad.value x %d\n\n%s 1 %d\nbad..\x00name\ngood.two 2 %d\n", now, now, make([]byte, 100), now, now)
	p.appears("good.one", func(v float64) bool { return v == 1 })
	p.appears("good.two", func(v float64) bool { return v == 2 })
	until(t, "the wrong lines are counted", func() error {
		body, err := get(p.url + "/metrics")
		if err != nil {
			return err
		}
		var n float64
		if _, rest, ok := strings.Cut(body, "steer_receive_graphite_bad "); ok {
			if _, err := fmt.Sscan(rest, &n); err == nil && n >= 3 {
				return nil
			}
		}
		return fmt.Errorf("the server counts %v wrong lines of 4", n)
	})
}
