package graphite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"steer/monitor/query"
)

const (
	answers     = "testdata/answers.jsonl"
	differences = "differences.txt"
	guide       = "../../../docs/guide/graphite.md"
)

// TestAnswersAsGraphiteDoes asks Steer everything that graphite-web was asked.
// STEER_SHOW=GROUP,… (or all) tells each difference; STEER_OPEN=1 writes the
// open differences down as they are now.
func TestAnswersAsGraphiteDoes(t *testing.T) {
	cases, goldens := recorded(t)
	listed := listed(t)
	h := steer(t)
	tally := newTally(goldens)
	var open []string
	seen := map[string]bool{}
	for _, c := range cases {
		want, ok := goldens[c.Ask]
		if !ok {
			t.Errorf("%s: %q was not asked yet; record again, see README.md", c.Group, c.Line)
			continue
		}
		d := Differ(want, answer(h, c.Ask))
		why, known := listed[c.Line]
		seen[c.Line] = true
		tally.add(c.Group, d == "", known && why != openSection)
		if show := os.Getenv("STEER_SHOW"); d != "" && (show == "all" || strings.Contains(","+show+",", ","+c.Group+",")) {
			t.Logf("%s  [%s]\n    %s\n    %s", c.Line, why, d, c.Ask)
		}
		if d != "" && (!known || why == openSection) {
			open = append(open, c.Line)
		}
		switch {
		case os.Getenv("STEER_OPEN") != "":
		case d != "" && !known:
			t.Errorf("%s: %s\n    %s", c.Group, c.Line, d)
		case d == "" && known:
			t.Errorf("%s: %s is as in Graphite now; take it out of %s", c.Group, c.Line, differences)
		}
	}
	for line := range listed {
		if !seen[line] && os.Getenv("STEER_OPEN") == "" {
			t.Errorf("%s lists %q, which is no case", differences, line)
		}
	}
	t.Log("\n" + tally.String())
	if os.Getenv("STEER_OPEN") != "" {
		rewrite(t, open)
	}
}

func recorded(t *testing.T) ([]Case, map[string]Golden) {
	t.Helper()
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	goldens := map[string]Golden{}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var g Golden
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatalf("%s: %v: %.100s", answers, err, line)
		}
		goldens[g.Ask] = g
	}
	return cases, goldens
}

func answer(h http.Handler, ask string) Golden {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", ask, nil))
	media, _, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
	return Golden{Ask: ask, Status: w.Code, Type: media, Body: Body(media, w.Body.Bytes())}
}

const openSection = "open"

// listed are the cases of differences.txt with the title of their section.
func listed(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(differences)
	if err != nil {
		t.Fatal(err)
	}
	cases, section := map[string]string{}, ""
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case cases[line] != "":
			t.Errorf("%s lists %q twice", differences, line)
		default:
			cases[line] = section
		}
	}
	return cases
}

// rewrite puts the open differences at the end of the file.
func rewrite(t *testing.T, open []string) {
	text, err := os.ReadFile(differences)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "\n["+openSection+"]\n")
	if len(open) > 0 {
		before += "\n[" + openSection + "]\n" + strings.Join(open, "\n") + "\n"
	}
	if err := os.WriteFile(differences, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGuideListsDifferences holds the guide to what differences.txt says, and
// the other way round.
func TestGuideListsDifferences(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]bool{}
	for _, title := range listed(t) {
		titles[title] = true
	}
	delete(titles, openSection)
	for title := range titles {
		if !strings.Contains(string(text), "\n| "+title+" |") {
			t.Errorf("%s has the section %q; the table of %s has no such row", differences, title, guide)
		}
	}
}

// tally counts what came out, group by group.
type tally struct {
	groups map[string]*[3]int // same, different on purpose, open
	order  []string
	lacks  []string // functions that Steer has not
}

func newTally(goldens map[string]Golden) *tally {
	r := &tally{groups: map[string]*[3]int{}}
	known := map[string]bool{"template": true}
	for _, f := range query.Functions() {
		known[f.Name] = true
		for _, alias := range f.Aliases {
			known[alias] = true
		}
	}
	var functions map[string]json.RawMessage
	_ = json.Unmarshal(goldens["/functions"].Body, &functions)
	for name := range functions {
		if !known[name] {
			r.lacks = append(r.lacks, name)
		}
	}
	return r
}

func (r *tally) add(group string, same, meant bool) {
	if r.groups[group] == nil {
		r.groups[group] = new([3]int)
		r.order = append(r.order, group)
	}
	switch {
	case same:
		r.groups[group][0]++
	case meant:
		r.groups[group][1]++
	default:
		r.groups[group][2]++
	}
}

func (r *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %5s %5s %10s %5s\n", "", "cases", "same", "on purpose", "open")
	var all [3]int
	line := func(name string, n [3]int, note string) {
		fmt.Fprintf(&b, "%-32s %5d %5d %10d %5d%s\n", name, n[0]+n[1]+n[2], n[0], n[1], n[2], note)
	}
	for _, name := range r.order {
		n, note := *r.groups[name], ""
		for i := range n {
			all[i] += n[i]
		}
		for _, lack := range r.lacks {
			if lack == name {
				note = "  missing"
			}
		}
		line(name, n, note)
	}
	line("all", all, "")
	total := max(all[0]+all[1]+all[2], 1)
	fmt.Fprintf(&b, "%.1f %% of %d answers are graphite-web's, %.1f %% but for differences on purpose; %d functions are missing\n",
		100*float64(all[0])/float64(total), total, 100*float64(all[0]+all[1])/float64(total), len(r.lacks))
	return b.String()
}
