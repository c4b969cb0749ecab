package report

import (
	"fmt"
	"io"
	"strings"

	"steer/infra/verify"
)

// nagios writes the line of a plugin: the state, what is wrong with the first few, and
// after a | performance data (see the Monitoring Plugins' guidelines). It is one line for
// all hosts, with their sums.
func nagios(w io.Writer, all []verify.Report, _ Style) error {
	state := map[int]string{0: "OK", 2: "CRITICAL", 3: "UNKNOWN"}[Code("nagios", all...)]
	var wrong []string
	for _, status := range []verify.Status{verify.Failed, verify.Error} {
		each(all, func(r verify.Report, t verify.Result, p verify.Property) {
			if p.Status == status {
				wrong = append(wrong, fmt.Sprintf("%s%s: %s: %s", of(all, r), t.Test, p.Name, reason(p)))
			}
		})
	}
	if more := len(wrong) - 3; more > 0 {
		wrong = append(wrong[:3], fmt.Sprintf("and %d more", more))
	}
	r := sum(all)
	text := summary(r)
	if r.Tests == 0 {
		text = "there are no tests"
	}
	// A | would begin the performance data, a line break the long text.
	line := strings.NewReplacer("|", "/", "\n", " ", "\r", " ").Replace(strings.Join(append([]string{text}, wrong...), "; "))
	_, err := fmt.Fprintf(w, "HOST TESTS %s - %s | passed=%d failed=%d errors=%d skipped=%d time=%ss\n", state, line,
		r.Counts[verify.Passed], r.Counts[verify.Failed], r.Counts[verify.Error], r.Counts[verify.Skipped], seconds(r.Took))
	return err
}

// sum is one report of several hosts, without results. Hosts are tested one after
// another.
func sum(all []verify.Report) verify.Report {
	total := verify.Report{Counts: map[verify.Status]int{}}
	for _, r := range all {
		total.Tests, total.Took = total.Tests+r.Tests, total.Took+r.Took
		for status, n := range r.Counts {
			total.Counts[status] += n
		}
	}
	return total
}
