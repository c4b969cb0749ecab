package run

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
)

// Tests counts what test programs reported. Only output of "go test" (also -v
// and -json) is known so far; without -v it names packages, not tests.
type Tests struct {
	Unit         string `json:"unit"` // what is counted: tests or packages
	Passed       int    `json:"passed"`
	Failed       int    `json:"failed"`
	Skipped      int    `json:"skipped"`
	FirstFailure string `json:"first_failure,omitempty"`
}

// scanner watches output go by and keeps what a reader needs first, in little
// memory: the first failed test, the first error with a place, the first line
// that speaks of an error, and the last line.
type scanner struct {
	line     []byte
	single   Tests // counts of tests
	packages Tests
	verbose  bool // tests are named one by one
	json     bool

	failure  string // the first failed test, with its place once known
	awaiting bool   // the place of failure is expected in the next lines
	place    string // of the test that runs now, in verbose output
	placed   string // first "file:line: message"
	panicked string
	frames   bool // lines of a panic's stack go by
	spoken   string
	last     string

	places map[string]string // under -json: test to its first message
}

const longestLine = 4 << 10

var (
	escapes    = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	testResult = regexp.MustCompile(`^(\s*)--- (FAIL|PASS|SKIP): (\S+)`)
	testPlace  = regexp.MustCompile(`^\s+(\S+\.go:\d+): ?(.*)$`)
	packageEnd = regexp.MustCompile(`^(ok  |FAIL)\t(\S+)\t`)
	goFrame    = regexp.MustCompile(`^\t(/\S+\.go:\d+)`)
	anyPlace   = regexp.MustCompile(`^(?:vet: )?(\S*[^\s:]\.[A-Za-z]\w*:\d+(?::\d+)?:? .*)$`)
	anyError   = regexp.MustCompile(`(?i)(\b|_)(\w*error|fatal|failed|failure|\w*exception)\b(\[\w+\])?\s*:|^(FAIL|FAILED|not ok|E)\b.`)
	noise      = regexp.MustCompile(`^(FAIL|exit status \d+|make(\[\d+\])?: .*)$`)
)

// Write splits the stream into lines; very long ones are cut.
func (s *scanner) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		part := rest
		if i >= 0 {
			part = rest[:i]
		}
		s.line = append(s.line, part[:min(len(part), longestLine-len(s.line))]...)
		if i < 0 {
			break
		}
		s.finish()
		rest = rest[i+1:]
	}
	return len(p), nil
}

// finish takes what has no line end yet as a line.
func (s *scanner) finish() {
	if len(s.line) > 0 {
		s.take(strings.TrimRight(escapes.ReplaceAllString(string(s.line), ""), "\r \t"))
	}
	s.line = s.line[:0]
}

// reset forgets what went by.
func (s *scanner) reset() { *s = scanner{} }

