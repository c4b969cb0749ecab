package graphite

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDiffer(t *testing.T) {
	series := func(name, points string) string {
		return `[{"target":"` + name + `","tags":{"name":"a"},"datapoints":[` + points + `]}]`
	}
	for _, c := range []struct{ want, got, differ string }{
		{series("a", "[1.0,60],[null,120]"), series("a", "[1.0000000001,60],[null,120]"), ""},
		{series("a", "[1e9999,60]"), series("a", "[1e9999,60]"), ""},
		{series("a", "[1.0,60]"), series("a", "[1,60]"), ""},
		{series("a", "[0.3,60]"), series("a", "[0.3000001,60]"), "datapoints[0][0] is 0.3000001 instead of 0.3"},
		{series("a", "[1e-12,60]"), series("a", "[2e-12,60]"), "instead of 1e-12"},
		{series("a", "[null,60]"), series("a", "[0.0,60]"), "is 0.0 instead of null"},
		{series("a", "[1.0,60]"), series("a", "[1.0,120]"), "is 120 instead of 60"},
		{series("a", "[1.0,60]"), series("a", "[1.0,60],[1.0,120]"), "has 2 elements instead of 1"},
		{series("a", "[1.0,60]"), series("b", "[1.0,60]"), `target is "b" instead of "a"`},
		{`[]`, series("a", ""), "has 1 elements instead of 0"},
		{`{"a":1}`, `{"a":1,"b":2}`, ".b is too much"},
		{`{"a":1}`, `{}`, ".a is missing"},
		{`"a,1.0,2\n"`, `"a,1,2.0\n"`, ""},
		{`"a,1.0\n"`, `"a,1.0"`, "instead of"},
		{`"a,\n"`, `"a,1.0\n"`, "instead of"},
	} {
		d := Differ(Golden{Status: 200, Body: json.RawMessage(c.want)}, Golden{Status: 200, Body: json.RawMessage(c.got)})
		if c.differ == "" && d != "" || c.differ != "" && !strings.Contains(d, c.differ) {
			t.Errorf("%s and %s: %q, want %q", c.want, c.got, d, c.differ)
		}
	}
	ok, wrong := Golden{Status: 200, Body: json.RawMessage(`[]`)}, Golden{Status: 400}
	if Differ(ok, wrong) == "" || Differ(wrong, ok) == "" || Differ(wrong, Golden{Status: 500}) != "" {
		t.Error("of errors counts that they are some")
	}
	wrapped := func(text string) Golden {
		body, _ := json.Marshal(text)
		return Golden{Status: 200, Type: "text/javascript", Body: body}
	}
	if d := Differ(wrapped(`cb(["<"])`), wrapped(`cb(["\u003c"])`)); d != "" {
		t.Error(d)
	}
	if Differ(wrapped(`cb([1])`), wrapped(`other([1])`)) == "" {
		t.Error("the name of the callback counts")
	}
}

func TestCases(t *testing.T) {
	for line, want := range map[string]string{
		`a.b`:                     "/render?target=a.b&format=json&now=1774874070&from=-10min",
		`f(a,"x") @ from=-1h`:     "/render?target=f%28a%2C%22x%22%29&format=json&now=1774874070&from=-1h",
		`a @ -from&target=b`:      "/render?target=a&format=json&now=1774874070&target=b",
		`a @ tz=Etc/GMT+5&x`:      "/render?target=a&format=json&now=1774874070&from=-10min&tz=Etc%2FGMT%2B5&x=",
		`/tags?expr=a=b&expr=c d`: "/tags?expr=a=b&expr=c%20d",
	} {
		if got := address(line); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
	cases, err := Cases()
	if err != nil || len(cases) < 3000 {
		t.Errorf("%d cases, %v", len(cases), err)
	}
}
