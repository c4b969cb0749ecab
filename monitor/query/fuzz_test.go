package query

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/monitor/query/querytest"
)

// FuzzEval puts any target to a few series of different steps, with gaps, infinities
// and tags, under small limits. It is answered or refused, never a mistake of
// ours, and no answer is larger than the limits. The seeds are the targets of
// testdata.
func FuzzEval(f *testing.F) {
	files, err := filepath.Glob("testdata/*.test")
	if err != nil || len(files) == 0 {
		f.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "eval" {
				continue
			}
			i := 1 // behind what KEY=VALUE says of the request
			for i < len(words)-1 && !strings.ContainsAny(words[i], "(\"") && strings.Contains(words[i], "=") {
				i++
			}
			f.Add(strings.Join(words[i:], " "), int64(300), uint16(600), uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, target string, from int64, length uint16, most uint8) {
		m := &querytest.Memory{}
		for name, text := range map[string]string{
			"up": "1+1x10", "down": "10+-1x10", "gaps": "1 _ 3 _ _ 6", "flat": "5x10", "a.b": "0 Inf -Inf 1e308 -1e308", "a.c": "_x5 2x3",
			"web.one.cpu": "1 2 4 8 16", "web.two.cpu": "3 _ 1 _ 2", "disk;host=a;mount=/": "90 91 92", "disk;host=b": "10 20 _",
		} {
			values, err := querytest.Values(text)
			if err != nil {
				t.Fatal(err)
			}
			step := int64(60)
			if len(name) == 3 {
				step = 10
			}
			m.Add(name, 60, step, values...)
		}
		const seriesLimit, pointsLimit = 100, 20_000
		e, err := New(Options{Source: m, Events: happenings(120, 300, 300, 500), Limits: Limits{
			Series: seriesLimit, Points: pointsLimit, Timeout: config.Duration(5 * time.Second),
		}})
		if err != nil {
			t.Fatal(err)
		}
		from %= 1 << 33
		r := Request{Targets: []string{target}, From: from, Until: from + 1 + int64(length), MaxPoints: int(most)}
		began := time.Now()
		results, err := e.Eval(context.Background(), r)
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%q from %d for %d s took %s", target, from, length, took)
		}
		if err != nil && fault.Of(err) == fault.Internal {
			t.Fatalf("%q from %d for %d s: %v", target, from, length, err)
		}
		points := 0
		for _, s := range results {
			points += len(s.Values)
			if s.Step < 1 {
				t.Fatalf("%q from %d for %d s gave the step %d", target, from, length, s.Step)
			}
		}
		if len(results) > seriesLimit || points > pointsLimit {
			t.Fatalf("%q from %d for %d s gave %d series and %d points", target, from, length, len(results), points)
		}
	})
}
