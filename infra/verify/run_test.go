package verify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/infra"
)

// scene is a subject that a test makes up.
type scene struct {
	Ready *bool  `yaml:"ready"`
	Size  Number `yaml:"size"`
	look  func(ctx context.Context, attempt int) (Found, error)
	count int
}

func (s *scene) ID() string { return "scene" }

func (s *scene) Look(ctx context.Context, _ *infra.Host) (Found, error) {
	s.count++
	return s.look(ctx, s.count)
}

func expecting(look func(ctx context.Context, attempt int) (Found, error)) Test {
	yes := true
	return Test{Kind: "scene", Name: "scene", Subject: &scene{Ready: &yes, Size: Number{above(3)}, look: look}}
}

func runOne(t *testing.T, test Test, o Options) Result {
	t.Helper()
	var told []Result
	o.Result = func(r Result) { told = append(told, r) }
	r := Run(t.Context(), &infra.Host{}, []Test{test}, o)
	if d := cmp.Diff(r.Results, told); d != "" {
		t.Error("what was told and what is reported differ:", d)
	}
	n := 0
	for _, count := range r.Counts {
		n += count
	}
	if r.Tests != 1 || n != len(r.Results[0].Properties) {
		t.Errorf("%+v", r)
	}
	return r.Results[0]
}

func TestRunJudges(t *testing.T) {
	for _, c := range []struct {
		what  string
		found Found
		err   error
		want  Status
		texts string // of the properties: status expected found why
	}{
		{"as expected", Found{"ready": true, "size": 4}, nil, Passed, "passed true true |passed above 3 4 "},
		{"one is not", Found{"ready": true, "size": 3}, nil, Failed, "passed true true |failed above 3 3 "},
		{"explained", Found{"ready": Noted{false, "not yet"}, "size": 9.5}, nil, Failed, "failed true false (not yet) |passed above 3 9.5 "},
		{"not there", Found{"ready": false}, nil, Failed, "failed true false |skipped above 3 nothing ready is false"},
		{"there without a size", Found{"ready": true, "size": Nothing("no\x1b[2J\nsize")}, nil, Failed, "passed true true |failed above 3 nothing (no?[2J size) "},
		{"not to be found out", Found{"ready": true, "size": errors.New("may not")}, nil, Error, "passed true true |error above 3  may not"},
		{"not comparable", Found{"ready": true, "size": "big"}, nil, Error, `passed true true |error above 3 big can't be compared: "big" is no number`},
		{"failure and error", Found{"ready": false, "size": errors.New("may not")}, nil, Failed, "failed true false |error above 3  may not"},
		{"error as a whole", nil, errors.New("may not look"), Error, "error true  may not look|error above 3  may not look"},
	} {
		r := runOne(t, expecting(func(context.Context, int) (Found, error) { return c.found, c.err }), Options{})
		var texts []string
		for _, p := range r.Properties {
			texts = append(texts, strings.Join([]string{string(p.Status), p.Expected, p.Found, p.Why}, " "))
		}
		if got := strings.Join(texts, "|"); r.Status != c.want || got != c.texts || r.Attempts != 1 {
			t.Errorf("%s: %s\n got %s\nwant %s", c.what, r.Status, got, c.texts)
		}
	}
	skipped := expecting(nil)
	skipped.Skip = "in March"
	if r := runOne(t, skipped, Options{}); r.Status != Skipped || r.Why != "in March" || r.Properties[1].Status != Skipped {
		t.Errorf("%+v", r)
	}
}

func TestRunTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		test := expecting(func(context.Context, int) (Found, error) {
			return Found{"ready": time.Since(start) > 3*time.Second, "size": 4}, nil
		})
		test.Retry = 10 * time.Second
		if r := runOne(t, test, Options{}); r.Status != Passed || r.Attempts < 3 || r.Took < 3*time.Second || r.Took > 4*time.Second+time.Second {
			t.Errorf("%+v", r)
		}
		// It is tried a last time when its time is over, and not after that.
		start = time.Now().Add(time.Hour)
		if r := runOne(t, test, Options{}); r.Status != Failed || r.Took != 10*time.Second || r.Attempts > 20 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRunIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := expecting(func(ctx context.Context, _ int) (Found, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if r := runOne(t, slow, Options{Within: 5 * time.Second}); r.Status != Error || r.Took != 5*time.Second {
			t.Errorf("%+v", r)
		}
		release := make(chan struct{})
		hangs := expecting(func(context.Context, int) (Found, error) {
			<-release // takes no context
			return nil, nil
		})
		if r := runOne(t, hangs, Options{Within: 5 * time.Second}); r.Status != Error || r.Why != "not done within 5s" || r.Took != 5*time.Second+grace {
			t.Errorf("%+v", r)
		}
		close(release)

		// No more than Parallel at a time; the report is in the order of the tests.
		now, most := 0, 0
		mutex := make(chan struct{}, 1)
		var tests []Test
		for i := range 20 {
			test := expecting(func(context.Context, int) (Found, error) {
				mutex <- struct{}{}
				now++
				most = max(most, now)
				<-mutex
				time.Sleep(time.Duration(20-i) * time.Second)
				mutex <- struct{}{}
				now--
				<-mutex
				return Found{"ready": true, "size": 4}, nil
			})
			test.Name = string(rune('a' + i))
			tests = append(tests, test)
		}
		r := Run(t.Context(), &infra.Host{}, tests, Options{Parallel: 3})
		if most != 3 || r.Counts[Passed] != 40 || !slices.IsSortedFunc(r.Results, func(a, b Result) int { return strings.Compare(a.Test, b.Test) }) {
			t.Errorf("%d at a time: %+v", most, r)
		}

		// The end of the context ends the run; what it kept from being done is no pass.
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		slow.Retry = time.Hour
		start := time.Now()
		r = Run(ctx, &infra.Host{}, []Test{slow, slow, tests[0]}, Options{Parallel: 1})
		if r.Counts[Error] != 6 || !r.Failed() || time.Since(start) != time.Second {
			t.Errorf("%+v", r)
		}
	})
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		want  string // YAML
		found any
		holds bool
	}{
		{"root", "root", true},
		{"root", "roots", false},
		{"1.10", "1.1", false},
		{"1.10", 1.1, true},
		{"yes", true, false}, // only the fields that are truth values read yes
		{"true", true, true},
		{"'!root'", "daemon", true},
		{"'!root'", "root", false},
		{"/^ro+t$/", "root", true},
		{"'!/oo/'", "root", false},
		{"{is: /srv/}", "/srv/", true},
		{"/srv/", "/srv/", true},
		{"/srv/", "/srv/x", true}, // an expression
		{"644", Mode(0o644), true},
		{`"0644"`, Mode(0o644), true},
		{`"4755"`, Mode(0o755), false},
		{"{above: 1, below: 5}", 3, true},
		{"{above: 1, below: 5}", 5, false},
		{"{above: 1}", "2.5", true},
		{"{not: {above: 5}}", 6, false},
		{"{any: [80, {above: 8000}]}", 8080, true},
		{"{any: [80, {above: 8000}]}", 443, false},
		{"a", []string{"a", "b"}, true},
		{"[a, b]", []string{"c", "b", "a"}, true},
		{"[a, d]", []string{"c", "b", "a"}, false},
		{"'!a'", []string{"b", "a"}, false},
		{"'!a'", []string{"b"}, true},
		{"{only: [a, b]}", []string{"b", "a"}, true},
		{"{only: [a, b]}", []string{"a"}, false},
		{"{only: [a]}", []string{"a", "b"}, false},
		{"{only: [/^a/]}", []string{"a1", "a2"}, true},
		{"{only: []}", []string{}, true},
		{"{only: []}", []string{"a"}, false},
		{"[user, /^b$/]", Content{Text: "users\nb\n"}, true},
		{"/^b$/", Content{Text: "ab\n"}, false},
		{"'!/debug/'", Content{Text: "a\ndebug\n"}, false},
		{"'!debug'", Content{Text: ""}, true},
		{"''", Content{Text: ""}, true},
		{"''", Content{Text: "a"}, false},
		{"{not: ''}", Content{Text: ""}, false},
		{"''", "", true},
	} {
		tests := load(t, "tests: [{matching: {value: x, is: "+c.want+"}}]")
		want := tests[0].Subject.(*matching).Is
		if holds, err := want.holds(c.found); holds != c.holds || err != nil {
			t.Errorf("%s (%s) of %v: %v %v", c.want, want, c.found, holds, err)
		}
	}
	for want, found := range map[string]any{"x": 3, "{above: 3}": true, "{only: [a]}": "a", "rw": Mode(1), "{not: x}": 3} {
		v := load(t, "tests: [{matching: {value: x, is: "+want+"}}]")[0].Subject.(*matching).Is
		if holds, err := v.holds(found); holds || err == nil {
			t.Errorf("%s of %v: %v %v", want, found, holds, err)
		}
	}
	if got := where(Content{Text: "a\nsecret\n"}, not{Value{is("secret")}}); got != "line 2, secret" {
		t.Error(got)
	}
	if got := where(Content{Text: "a\nsecret\n", Quiet: true}, not{Value{is("secret")}}); got != "line 2" {
		t.Error(got)
	}
}
