package query

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"steer/monitor/query/querytest"
)

// The files in testdata test functions in a small language:
//
//	load STEP from TIME          series on a grid whose first point is at TIME
//	  NAME = VALUES              numbers, _ for none, 5x3 for 5 5 5, 1+2x3 for 1 3 5 7
//	clear                        forget all series
//	eval [KEY=VALUE]… TARGET     KEY is from, until, points, xff or template.NAME
//	  NAME [@START/STEP] = VALUES   "" is an empty name
//	  fail TEXT                  it is refused, and the error has this text in it
//
// An eval without lines below it gives no series. From and until stay as the
// eval before set them. Lines that begin with # are comments.
func TestLanguage(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".test"), func(t *testing.T) { runScript(t, file) })
	}
}

type script struct {
	t       *testing.T
	memory  *querytest.Memory
	request Request
	place   string
	want    []string
	pending bool
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, memory: &querytest.Memory{}, request: Request{From: 0, Until: 600}}
	var step, start int64
	for i, line := range strings.Split(string(text), "\n") {
		place := fmt.Sprintf("%s:%d", file, i+1)
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case line[0] == ' ' && s.pending:
			s.want = append(s.want, strings.TrimSpace(line))
		case line[0] == ' ':
			name, values, ok := strings.Cut(strings.TrimSpace(line), " = ")
			column, err := querytest.Values(values)
			if !ok || err != nil {
				t.Fatalf("%s: expected NAME = VALUES: %v", place, err)
			}
			s.memory.Add(name, start, step, column...)
		case words[0] == "clear":
			s.check()
			s.memory = &querytest.Memory{}
		case words[0] == "load" && len(words) == 4 && words[2] == "from":
			s.check()
			step, _ = strconv.ParseInt(words[1], 10, 64)
			start, err = strconv.ParseInt(words[3], 10, 64)
			if err != nil || step < 1 {
				t.Fatalf("%s: expected load STEP from TIME", place)
			}
		case words[0] == "eval":
			s.check()
			s.eval(place, strings.TrimSpace(line[4:]))
		default:
			t.Fatalf("%s: expected load, clear or eval", place)
		}
	}
	s.check()
}

func (s *script) eval(place, rest string) {
	r := Request{From: s.request.From, Until: s.request.Until, Template: map[string]string{}}
	for {
		word, more, _ := strings.Cut(rest, " ")
		k, v, ok := strings.Cut(word, "=")
		if !ok || strings.ContainsAny(k, "(,;\"'") {
			break
		}
		n, err := strconv.ParseFloat(v, 64)
		switch {
		case strings.HasPrefix(k, "template."):
			r.Template[strings.TrimPrefix(k, "template.")], err = v, nil
		case k == "from":
			r.From = int64(n)
		case k == "until":
			r.Until = int64(n)
		case k == "points":
			r.MaxPoints = int(n)
		case k == "xff":
			r.XFiles = n
		default:
			err = fmt.Errorf("unknown key")
		}
		if err != nil {
			s.t.Fatalf("%s: %s: %v", place, word, err)
		}
		rest = strings.TrimSpace(more)
	}
	r.Targets = []string{rest}
	s.request, s.place, s.want, s.pending = r, place, nil, true
}

// check runs the eval that came before.
func (s *script) check() {
	if !s.pending {
		return
	}
	s.pending = false
	e, err := New(Options{Source: s.memory, Events: happenings(120, 300, 300)})
	if err != nil {
		s.t.Fatal(err)
	}
	results, err := e.Eval(context.Background(), s.request)
	complain := func(format string, args ...any) {
		s.t.Errorf("%s: %s\n  %s", s.place, s.request.Targets[0], fmt.Sprintf(format, args...))
	}
	if len(s.want) == 1 && strings.HasPrefix(s.want[0], "fail ") {
		if text := strings.TrimPrefix(s.want[0], "fail "); err == nil || !strings.Contains(err.Error(), text) {
			complain("want an error with %q, got %v", text, err)
		}
		return
	}
	if err != nil {
		complain("%v", err)
		return
	}
	var got []string
	for i, r := range results {
		line := r.Name
		if line == "" {
			line = `""`
		}
		if i < len(s.want) && strings.Contains(s.want[i], " @") {
			line += fmt.Sprintf(" @%d/%d", r.Start, r.Step)
		}
		line += " ="
		for _, v := range r.Values {
			if math.IsNaN(v) {
				line += " _"
			} else {
				line += " " + strconv.FormatFloat(v, 'g', 10, 64)
			}
		}
		got = append(got, line)
	}
	want := make([]string, len(s.want))
	for i, w := range s.want {
		name, values, _ := strings.Cut(w+" ", " = ")
		column, err := querytest.Values(values)
		if err != nil {
			s.t.Fatalf("%s: %v", s.place, err)
		}
		want[i] = name + " ="
		for _, v := range column {
			if math.IsNaN(v) {
				want[i] += " _"
			} else {
				want[i] += " " + strconv.FormatFloat(v, 'g', 10, 64)
			}
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		complain("want\n    %s\n  got\n    %s", strings.Join(want, "\n    "), strings.Join(got, "\n    "))
	}
}
