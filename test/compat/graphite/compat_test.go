package graphite

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	answers     = "testdata/*.jsonl"
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
	names, err := filepath.Glob(answers)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files, %v", answers, err)
	}
	goldens := map[string]Golden{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
			var g Golden
			if err := json.Unmarshal(line, &g); err != nil {
				t.Fatalf("%s: %v: %.100s", name, err, line)
			}
			goldens[g.Ask] = g
		}
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
