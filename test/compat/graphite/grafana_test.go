package graphite

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// grafana asks as the Graphite data source of Grafana 8 to 12 does, from the browser
// through its proxy or from its server.
//
// Source: public/app/plugins/datasource/graphite and pkg/tsdb/graphite of
// https://github.com/grafana/grafana
type grafana struct {
	t      *testing.T
	server *httptest.Server
}

func newGrafana(t *testing.T) *grafana {
	t.Helper()
	g := &grafana{t, httptest.NewServer(steer(t))}
	t.Cleanup(g.server.Close)
	return g
}

// ask sends a request; a body is a form. What comes back must be 200.
func (g *grafana) ask(method, address, body string) []byte {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.server.URL+address, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // with GET, too
	r.Header.Set("X-Dashboard-Id", "1")
	r.Header.Set("X-Panel-Id", "2")
	res, err := g.server.Client().Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		g.t.Fatalf("%s %s %s: %s %s %v", method, address, body, res.Status, answer, err)
	}
	return answer
}

// read takes only the keys that Grafana knows, and strictly in their types.
func (g *grafana) read(answer []byte, into any) {
	g.t.Helper()
	if err := json.Unmarshal(answer, into); err != nil {
		g.t.Fatalf("%v: %.500s", err, answer)
	}
}

// TestGrafanaConnects: the button "Save & test", and the version.
func TestGrafanaConnects(t *testing.T) {
	g := newGrafana(t)
	var lines []struct {
		Target     string
		Datapoints [][2]*float64
		Tags       map[string]any
	}
	g.read(g.ask("POST", "/render", `target=aliasSub(constantLine(100)%2C%20%22(%5E.*%24)%22%2C%20%22%5C1%20A%22)&from=-1h&until=now&format=json&maxDataPoints=300`), &lines)
	if len(lines) != 1 || lines[0].Target != "100.0 A" || len(lines[0].Datapoints) != 3 || *lines[0].Datapoints[2][0] != 100 {
		t.Errorf("%+v", lines)
	}
	// Its server asks without the alias, with times in seconds.
	g.read(g.ask("POST", "/render", url.Values{"from": {"1774870470"}, "until": {"1774874070"}, "format": {"json"}, "maxDataPoints": {"100"},
		"target": {"constantLine(100)"}}.Encode()), &lines)
	if len(lines) != 1 || *lines[0].Datapoints[0][1] != 1774870470 {
		t.Errorf("%+v", lines)
	}
	// Functions and tags are used from 1.1 on.
	if version := string(g.ask("GET", "/version", "")); !regexp.MustCompile(`^1\.[1-9]\d*\.\d+\s*$`).MatchString(version) {
		t.Errorf("version %q", version)
	}
}

// TestGrafanaListsFunctions: /functions is read after Infinity, which is no JSON, was
// replaced by 1e9999.
func TestGrafanaListsFunctions(t *testing.T) {
	g := newGrafana(t)
	answer := g.ask("GET", "/functions", "")
	if bytes.Contains(answer, []byte("Infinity")) {
		t.Error("Infinity is no JSON")
	}
	// JavaScript reads 1e9999 as infinite, which shows as inf; Go refuses it.
	answer = regexp.MustCompile(`"default": ?1e9999`).ReplaceAll(answer, []byte(`"default": "inf"`))
	var functions map[string]struct {
		Name, Function, Description, Module, Group string
		Params                                     []struct {
			Name, Type         string
			Required, Multiple bool
			Default            any
			Options            []any
			Suggestions        []any
		}
	}
	g.read(answer, &functions)
	types := []string{"seriesList", "seriesLists", "boolean", "integer", "float", "node", "nodeOrTag", "intOrInterval", "intOrInf", "interval", "string",
		"aggFunc", "aggOrSeriesFunc", "any", "date", "tag"}
	for name, f := range functions {
		if f.Name != name || f.Group == "" || f.Description == "" {
			t.Errorf("%s: %+v", name, f)
		}
		for _, p := range f.Params {
			if p.Name == "" || !slices.Contains(types, p.Type) {
				t.Errorf("%s has a parameter %+v", name, p)
			}
		}
	}
	if scale := functions["scale"]; scale.Params[0].Type != "seriesList" || scale.Params[1].Type != "float" || !scale.Params[1].Required {
		t.Errorf("%+v", scale)
	}
	if limit := functions["keepLastValue"].Params[1]; limit.Default != "inf" || limit.Required {
		t.Errorf("%+v", limit)
	}
	// Several lists of series may be added to those that take them.
	if sum := functions["sumSeries"].Params; len(sum) != 1 || sum[0].Type != "seriesList" && sum[0].Type != "seriesLists" || !sum[0].Multiple {
		t.Errorf("%+v", sum)
	}
}

