package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"steer/infra"
)

// Options are how tests are run. The zero Options will do.
type Options struct {
	// Parallel is how many tests are run at a time, default four times the CPUs.
	Parallel int
	// Within is the longest that one attempt of a test may take, default a minute. It is
	// beside the bounds that tests set themselves.
	Within time.Duration
	// Result gets every result when it is there, one at a time.
	Result func(Result)
}

// Status is how a property, or a test, came out.
type Status string

// The statuses. A test has the first of Failed, Error and Passed that one of its
// properties has.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Error   Status = "error"   // can't be judged
	Skipped Status = "skipped" // the test says so, or what has the property is not there
)

// Report is how a run of tests came out. Its JSON is what the format json writes.
type Report struct {
	Host    string         `json:"host"`
	Start   time.Time      `json:"start"`
	Took    time.Duration  `json:"took"`    // nanoseconds
	Tests   int            `json:"tests"`   // how many
	Counts  map[Status]int `json:"counts"`  // of properties; those that do not occur are 0
	Results []Result       `json:"results"` // in the order of the tests
}

// Failed tells whether the host is not, or not surely, as the tests expect.
func (r Report) Failed() bool { return r.Counts[Failed]+r.Counts[Error] > 0 }

// Result is how one test came out.
type Result struct {
	Test       string        `json:"test"`
	Kind       string        `json:"kind"`
	ID         string        `json:"id"`
	Place      string        `json:"place,omitempty"`
	Severity   string        `json:"severity"`
	Status     Status        `json:"status"`
	Why        string        `json:"why,omitempty"` // of a skip, or an error of the test as a whole
	Attempts   int           `json:"attempts"`
	Took       time.Duration `json:"took"` // nanoseconds, with all attempts
	Properties []Property    `json:"properties"`
	Rollback   *bool         `json:"rollback,omitempty"`
	Repair     []string      `json:"repair,omitempty"`
}

// Property is how one property came out.
type Property struct {
	Name     string `json:"name"`
	Status   Status `json:"status"`
	Expected string `json:"expected"`        // of what failed only that which does not hold
	Found    string `json:"found,omitempty"` // empty when nothing could be looked at
	Why      string `json:"why,omitempty"`   // of an error, of a skip
	// Findings are what was found, one by one, of kinds that look for what is wrong.
	Findings Findings `json:"findings,omitempty"`
	// Note says what such a kind looked at, and what not and why.
	Note string `json:"note,omitempty"`
}

// Run runs tests on this host. It ends early with the context: tests that are not
// done then are errors. Every run looks anew, whatever h remembers; first attempts share
// what they read (the packages, the sockets), later ones read again.
func Run(ctx context.Context, h *infra.Host, tests []Test, o Options) Report {
	if o.Parallel <= 0 {
		o.Parallel = 4 * runtime.NumCPU()
	}
	if o.Within <= 0 {
		o.Within = time.Minute
	}
	if o.Result == nil {
		o.Result = func(Result) {}
	}
	report := Report{Host: h.Facts.Name, Start: time.Now(), Tests: len(tests), Counts: map[Status]int{Passed: 0, Failed: 0, Error: 0, Skipped: 0}, Results: make([]Result, len(tests))}
	h = anew(h)
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		work = make(chan int)
	)
	for range min(o.Parallel, len(tests)) {
		wg.Go(func() {
			for i := range work {
				r := run(ctx, h, tests[i], o.Within)
				mu.Lock()
				report.Results[i] = r
				for _, p := range r.Properties {
					report.Counts[p.Status]++
				}
				o.Result(r)
				mu.Unlock()
			}
		})
	}
	for i := range tests {
		work <- i
	}
	close(work)
	wg.Wait()
	report.Took = time.Since(report.Start)
	return report
}

// anew is a view of the host that remembers nothing.
func anew(h *infra.Host) *infra.Host { return &infra.Host{Facts: h.Facts} }

