package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"steer/base/metric"
)

func points(names ...string) (p []metric.Point) {
	for i, n := range names {
		p = append(p, metric.Point{Name: []byte(n), Time: 1, Value: float64(i)})
	}
	return p
}

func TestRules(t *testing.T) {
	var got []string
	var sender string
	r, err := New(Options{
		Config: Config{Rules: []Rule{
			{Match: `^secret\.`, Drop: true},
			{Match: `^collectd\.([^.]+)\.`, Replace: "servers.$1."},
			{Match: `^gone$`},
		}},
		Store: func(from string, p []metric.Point) error {
			sender = from
			for _, x := range p {
				got = append(got, fmt.Sprintf("%s=%v", x.Name, x.Value))
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write("graphite tcp 10.1.2.3", points("a", "secret.x", "collectd.web1.cpu", "gone", "collectd.web2.cpu.idle")); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != "a=0 servers.web1.cpu=2 servers.web2.cpu.idle=4" || r.Dropped.Load() != 2 || r.Points.Load() != 3 || sender != "graphite tcp 10.1.2.3" {
		t.Fatal(s, sender, r.Dropped.Load(), r.Points.Load())
	}
}

func TestBadRules(t *testing.T) {
	for _, rule := range []Rule{{}, {Match: "("}, {Match: "a", Drop: true, Replace: "b"}} {
		if _, err := New(Options{Config: Config{Rules: []Rule{rule}}}); err == nil || !strings.Contains(err.Error(), "route.rules[0]") {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}

func TestStoreErrorReachesTheSenderAndTeesGetOnlyWhatWasStored(t *testing.T) {
	full := errors.New("disk full")
	var err error
	teed := 0
	r, _ := New(Options{
		Store: func(string, []metric.Point) error { return err },
		Tees:  []Sink{func(_ string, p []metric.Point) error { teed += len(p); return errors.New("away") }},
	})
	if r.Write("graphite tcp 10.1.2.3", points("a")) != nil || teed != 1 || r.TeeErrors.Load() != 1 {
		t.Fatal("a tee's error must stay here")
	}
	err = full
	if r.Write("graphite tcp 10.1.2.3", points("a", "b")) != full || teed != 1 || r.Refused.Load() != 2 {
		t.Fatal("refused points were copied")
	}
}
