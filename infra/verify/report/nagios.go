package report

import (
	"fmt"
	"io"
	"strings"

	"steer/infra/verify"
)

// nagios writes the line of a plugin: the state, what is wrong with the first few, and
// after a | performance data (see the Monitoring Plugins' guidelines).
func nagios(w io.Writer, r verify.Report, _ Style) error {
	state := map[int]string{0: "OK", 2: "CRITICAL", 3: "UNKNOWN"}[Code("nagios", r)]
	var wrong []string
	for _, status := range []verify.Status{verify.Failed, verify.Error} {
		each(r, func(t verify.Result, p verify.Property) {
			if p.Status == status {
				wrong = append(wrong, fmt.Sprintf("%s: %s: %s", t.Test, p.Name, reason(p)))
			}
		})
	}
	if more := len(wrong) - 3; more > 0 {
		wrong = append(wrong[:3], fmt.Sprintf("and %d more", more))
	}
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
