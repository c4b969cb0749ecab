package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"steer/infra/verify"
)

// The elements of JUnit's XML that build servers agree on. Times are seconds.
type (
	suites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}
	suite struct {
		Name     string  `xml:"name,attr"`
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Errors   int     `xml:"errors,attr"`
		Skipped  int     `xml:"skipped,attr"`
		Time     string  `xml:"time,attr"`
		Stamp    string  `xml:"timestamp,attr"`
		Host     string  `xml:"hostname,attr"`
		Cases    []tcase `xml:"testcase"`
	}
	tcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		File    string   `xml:"file,attr,omitempty"`
		Time    string   `xml:"time,attr"`
		Failure *problem `xml:"failure"`
		Error   *problem `xml:"error"`
		Skipped *problem `xml:"skipped"`
	}
	problem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit writes one document, with a suite for each host.
func junit(w io.Writer, all []verify.Report, _ Style) error {
	var document suites
	for _, r := range all {
		document.Suites = append(document.Suites, suiteOf(r))
	}
	b, err := xml.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}

func suiteOf(r verify.Report) suite {
	s := suite{
		Name: "host " + r.Host, Failures: r.Counts[verify.Failed], Errors: r.Counts[verify.Error], Skipped: r.Counts[verify.Skipped],
		Time: seconds(r.Took), Stamp: r.Start.UTC().Format("2006-01-02T15:04:05"), Host: r.Host,
	}
	each([]verify.Report{r}, func(_ verify.Report, t verify.Result, p verify.Property) {
		// A test takes its time as a whole: its properties have equal parts of it.
		c := tcase{Class: t.Kind, Name: t.Test + ": " + p.Name, File: t.Place, Time: seconds(t.Took / time.Duration(len(t.Properties)))}
		switch p.Status {
		case verify.Failed:
			c.Failure = &problem{reason(p), fmt.Sprintf("expected: %s\nfound:    %s\n", p.Expected, p.Found)}
		case verify.Error:
			c.Error = &problem{Message: reason(p)}
		case verify.Skipped:
			c.Skipped = &problem{Message: reason(p)}
		}
		s.Cases = append(s.Cases, c)
	})
	s.Tests = len(s.Cases)
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
