package query

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// printf puts a number into a text with one verb of printf, as Python reads it:
// %d cuts the fraction off, %s prints like a value in an answer, %% is a percent
// sign.
func printf(format string, v float64) (string, error) {
	var why string
	verbs := 0
	text := regexp.MustCompile(`(?s)%([-+ #0]*)(\d{0,3})(\.\d{0,3})?[hlL]?(.)?`).ReplaceAllStringFunc(format, func(m string) string {
		if m == "%%" {
			return "%"
		}
		verbs++
		end := strings.TrimLeft(m[1:], "-+ #0123456789.hlL")
		how := strings.TrimRight(m[:len(m)-len(end)], "hlL")
		align := "%" // of a text: to the right or left, and how wide
		if strings.Contains(how, "-") {
			align += "-"
		}
		width := strings.TrimLeft(how[1:], "-+ #0")
		whole, _, _ := strings.Cut(width, ".")
		switch {
		case end == "":
			why = "ends within a verb"
		case strings.Contains("eEfFgG", end) && v-v != 0:
			return fmt.Sprintf(align+whole+"s", float(v))
		case strings.Contains("eEfF", end):
			return fmt.Sprintf(how+end, v)
		case strings.Contains("gG", end):
			if !strings.Contains(how, ".") {
				how += ".6"
			}
			return fmt.Sprintf(how+end, v)
		case strings.Contains("sra", end):
			return fmt.Sprintf(align+width+"s", float(v))
		case !strings.Contains("diu", end):
			why = "has the verb " + m + ", which is not for numbers"
		case v-v != 0:
			why = "asks for a whole number, and the value is " + float(v)
		case math.Abs(v) < 1<<63:
			return fmt.Sprintf(how+"d", int64(v))
		default:
			how, _, _ = strings.Cut(how, ".")
			return fmt.Sprintf(how+".0f", v)
		}
		return ""
	})
	if why == "" && verbs != 1 {
		why = fmt.Sprintf("has %d verbs", verbs)
	}
	if why != "" {
		return "", refused("the name %q %s; write one verb such as %%d, %%.2f or %%s, and %%%% for a percent sign", brief(format), why)
	}
	return text, nil
}
