package app_test

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
)

// TestRunawaySenderIsNamed: from the socket to the log, and nobody else is hurt.
func TestRunawaySenderIsNamed(t *testing.T) {
	s := start(t, t.TempDir(), "store.new_series=100")
	var to string
	s.until("the addresses are told", func() error {
		m := regexp.MustCompile(`Graphite TCP +(\S+)`).FindStringSubmatch(s.out.String())
		if m == nil {
			return errors.New(s.out.String())
		}
		to = m[1]
		return nil
	})
	send := func(from, prefix string, n int) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range n {
			fmt.Fprintf(c, "%s%d 1\n", prefix, i)
		}
	}
	figure := func(name string) (v float64) {
		for line := range strings.Lines(s.as(s.token).do("GET", "/metrics", nil).body) {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				fmt.Sscan(value, &v)
			}
		}
		return v
	}
	send("127.0.0.2", "app.requests.id-", 150)
	s.until("the runaway is stopped", func() error {
		if n := figure("steer_store_dropped_limit"); n != 50 {
			return fmt.Errorf("%v points are dropped", n)
		}
		return nil
	})
	send("127.0.0.3", "web.hits.", 60)
	s.until("the other one's series are there", func() error {
		if a := s.as(s.token).do("GET", "/metrics/find?query=web.hits.*", nil); strings.Count(a.body, `"web.hits.`) < 60 {
			return a
		}
		return nil
	})
	const want = `graphite tcp 127.0.0.2 sent 100 new series in the last hour, most of them below \"app.requests\", as many as one sender may`
	if log := s.log.String(); !strings.Contains(log, want) || strings.Contains(log, "graphite tcp 127.0.0.3") {
		t.Errorf("want in the log: %s", want)
	}
	if n := figure("steer_store_new_series"); n < 160 {
		t.Errorf("steer_store_new_series is %v", n)
	}
	if n := figure("steer_store_max_series"); n != 2_000_000 {
		t.Errorf("steer_store_max_series is %v", n)
	}
}
