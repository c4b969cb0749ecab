package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestTopsStaySmall: among a million names that come once each, those that come
// often are found, and never with more than they had.
func TestTopsStaySmall(t *testing.T) {
	var tops tops
	want := map[string]uint64{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 1_000_000 {
		name := fmt.Sprintf("once.%d", i)
		if i%100 == 0 {
			name += strings.Repeat("x", 300)
		}
		if k := r.IntN(100); k < 50 {
			name = fmt.Sprintf("often.%d", k%10)
			want[name]++
		}
		tops.get(name).create(7)
	}
	if len(tops.all) != mostTops || len(tops.at) != mostTops {
		t.Fatalf("%d names are kept, %d places", len(tops.all), len(tops.at))
	}
	for name, i := range tops.at {
		if tops.all[i].name != name || len(name) > longestTop {
			t.Fatalf("place %d of %q has %q", i, name, tops.all[i].name)
		}
	}
	best := tops.best(10, Top.count)
	for _, b := range best {
		if n := want[b.Name]; b.Count > n || b.Count < n-n/10 || b.Total != b.Count {
			t.Errorf("%+v came %d times", b, n)
		}
	}
}

// TestTopsPushNobodyOutWhoGrows: a name whose place is taken again and again, as it
// comes in turn with others that have much already, gets ahead of them all the
// same.
func TestTopsPushNobodyOutWhoGrows(t *testing.T) {
	var tops tops
	for i := range mostTops {
		for range 1000 {
			tops.get(fmt.Sprint("old", i)).create(0)
		}
	}
	for i := range 100_000 {
		tops.get("runaway").create(0)
		tops.get(fmt.Sprint("once", i)).create(0)
	}
	if b := tops.best(1, Top.count)[0]; b.Name != "runaway" || b.Count < 90_000 {
		t.Fatalf("%+v", b)
	}
}

// TestTopsFindTheLeast: the shortcut takes no other than looking at all does.
func TestTopsFindTheLeast(t *testing.T) {
	var tops tops
	r := rand.New(rand.NewPCG(3, 4))
	for i := range mostTops {
		tops.get(fmt.Sprint(i))
	}
	for step := range int64(20_000) {
		if r.IntN(100) == 0 {
			tops.pass(step/100, step/100+1)
		}
		for range r.IntN(10) {
			tops.all[r.IntN(1+r.IntN(mostTops))].create(step / 100)
		}
		want := tops.all[0].weight()
		for i := range tops.all {
			want = min(want, tops.all[i].weight())
		}
		if got := tops.least().weight(); got != want {
			t.Fatalf("round %d: %d, want %d", step, got, want)
		}
	}
}

func TestTopsForgetAfterAnHour(t *testing.T) {
	var tops tops
	tops.get("a").create(100)
	tops.pass(100, 101)
	tops.get("a").dropped.add(101)
	tops.get("a").debt.add(101)
	for _, c := range []struct {
		from, to              int64
		created, dropped, all uint64
	}{
		{101, 105, 1, 1, 3},
		{105, 111, 1, 1, 3},
		{111, 112, 0, 1, 2},
		{112, 111, 0, 1, 2}, // the clock is set back
		{111, 112, 0, 1, 2}, // and comes again to where it was
		{112, 90, 0, 1, 2},
		{90, 112, 0, 0, 0}, // which takes it longer than an hour
		{113, 1e9, 0, 0, 0},
	} {
		tops.pass(c.from, c.to)
		if a := tops.get("a"); a.created.sum != c.created || a.dropped.sum != c.dropped || a.weight() != c.all {
			t.Fatalf("from step %d to %d: %+v, want %+v", c.from, c.to, a, c)
		}
	}
}

// TestMostOfASender: where its new series are is told only if most are there, and
// what it did yesterday doesn't count.
func TestMostOfASender(t *testing.T) {
	var tops tops
	relay := tops.get("relay")
	for i := range 10_000 {
		relay.vote(fmt.Sprint("service", i%10))
	}
	if got := relay.mostly(); got != "" {
		t.Errorf("of ten services alike: %s", got)
	}
	tops.pass(0, 12)
	for i := range 100 {
		relay.vote("app.requests")
		if i%4 == 0 {
			relay.vote(fmt.Sprint("service", i))
		}
	}
	if got := relay.mostly(); got != `, most of them below "app.requests"` {
		t.Errorf("of a runaway service: %s", got)
	}
}
