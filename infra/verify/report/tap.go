package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"steer/infra/verify"
)

// tap writes version 13 of testanything.org's protocol. Diagnoses are YAML, in which
// texts in double quotes are as in JSON. Several hosts are one run with one plan, since
// a second plan is an error.
func tap(out io.Writer, all []verify.Report, _ Style) error {
	w := bufio.NewWriter(out)
	count := 0
	each(all, func(verify.Report, verify.Result, verify.Property) { count++ })
	fmt.Fprintf(w, "TAP version 13\n1..%d\n", count)
	count = 0
	each(all, func(r verify.Report, t verify.Result, p verify.Property) {
		count++
		title := escaped(of(all, r) + t.Test + ": " + p.Name)
		switch p.Status {
		case verify.Passed:
			fmt.Fprintf(w, "ok %d - %s\n", count, title)
		case verify.Skipped:
			fmt.Fprintf(w, "ok %d - %s # SKIP %s\n", count, title, escaped(p.Why))
		default:
			fmt.Fprintf(w, "not ok %d - %s\n  ---\n", count, title)
			for _, line := range [][2]string{{"severity", t.Severity}, {"status", string(p.Status)}, {"expected", p.Expected}, {"found", p.Found}, {"why", p.Why}, {"at", t.Place}} {
				if line[1] != "" {
					fmt.Fprintf(w, "  %s: %s\n", line[0], strconv.QuoteToASCII(line[1]))
				}
			}
			w.WriteString("  ...\n")
		}
	})
	return w.Flush()
}

// escaped keeps a # from starting a directive, and a text on its line.
func escaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`, "\n", " ", "\r", " ").Replace(s)
}
