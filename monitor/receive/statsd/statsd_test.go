package statsd

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"steer/base/metric"
)

func show(samples []metric.Sample) []string {
	var out []string
	for _, s := range samples {
		out = append(out, fmt.Sprintf("%s %d %v @%v %s", s.Name, s.Kind, s.Value, s.Rate, s.Text))
	}
	return out
}

func TestParse(t *testing.T) {
	const c, ms, g, d, s = metric.Counter, metric.Timer, metric.Gauge, metric.GaugeDelta, metric.Set
	for in, want := range map[string][]string{
		"gorets:1|c":            {fmt.Sprintf("gorets %d 1 @1 ", c)},
		"gorets:1|c|@0.1":       {fmt.Sprintf("gorets %d 1 @0.1 ", c)},
		"gorets:-2|c\n":         {fmt.Sprintf("gorets %d -2 @1 ", c)},
		"a:1|c:2|c":             {fmt.Sprintf("a %d 1 @1 ", c), fmt.Sprintf("a %d 2 @1 ", c)},
		"x:40:50|ms|@0.5":       {fmt.Sprintf("x %d 40 @0.5 ", ms), fmt.Sprintf("x %d 50 @0.5 ", ms)},
		"h:5.5|h":               {fmt.Sprintf("h %d 5.5 @1 ", ms)},
		"g:333|g":               {fmt.Sprintf("g %d 333 @1 ", g)},
		"g:-10|g":               {fmt.Sprintf("g %d -10 @1 ", d)},
		"g:+4|g":                {fmt.Sprintf("g %d 4 @1 ", d)},
		"u:ada@x|s":             {fmt.Sprintf("u %d 0 @1 ada@x", s)},
		"k:1|c|#env:prod,az:b":  {fmt.Sprintf("k;az=b;env=prod %d 1 @1 ", c)},
		"k:1|c|@0.5|#flag|c:id": {fmt.Sprintf("k;flag=true %d 1 @0.5 ", c)},
		"a b/c$d:1|c":           {fmt.Sprintf("a_b-cd %d 1 @1 ", c)},
		"_e{5,4}:title|text":    nil,
		"_sc|db|0|m:fine":       nil,
		"":                      nil,
	} {
		var p Parser
		samples, bad, err := p.Parse([]byte(in))
		if got := show(samples); bad != 0 || err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, bad %d, %v; want %q", in, got, bad, err, want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"neg:x|ms":    "the value is no number",
		"bare:|c":     "the value is no number",
		"inf:inf|c":   "the value is no number",
		"nothing":     "no value",
		"empty:":      "no value",
		":1|c":        "no name",
		"$$:1|c":      "no name",
		"notype:1":    "no type",
		"k:1|zz":      "the type is not one of",
		"r:1|c|@0":    "sample rate",
		"r:1|c|@-1":   "sample rate",
		"r:1|c|@1.01": "sample rate",
		"s:|s":        "set member is empty",
	} {
		var p Parser
		samples, bad, err := p.Parse([]byte("ok:1|c\n" + in + "\nok:2|c"))
		if len(samples) != 2 || bad != 1 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, bad %d, error %v; want %q", in, show(samples), bad, err, want)
		}
	}
}

func TestNamesOfEarlierLinesSurviveRewriting(t *testing.T) {
	var in strings.Builder
	for i := range 500 {
		fmt.Fprintf(&in, "a b %d:1|c|#t:%d\n", i, i)
	}
	var p Parser
	samples, bad, err := p.Parse([]byte(in.String()))
	if bad != 0 || err != nil || len(samples) != 500 {
		t.Fatal(len(samples), bad, err)
	}
	for i, s := range samples {
		if want := fmt.Sprintf("a_b_%d;t=%d", i, i); string(s.Name) != want {
			t.Fatalf("sample %d is %s, want %s", i, s.Name, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	data := []byte(strings.Repeat("catalog.ttfb:320|ms|@0.1\ncatalog.requests:1|c|#env:prod\n", 20))
	var p Parser
	if n := testing.AllocsPerRun(100, func() { p.Parse(data) }); n != 0 {
		t.Fatalf("%v allocations per datagram", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a:1|c\nb:1:2|ms|@0.1|#x:y,z\nc:|s"))
	f.Add([]byte("_e{1,1}:a|b\na:b:c:|||@"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Parser
		samples, _, _ := p.Parse(data)
		for _, s := range samples {
			if len(s.Name) == 0 || !(s.Rate > 0 && s.Rate <= 1) {
				t.Fatalf("%q gave %v", data, show([]metric.Sample{s}))
			}
		}
	})
}

func TestReceiver(t *testing.T) {
	got := make(chan string, 10)
	r, err := New(Options{Config: Config{UDP: "127.0.0.1:0"}, Sink: func(s []metric.Sample) error {
		for _, x := range show(s) {
			got <- x
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	c, err := net.Dial("udp", r.UDP().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("bad\na:1|c"))
	if x := <-got; x != "a 0 1 @1 " {
		t.Fatal(x)
	}
	cancel()
	if err := <-done; err != nil || r.Bad.Load() != 1 || r.Accepted.Load() != 1 {
		t.Fatal(err, r.Bad.Load(), r.Accepted.Load())
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte(strings.Repeat("catalog.ttfb:320|ms|@0.1\n", 50))
	var p Parser
	for b.Loop() {
		p.Parse(data)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*50), "ns/sample")
}