// TestGrafanaBrowses: the editor's selects, and template variables.
func TestGrafanaBrowses(t *testing.T) {
	g := newGrafana(t)
	type node struct {
		Text          string
		ID            string
		AllowChildren int
		Expandable    int
		Leaf          int
	}
	texts := func(nodes []node) string {
		var all []string
		for _, n := range nodes {
			all = append(all, n.Text)
		}
		return strings.Join(all, " ")
	}
	var nodes []node
	g.read(g.ask("POST", "/metrics/find?from=-6h&until=now", "query=web.*"), &nodes)
	if texts(nodes) != "a b c" || nodes[0].Expandable != 1 || nodes[0].ID != "web.a" {
		t.Errorf("%+v", nodes)
	}
	g.read(g.ask("POST", "/metrics/find?from=1774870470&until=1774874070", "query=web.a.*"), &nodes)
	if texts(nodes) != "cpu errors requests" || nodes[0].Expandable != 0 || nodes[0].Leaf != 1 {
		t.Errorf("%+v", nodes)
	}
	g.read(g.ask("POST", "/metrics/find", "query=web.{a,b}.c*"), &nodes)
	if texts(nodes) != "cpu" {
		t.Errorf("%+v", nodes)
	}
	g.read(g.ask("GET", "/metrics/find?query=*", ""), &nodes) // before Grafana 8
	if !slices.ContainsFunc(nodes, func(n node) bool { return n.Text == "web" && n.Expandable == 1 }) {
		t.Errorf("%+v", nodes)
	}
	var expanded struct{ Results []string }
	g.read(g.ask("GET", "/metrics/expand?query=web.*.cpu&from=-6h&until=now", ""), &expanded)
	if strings.Join(expanded.Results, " ") != "web.a.cpu web.b.cpu web.c.cpu" {
		t.Errorf("%+v", expanded)
	}

	for address, want := range map[string]string{
		"/tags/autoComplete/tags?from=-6h&until=now":                                                                   "dc env host name rack",
		"/tags/autoComplete/tags?expr=name%3Dmem&tagPrefix=d&from=-6h&until=now":                                       "dc",
		"/tags/autoComplete/tags?expr=name%3Dmem&expr=dc%3D~e.&limit=10000":                                            "host",
		"/tags/autoComplete/values?expr=name%3Dmem&tag=host&valuePrefix=d&from=-6h&until=now":                          "d",
		"/tags/autoComplete/values?tag=host&limit=10000":                                                               "a b c d web.1",
		"/tags/autoComplete/values?expr=name%3Dmem&expr=dc%3Dus&tag=host&limit=10000&from=1774870470&until=1774874070": "b d",
	} {
		var values []string
		g.read(g.ask("GET", address, ""), &values)
		if strings.Join(values, " ") != want {
			t.Errorf("%s: %v, want %s", address, values, want)
		}
	}
	var tags []struct{ Tag string } // before Grafana 7
	g.read(g.ask("GET", "/tags?from=-6h&until=now", ""), &tags)
	var tag struct{ Values []struct{ Value string } }
	g.read(g.ask("GET", "/tags/host", ""), &tag)
	if len(tags) != 5 || tags[2].Tag != "host" || len(tag.Values) != 5 || tag.Values[4].Value != "web.1" {
		t.Errorf("%+v %+v", tags, tag)
	}
}

// TestGrafanaDraws: panels, with series by path and by tags, nested queries and more
// points than fit.
func TestGrafanaDraws(t *testing.T) {
	g := newGrafana(t)
	var lines []struct {
		Target     string
		Datapoints [][2]*float64
		Tags       map[string]string
	}
	form := url.Values{
		"target": {
			`aliasSub(aliasByNode(web.*.cpu, 1), "(^.*$)", "\1 A")`,
			`aliasSub(asPercent(sumSeries(web.*.errors), 100), "(^.*$)", "\1 B")`,
			`aliasSub(aliasByTags(seriesByTag('name=disk.used', 'rack=1'), 'host'), "(^.*$)", "\1 C")`,
			`aliasSub(movingAverage(web.a.cpu, '5min'), "(^.*$)", "\1 D")`,
			`aliasSub(nothing.here, "(^.*$)", "\1 E")`,
		},
		"from": {"-6h"}, "until": {"now"}, "format": {"json"}, "maxDataPoints": {"100"},
	}
	g.read(g.ask("POST", "/render", form.Encode()), &lines)
	var names []string
	for _, l := range lines {
		names = append(names, l.Target)
		if len(l.Datapoints) == 0 || len(l.Datapoints) > 100 || l.Tags["name"] == "" {
			t.Errorf("%s: %d points, tags %v", l.Target, len(l.Datapoints), l.Tags)
		}
		for i, p := range l.Datapoints {
			if p[1] == nil || i > 0 && *p[1] <= *l.Datapoints[i-1][1] {
				t.Errorf("%s: times are missing or go back", l.Target)
			}
		}
	}
	const want = "a A|b A|c A|asPercent(sumSeries(web.*.errors),100) B|a C|b C|movingAverage(web.a.cpu,'5min') D"
	if got := strings.ReplaceAll(strings.Join(names, "|"), `"`, "'"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if tags := lines[4].Tags; tags["host"] != "a" || tags["rack"] != "1" || tags["name"] != "disk.used" {
		t.Errorf("%v", tags)
	}
}

// TestGrafanaAnnotates: events by their tags.
func TestGrafanaAnnotates(t *testing.T) {
	g := newGrafana(t)
	for address, want := range map[string]string{
		"/events/get_data?from=-6h&until=now":                            "deploy 1, deploy 2, restart, deploy 3",
		"/events/get_data?from=1774873500&until=1774873700&tags=deploy":  "deploy 1, deploy 2",
		"/events/get_data?from=-6h&until=now&tags=deploy%20web":          "deploy 1, deploy 3",
		"/events/get_data?from=-6h&tags=deploy+late&until=now":           "deploy 3",
		"/events/get_data?from=-5min&until=now&tags=deploy web&unknown=": "deploy 3",
	} {
		var events []struct {
			When int64
			What string
			Tags []string
			Data string
			ID   int64
		}
		g.read(g.ask("GET", strings.ReplaceAll(address, " ", "%20"), ""), &events)
		var all []string
		for _, e := range events {
			all = append(all, e.What)
			if e.When < 1774873000 || len(e.Tags) == 0 || e.ID == 0 {
				t.Errorf("%+v", e)
			}
		}
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