// run repeats a test until it passes or its time is over.
func run(ctx context.Context, h *infra.Host, t Test, within time.Duration) Result {
	start := time.Now()
	r := Result{Test: t.Name, Kind: t.Kind, ID: t.Subject.ID(), Place: t.Place, Severity: t.Severity, Rollback: t.Rollback, Repair: t.Repair}
	if t.Skip != "" {
		r.Status, r.Why = Skipped, t.Skip
		r.Properties = all(t.Subject, Skipped, t.Skip)
		return r
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		r.Attempts++
		r.Status, r.Why, r.Properties = attempt(ctx, h, t.Subject, within)
		r.Took = time.Since(start)
		left := t.Retry - r.Took
		if r.Status == Passed || left <= 0 || ctx.Err() != nil {
			return r
		}
		select {
		case <-time.After(min(pause, left)):
		case <-ctx.Done():
		}
		h = anew(h)
	}
}

// grace is what a Look gets, after its time is over, to end whatever it started.
const grace = 10 * time.Second

// attempt looks once, and judges.
func attempt(ctx context.Context, h *infra.Host, s Subject, within time.Duration) (Status, string, []Property) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type seen struct {
		Found
		error
	}
	// A file on a disk that hangs takes no context: the attempt goes on without it.
	looked := make(chan seen, 1)
	go func() {
		if ctx.Err() != nil {
			looked <- seen{nil, errors.New("the run was ended before it")}
			return
		}
		f, err := s.Look(ctx, h)
		looked <- seen{f, err}
	}()
	var found seen
	select {
	case found = <-looked:
	case <-ctx.Done():
		select {
		case found = <-looked:
		case <-time.After(grace):
			found.error = fmt.Errorf("not done within %s", within)
		}
	}
	if found.error != nil {
		why := cutText(found.Error())
		return Error, why, all(s, Error, why)
	}
	status, list := Passed, []Property(nil)
	for i, p := range properties(s) {
		one := judge(p, found.Found)
		if i > 0 && one.Status == Failed && list[0].Status == Failed && missing(found.Found, p.name) {
			// That it does not exist is one failure, not one of each property.
			one.Status, one.Why = Skipped, list[0].Name+" is "+list[0].Found
		}
		if one.Status == Failed || one.Status == Error && status == Passed {
			status = one.Status
		}
		list = append(list, one)
	}
	return status, "", list
}

// all gives every property the same status.
func all(s Subject, status Status, why string) []Property {
	var list []Property
	for _, p := range properties(s) {
		list = append(list, Property{Name: p.name, Status: status, Expected: p.want.String(), Why: why})
	}
	return list
}

func missing(f Found, name string) bool {
	_, nothing := f[name].(Nothing)
	return nothing || f[name] == nil
}

// judge compares what is expected of a property with what was found.
func judge(p property, found Found) Property {
	out := Property{Name: p.name, Status: Passed, Expected: p.want.String()}
	value := found[p.name]
	if value == nil {
		value = Nothing("")
	}
	bare, note := value, ""
	if n, ok := value.(Noted); ok {
		bare, note = n.Value, n.Note
	}
	switch f := bare.(type) {
	case error:
		out.Status, out.Why = Error, cutText(f.Error())
		return out
	case Nothing:
		out.Status, out.Found = Failed, show(value)
		return out
	case Findings:
		out.Findings, out.Note, bare = f, note, f.texts()
	}
	var broken Value
	for _, c := range p.want {
		ok, err := c.holds(bare)
		if err != nil {
			out.Status, out.Found, out.Why = Error, show(value), cutText("can't be compared: "+err.Error())
			return out
		}
		if !ok {
			broken = append(broken, c)
		}
	}
	out.Found = show(value)
	if len(broken) > 0 {
		out.Status, out.Expected = Failed, broken.String()
		if text, ok := bare.(Content); ok {
			out.Found = where(text, broken[0])
		}
	}
	return out
}

// where shows of contents the line that should not be there, else all of them.
func where(text Content, broken condition) string {
	if n, ok := broken.(not); ok {
		number := 0
		for line := range strings.Lines(text.Text) {
			number++
			line = strings.TrimRight(line, "\r\n")
			if found, _ := n.Value.holds(Content{Text: line}); found {
				if text.Quiet {
					return fmt.Sprintf("line %d", number)
				}
				return fmt.Sprintf("line %d, %s", number, quoted(line))
			}
		}
	}
	return show(text)
}
