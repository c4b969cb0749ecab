package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"steer/infra/verify"
)

// prometheus writes the text exposition format 0.0.4, in which each metric stands once:
// hosts are labels. Tests with one name are one series, which is well when all of them are.
func prometheus(out io.Writer, all []verify.Report, _ Style) error {
	w := bufio.NewWriter(out)
	ok, tests, counts, run, last := series{}, series{}, series{}, series{}, series{}
	each(all, func(r verify.Report, t verify.Result, p verify.Property) {
		if p.Status == verify.Skipped {
			return
		}
		value := 0.0
		if p.Status == verify.Passed {
			value = 1
		}
		ok.least(labels("host", r.Host, "test", t.Test, "kind", t.Kind, "property", p.Name, "severity", t.Severity), value)
	})
	for _, r := range all {
		for _, t := range r.Results {
			if t.Status != verify.Skipped {
				tests.most(labels("host", r.Host, "test", t.Test, "kind", t.Kind), t.Took.Seconds())
			}
		}
		for _, status := range []verify.Status{verify.Passed, verify.Failed, verify.Error, verify.Skipped} {
			counts.most(labels("host", r.Host, "status", string(status)), float64(r.Counts[status]))
		}
		run.most(labels("host", r.Host), r.Took.Seconds())
		last.most(labels("host", r.Host), float64(r.Start.UnixMilli())/1000)
	}
	ok.write(w, "steer_host_test_ok", "Whether a property of the host is as its test expects (1), or is not or can't be judged (0). Skipped tests have none.")
	tests.write(w, "steer_host_test_duration_seconds", "How long a test took, with all its attempts.")
	counts.write(w, "steer_host_test_properties", "How many properties came out so.")
	run.write(w, "steer_host_tests_duration_seconds", "How long the run of all tests took.")
	last.write(w, "steer_host_tests_last_run_timestamp_seconds", "When the run began.")
	return w.Flush()
}

// series are the values of one metric, in order of the first of each labels.
type series struct {
	order  []string
	values map[string]float64
}

func (s *series) set(labels string, value float64, better func(old, new float64) float64) {
	if s.values == nil {
		s.values = map[string]float64{}
	}
	if old, ok := s.values[labels]; ok {
		value = better(old, value)
	} else {
		s.order = append(s.order, labels)
	}
	s.values[labels] = value
}

func (s *series) least(labels string, value float64) {
	s.set(labels, value, func(a, b float64) float64 { return min(a, b) })
}

func (s *series) most(labels string, value float64) {
	s.set(labels, value, func(a, b float64) float64 { return max(a, b) })
}

func (s *series) write(w io.Writer, name, help string) {
	if len(s.order) == 0 {
		return
	}
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	for _, l := range s.order {
		fmt.Fprintf(w, "%s%s %v\n", name, l, s.values[l])
	}
}

// labels writes names and values in turn.
func labels(pairs ...string) string {
	var all []string
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+`="`+escape.Replace(strings.ToValidUTF8(pairs[i+1], "?"))+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}