func (s *scanner) take(line string) {
	if strings.HasPrefix(line, `{"`) && strings.Contains(line, `"Action":`) && s.event(line) {
		return
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	if strings.HasPrefix(line, "=== ") {
		s.verbose, s.place = true, ""
		return
	}
	if m := testResult.FindStringSubmatch(line); m != nil {
		s.result(m[1] != "", m[2], m[3])
		return
	}
	if m := packageEnd.FindStringSubmatch(line); m != nil {
		if m[1] == "FAIL" {
			s.packages.Failed++
		} else {
			s.packages.Passed++
		}
		s.awaiting, s.frames, s.place = false, false, ""
		return
	}
	s.search(line)
}

// search looks for errors in a line that is no result of a test.
func (s *scanner) search(line string) {
	if m := testPlace.FindStringSubmatch(line); m != nil {
		found := strings.TrimSpace(m[1] + ": " + m[2])
		if s.awaiting {
			s.failure += ": " + found
			s.awaiting = m[2] == ""
		} else {
			s.place = cmp.Or(s.place, found)
		}
	} else if s.awaiting && strings.HasPrefix(line, " ") && strings.Contains(s.failure, ".go:") && !strings.Contains(line, "Error Trace:") {
		s.failure += " " + strings.TrimSpace(line) // the message begins below its place
		s.awaiting = false
	}
	if m := goFrame.FindStringSubmatch(line); s.frames && m != nil && !strings.Contains(m[1], "/src/runtime/") && !strings.Contains(m[1], "/src/testing/") {
		s.panicked += " (" + m[1] + ")"
		s.frames = false
	}
	switch {
	case strings.HasPrefix(line, "panic: ") && s.panicked == "":
		s.panicked, s.frames = line, true
	case s.placed == "" && anyPlace.MatchString(line) && !strings.Contains(strings.ToLower(line), "warning"):
		s.placed = anyPlace.FindStringSubmatch(line)[1]
	case s.spoken == "" && anyError.MatchString(line):
		s.spoken = strings.TrimSpace(line)
	}
	if !noise.MatchString(line) && !s.frames {
		s.last = strings.TrimSpace(line)
	}
}

func (s *scanner) result(nested bool, outcome, name string) {
	if !nested && !s.json {
		count(&s.single, outcome)
	}
	if outcome != "FAIL" {
		s.awaiting = false
		return
	}
	switch {
	case s.failure == "" && s.place != "":
		s.failure = name + ": " + s.place
	case s.failure == "":
		s.failure, s.awaiting = name, true
	case s.awaiting && nested: // a part of the test says more than the whole
		s.failure = name
	}
	s.place = ""
}

func count(t *Tests, outcome string) {
	switch strings.ToUpper(outcome) {
	case "PASS":
		t.Passed++
	case "FAIL":
		t.Failed++
	case "SKIP":
		t.Skipped++
	}
}

// event takes a line of "go test -json".
func (s *scanner) event(line string) bool {
	var e struct{ Action, Package, ImportPath, Test, Output string }
	if json.Unmarshal([]byte(line), &e) != nil {
		return false
	}
	s.json, s.verbose = true, true
	if e.Test == "" {
		if e.Action == "output" || e.Action == "build-output" {
			if text := strings.TrimRight(e.Output, "\n"); text != "PASS" && !strings.HasPrefix(text, "ok  \t") && !strings.HasPrefix(text, "FAIL\t") {
				s.search(text)
			}
		}
		return true
	}
	test := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if m := testPlace.FindStringSubmatch(strings.TrimRight(e.Output, "\n")); m != nil && s.places[test] == "" {
			if s.places == nil {
				s.places = map[string]string{}
			}
			s.places[test] = m[1] + ": " + m[2]
		} else if strings.HasPrefix(e.Output, "panic: ") || s.frames {
			s.search(strings.TrimRight(e.Output, "\n"))
		}
	case "pass", "fail", "skip":
		if !strings.Contains(e.Test, "/") {
			count(&s.single, e.Action)
		}
		if at := s.places[test]; e.Action == "fail" && (s.failure == "" || at != "" && !strings.Contains(s.failure, ": ")) {
			s.failure = strings.TrimSuffix(e.Test+": "+at, ": ")
		}
		delete(s.places, test)
	}
	return true
}

// tests returns the counts, or nil if nothing looked like a test.
func (s *scanner) tests() *Tests {
	t := s.packages
	t.Unit = "packages"
	if s.verbose {
		t = s.single
		t.Unit = "tests"
	}
	t.FirstFailure = s.failure
	if t.Passed+t.Failed+t.Skipped == 0 && t.FirstFailure == "" {
		return nil
	}
	return &t
}

// reason is the first thing that somebody who looks at the failure needs. Names
// of files in dir are given relative to it.
func (s *scanner) reason(dir string) string {
	text := s.failure
	switch {
	case s.failure != "" && s.panicked != "" && !strings.Contains(s.failure, ": "):
		text = s.failure + ": " + s.panicked
	case s.failure == "":
		text = cmp.Or(s.panicked, s.placed, s.spoken, s.last)
	}
	text = strings.ReplaceAll(text, dir+"/", "")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return text
}
