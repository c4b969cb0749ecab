package converge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
)

func note(path string, with ...func(*infra.Declared)) infra.Declared {
	d := infra.Declared{Kind: "note", ID: path, Resource: &infratest.Note{Path: path, State: "present"}, Class: "notes", Role: "r", Place: "r.yaml:1"}
	for _, f := range with {
		f(&d)
	}
	return d
}

func bell(path string, with ...func(*infra.Declared)) infra.Declared {
	d := infra.Declared{Kind: "bell", ID: path, Resource: &infratest.Bell{Path: path}, Role: "r", Place: "r.yaml:2"}
	for _, f := range with {
		f(&d)
	}
	return d
}

func after(refs ...string) func(*infra.Declared) {
	return func(d *infra.Declared) { d.After = refs }
}

func tells(refs ...string) func(*infra.Declared) {
	return func(d *infra.Declared) { d.Notify = refs }
}

func TestStages(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []infra.Declared
		want string
	}{
		{"side by side", []infra.Declared{note("/a"), note("/b")}, "/a /b"},
		{"as written", []infra.Declared{note("/a"), bell("/x"), note("/b")}, "/a | /x | /b"},
		{"told later", []infra.Declared{bell("/x"), note("/a", tells("bell:/x"))}, "/a | /x"},
		{"folder first", []infra.Declared{note("/f/g/h"), note("/f")}, "/f /f/g/h<0"},
		{"after", []infra.Declared{note("/a", after("note:/c")), note("/b"), note("/c")}, "/b /c /a<2"},
	} {
		order, before, err := stages(c.all, false)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, stage := range order {
			var names []string
			for at, i := range stage {
				text := c.all[i].ID
				for _, b := range before[i] {
					if slices.Contains(stage[:at], b) {
						text += "<" + fmt.Sprint(b)
					}
				}
				names = append(names, text)
			}
			got = append(got, strings.Join(names, " "))
		}
		if have := strings.ReplaceAll(strings.Join(got, " | "), "<1", "<0"); have != c.want {
			t.Errorf("%s: got %s, want %s", c.name, have, c.want)
		}
	}
}

func TestStagesRefused(t *testing.T) {
	for _, c := range []struct {
		all  []infra.Declared
		want string
	}{
		{[]infra.Declared{note("/a"), note("/a")}, "r.yaml:1: note:/a is declared twice, first at r.yaml:1"},
		{[]infra.Declared{note("/a", after("note:/bb")), note("/b")}, `after of note:/a names note:/bb, which no role of this host declares (did you mean "note:/b"?)`},
		{[]infra.Declared{note("/a", after("bell:/x")), bell("/x", after("note:/a"))}, "note:/a (r.yaml:1) waits for bell:/x (r.yaml:2) waits for note:/a (r.yaml:1)"},
	} {
		if _, _, err := stages(c.all, false); fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestStagesOfAny: each resource comes once, after everything that it waits for, in
// the order as written where nothing says otherwise.
func TestStagesOfAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		rank := rapid.Permutation(numbers(n)).Draw(t, "rank") // edges go from low to high: no ring
		var all []infra.Declared
		for i := range n {
			d := note(fmt.Sprintf("/%d", i))
			if rapid.Bool().Draw(t, "bell") {
				d = bell(fmt.Sprintf("/%d", i))
			}
			all = append(all, d)
		}
		for range rapid.IntRange(0, 2*n).Draw(t, "edges") {
			a, b := rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")
			if rank[a] > rank[b] {
				all[a].After = append(all[a].After, all[b].Ref())
			}
		}
		order, before, err := stages(all, false)
		if err != nil {
			t.Fatal(err)
		}
		flat := slices.Concat(order...)
		place := make([]int, n)
		for at, i := range flat {
			place[i] = at
		}
		if len(flat) != n {
			t.Fatalf("%d of %d resources", len(flat), n)
		}
		edges := 0
		for i := range all {
			edges += len(before[i])
			for _, b := range before[i] {
				if place[b] >= place[i] {
					t.Fatalf("%d comes at %d, and waits for %d at %d", i, place[i], b, place[b])
				}
			}
		}
		if edges == 0 && !slices.Equal(flat, numbers(n)) {
			t.Fatalf("not as written: %v", flat)
		}
	})
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
