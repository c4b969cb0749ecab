package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A developer adds a panel: it is a commit by their name, what stood in the file
// stays, and of many at once none is lost.
func TestAddPanels(t *testing.T) {
	s := start(t, t.TempDir())
	dora := s.as(s.give("dora", "developer"))
	type panel struct {
		Title   string
		Targets []string
	}
	var board struct {
		Title  string
		Panels []panel
	}
	add := func(name, title, target string) answer {
		return dora.do("POST", "/api/v1/dashboards/"+name+"/panels", map[string]any{"title": "Of the shop", "panel": map[string]any{"title": title, "kind": "stacked", "targets": []string{target}}})
	}
	dora.do("GET", "/api/v1/dashboards/steer", nil).json(t, &board)
	before := len(board.Panels)
	if r := add("steer", "Nodes", "sumSeries(servers.*.load)"); r.code != 200 {
		t.Fatal(r)
	}
	dora.do("GET", "/api/v1/dashboards/steer", nil).json(t, &board)
	if last := board.Panels[len(board.Panels)-1]; len(board.Panels) != before+1 || last.Title != "Nodes" || last.Targets[0] != "sumSeries(servers.*.load)" {
		t.Errorf("%+v", board)
	}
	var made struct {
		Revision, File string
		New            bool
	}
	add("shop", "Orders", "stats.shop.orders").json(t, &made)
	if !made.New || made.File != "dashboards/shop.yaml" {
		t.Errorf("%+v", made)
	}
	dir := t.TempDir()
	if out, err := s.git("", s.token, "clone", "-q", s.url+"/git/definitions.git", dir+"/d"); err != nil {
		t.Fatal(out)
	}
	if out, err := s.git(dir+"/d", "", "log", "-1", "--format=%H %an %s"); err != nil || strings.TrimSpace(out) != made.Revision+" dora Dashboard shop: Orders" {
		t.Errorf("the commit is %q", out)
	}
	if out, err := s.git(dir+"/d", "", "show", "HEAD:dashboards/steer.yaml"); err != nil || !strings.HasPrefix(out, "# A dashboard:") || !strings.Contains(out, "# of twelve columns") {
		t.Errorf("comments are lost: %s", out)
	}
	var together sync.WaitGroup
	answers := make([]answer, 3)
	for i := range answers {
		together.Go(func() { answers[i] = add("shop", fmt.Sprint("number ", i), "a.b") })
	}
	together.Wait()
	good := 0
	for _, r := range answers {
		if r.code == 200 {
			good++
		} else if r.code != 409 {
			t.Error(r)
		}
	}
	dora.do("GET", "/api/v1/dashboards/shop", nil).json(t, &board)
	if board.Title != "Of the shop" || len(board.Panels) != 1+good || good == 0 {
		t.Errorf("%d were taken: %+v", good, board)
	}
	for _, c := range []struct {
		name, target string
		code         int
		said         string
	}{
		{"shop", "nope(a)", 400, "unknown function nope"},
		{"shop", "", 400, "is empty"},
		{"..%2Fchecks", "a", 400, "dashboard"},
		{"none", "a.b", 200, ""},
	} {
		if r := add(c.name, "x", c.target); r.code != c.code || !strings.Contains(r.body, c.said) {
			t.Errorf("%s %s: %v", c.name, c.target, r)
		}
	}
	if r := dora.do("GET", "/api/v1/dashboards/nothing", nil); r.code != 404 || !strings.Contains(r.body, "no dashboard") {
		t.Error(r)
	}
}
