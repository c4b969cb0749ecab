package whisper

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"steer/base/metric"
	"steer/monitor/store"
)

// oracle is Graphite's own library, Debian's python3-whisper.
type oracle struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} { // Debian's own has Debian's packages
		if python == "" && exec.Command(p, "-c", "import whisper; whisper.update_many").Run() == nil {
			python = p
		}
	}
	if python == "" {
		const why = "no Whisper library: apt-get install python3-whisper"
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	c := exec.Command(python, "testdata/oracle.py")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	c.Stderr = &complaints
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %s", err, &complaints)
		}
	})
	return &oracle{t, in, bufio.NewReader(out)}
}

func (o *oracle) ask(request map[string]any, answer any) {
	o.t.Helper()
	if err := json.NewEncoder(o.in).Encode(request); err != nil {
		o.t.Fatal(err)
	}
	line, err := o.out.ReadBytes('\n')
	if err != nil {
		o.t.Fatalf("%v: %v", request["op"], err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		o.t.Fatal(err)
	}
}

func (o *oracle) create(path string, r store.Retention) {
	o.t.Helper()
	var archives [][2]int64
	for _, a := range r.Archives {
		archives = append(archives, [2]int64{a.Step, a.Keep / a.Step})
	}
	o.ask(map[string]any{"op": "create", "path": path, "archives": archives, "xff": r.XFilesFactor, "method": r.Method.String()}, new(any))
}

func (o *oracle) update(path string, now int64, points [][2]float64) {
	o.t.Helper()
	o.ask(map[string]any{"op": "update", "path": path, "now": now, "points": points}, new(any))
}

// fetch is the library's answer as a column; false if it has none.
func (o *oracle) fetch(path string, from, until, now int64) (metric.Series, bool) {
	o.t.Helper()
	var parts []json.RawMessage
	o.ask(map[string]any{"op": "fetch", "path": path, "from": from, "until": until, "now": now}, &parts)
	if parts == nil {
		return metric.Series{}, false
	}
	var times [3]int64
	var values []*float64
	if err := json.Unmarshal(parts[0], &times); err != nil {
		o.t.Fatal(err)
	}
	if err := json.Unmarshal(parts[1], &values); err != nil {
		o.t.Fatal(err)
	}
	s := metric.Series{Start: times[0], Step: times[2], Values: make([]float64, len(values))}
	for i, v := range values {
		s.Values[i] = math.NaN()
		if v != nil {
			s.Values[i] = *v
		}
	}
	return s, true
}

// same says whether two columns are alike. Whisper adds floats, the store decimals:
// 0.1 + 0.2 is 0.3 here.
func same(a, b metric.Series) bool {
	if a.Start != b.Start || a.Step != b.Step || len(a.Values) != len(b.Values) {
		return false
	}
	for i, v := range a.Values {
		if !near(v, b.Values[i]) {
			return false
		}
	}
	return true
}

func near(a, b float64) bool { return a == b || a != a && b != b || math.Abs(a-b) <= 1e-12*math.Abs(b) }

func known(s metric.Series) (n int) {
	for _, v := range s.Values {
		if v == v {
			n++
		}
	}
	return n
}
