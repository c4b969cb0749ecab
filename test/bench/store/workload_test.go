package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"steer/test/bench/values"
)

func small() *workload {
	return &workload{name: "small", series: 250, points: 40, step: 10, start: 1_700_000_000, seed: 7, conns: 4}
}

func written(t *testing.T, w *workload) []byte {
	t.Helper()
	l, err := writeLines(t.TempDir(), w, w.begin(), 0, w.points)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range l.files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if int64(len(all)) != l.bytes {
		t.Errorf("%d bytes written, %d counted", len(all), l.bytes)
	}
	return all
}

func TestEachPointIsSentOnceAndInOrderOfTime(t *testing.T) {
	w := small()
	got := map[string]*table{} // by host
	last := map[string]int64{}
	lines := written(t, w)
	for line := range bytes.Lines(lines) {
		fields := strings.Fields(string(line))
		if len(fields) != 3 {
			t.Fatalf("no line: %q", line)
		}
		at, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || at <= last[fields[0]] {
			t.Fatalf("after %d: %q, %v", last[fields[0]], line, err)
		}
		last[fields[0]] = at
		v, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		host := strings.Join(strings.SplitN(fields[0], ".", 4)[:3], ".")
		if got[host] == nil {
			got[host] = newTable(w.start, w.step, w.points)
		}
		got[host].put(got[host].column(fields[0]), at, v)
	}
	if n := bytes.Count(lines, []byte("\n")); n != w.total() {
		t.Errorf("%d lines, want %d", n, w.total())
	}
	// What is expected of a system is what was sent.
	var res result
	for h := range w.hosts() {
		got[w.host(h)].compare(w.host(h), metrics(), w.sequences(h, metrics()), 0, &res)
	}
	if res.checked != w.total() || res.missing+res.wrong+res.more > 0 {
		t.Errorf("%d points: %d missing, %d wrong, %d never sent", res.checked, res.missing, res.wrong, res.more)
	}
	if n := len(lines) / w.total(); n < 50 || n > 80 {
		t.Errorf("%d bytes per line are not what agents send", n)
	}
}

func TestTheSeedMakesTheValues(t *testing.T) {
	w, same, other := small(), small(), small()
	other.seed++
	a := written(t, w)
	if !bytes.Equal(a, written(t, same)) {
		t.Error("the same seed gives other lines")
	}
	if bytes.Equal(a, written(t, other)) {
		t.Error("another seed gives the same lines")
	}
}

// Rounds that are written one by one are the workload in one piece.
func TestRoundsContinue(t *testing.T) {
	w := small()
	seq, dir := w.begin(), t.TempDir()
	var rounds []string
	for _, part := range [][2]int{{0, 30}, {30, 31}, {31, 40}} {
		l, err := writeLines(dir, w, seq, part[0], part[1])
		if err != nil {
			t.Fatal(err)
		}
		rounds = append(rounds, l.files[1])
	}
	var joined []byte
	for _, f := range rounds {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, b...)
	}
	if !bytes.Contains(written(t, w), joined) {
		t.Error("the second connection's rounds are not its part of the whole")
	}
}

func TestAHostReportsTheMixture(t *testing.T) {
	all := metrics()
	if len(all) != perHost {
		t.Fatalf("%d metrics, want %d", len(all), perHost)
	}
	names := map[string]bool{}
	kinds := map[values.Kind]int{}
	for _, m := range all {
		names[m.name] = true
		kinds[m.kind]++
	}
	if len(names) != perHost {
		t.Errorf("%d different names", len(names))
	}
	want := map[values.Kind]int{values.Percent: 28, values.Counter: 24, values.Still: 12, values.Blip: 8, values.Amount: 8, values.Walk: 6, values.Timer: 6, values.Temperature: 4, values.Level: 4}
	for k, n := range want {
		if kinds[k] != n {
			t.Errorf("%d series of kind %d, want %d", kinds[k], k, n)
		}
	}
}
