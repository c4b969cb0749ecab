package main

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"steer/test/bench/values"
)

// filled is what a system without fault gives back of host 0.
func filled(w *workload) *table {
	t := newTable(w.start, w.step, w.points)
	seq := w.sequences(0, metrics())
	for m := range seq {
		column := t.column(w.host(0) + "." + metrics()[m].name)
		for p := range column {
			t.put(column, w.at(p), values.Number(seq[m].Next(), metrics()[m].kind.Decimals()))
		}
	}
	return t
}

func TestCompareCountsEachFault(t *testing.T) {
	w := small()
	idle, user := w.host(0)+".cpu.0.idle", w.host(0)+".cpu.0.user"
	for _, c := range []struct {
		what                 string
		fault                func(*table)
		missing, wrong, more int
	}{
		{"nothing", func(*table) {}, 0, 0, 0},
		{"a lost point", func(t *table) { t.columns[idle][3] = math.NaN() }, 1, 0, 0},
		{"a lost series", func(t *table) { delete(t.columns, idle) }, w.points, 0, 0},
		{"another value", func(t *table) { t.columns[idle][3] += 0.01 }, 0, 1, 0},
		{"the last bit", func(t *table) { t.columns[idle][3] = math.Nextafter(t.columns[idle][3], 1000) }, 0, 0, 0},
		{"swapped series", func(t *table) { t.columns[idle], t.columns[user] = t.columns[user], t.columns[idle] }, 0, 2 * w.points, 0},
		{"a point between two", func(t *table) { t.put(t.columns[idle], w.start+1, 1) }, 0, 0, 1},
		{"a series too many", func(t *table) { t.put(t.column(idle+".x"), w.start, 1) }, 0, 0, 1},
	} {
		got := filled(w)
		c.fault(got)
		var res result
		got.compare(w.host(0), metrics(), w.sequences(0, metrics()), 0, &res)
		if res.checked != perHost*w.points || res.missing != c.missing || res.wrong != c.wrong || res.more != c.more {
			t.Errorf("%s: of %d points %d missing, %d wrong, %d never sent; want %d, %d, %d",
				c.what, res.checked, res.missing, res.wrong, res.more, c.missing, c.wrong, c.more)
		}
	}
}

func TestCompareFromALaterPointOn(t *testing.T) {
	w := small()
	all := filled(w)
	late := newTable(w.at(10), w.step, w.points-10)
	for name, c := range all.columns {
		late.columns[name] = c[10:]
	}
	var res result
	late.compare(w.host(0), metrics(), w.sequences(0, metrics()), 10, &res)
	if res.checked != perHost*30 || res.missing+res.wrong+res.more > 0 {
		t.Errorf("of %d points %d missing, %d wrong, %d never sent", res.checked, res.missing, res.wrong, res.more)
	}
}

func TestProbesHaveTheLastHostOfEachConnection(t *testing.T) {
	w := &workload{series: 100_000, conns: 4}
	hosts := w.probes(probed)
	for h := 996; h < 1000; h++ {
		if !slices.Contains(hosts, h) {
			t.Errorf("no host %d in %v", h, hosts)
		}
	}
	if len(hosts) < probed || len(hosts) > probed+w.conns || !slices.Contains(hosts, 0) {
		t.Errorf("%d hosts: %v", len(hosts), hosts)
	}
	if w.series = 150; !slices.Equal(w.probes(probed), []int{1, 0}) {
		t.Errorf("of two hosts it takes %v", w.probes(probed))
	}
}

func TestReadWhisper(t *testing.T) {
	u := binary.BigEndian
	b := u.AppendUint32(nil, 1)                  // average
	b = u.AppendUint32(b, 30)                    // longest retention
	b = u.AppendUint32(b, math.Float32bits(0.5)) // xFilesFactor
	b = u.AppendUint32(b, 1)                     // archives
	for _, n := range []uint32{28, 10, 3} {      // offset, step, points
		b = u.AppendUint32(b, n)
	}
	for _, p := range []struct {
		at uint32
		v  float64
	}{{1010, 1.5}, {1020, 2.5}, {970, 9}} { // the last one from the round before
		b = u.AppendUint64(u.AppendUint32(b, p.at), math.Float64bits(p.v))
	}
	got := newTable(1000, 10, 3)
	if err := readWhisper(b, got, "a.b"); err != nil {
		t.Fatal(err)
	}
	c := got.columns["a.b"]
	if got.stray != 0 || len(c) != 3 || c[0] == c[0] || c[1] != 1.5 || c[2] != 2.5 {
		t.Errorf("%v, %d strays", c, got.stray)
	}
	if err := readWhisper(b[:40], got, "a.b"); err == nil {
		t.Error("a torn file is no error")
	}
}

func TestRawLine(t *testing.T) {
	got := newTable(1000, 10, 3)
	if err := rawLine([]byte("a.b,1000,1030,10|1.5,None,3"), got); err != nil {
		t.Fatal(err)
	}
	c := got.columns["a.b"]
	if c[0] != 1.5 || c[1] == c[1] || c[2] != 3 {
		t.Errorf("%v", c)
	}
	for _, bad := range []string{"", "a.b|1", "a.b,1000,1030,10|x", "a.b,x,1030,10|1"} {
		if rawLine([]byte(bad), got) == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}
