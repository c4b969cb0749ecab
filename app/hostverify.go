package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/cli"
	"steer/infra/host"
	"steer/infra/verify"
	"steer/infra/verify/report"
)

func verifyHosts(ctx context.Context, a cli.HostArgs, o cli.TestArgs, out io.Writer) (int, error) {
	w, err := reportFormat(o.Format)
	if err != nil {
		return 0, err
	}
	f, err := openFleet(a)
	if err != nil {
		return 0, err
	}
	f.retry = o.Retry
	var all []verify.Report
	for _, h := range f.hosts {
		r, err := f.verify(ctx, h)
		if ctx.Err() != nil || fault.Of(err) == fault.Invalid { // no host can help it
			return 0, fmt.Errorf("%s: %w", h.Name, err)
		}
		if err != nil {
			r = notReached(h, err)
		}
		all = append(all, r)
	}
	return report.Code(o.Format, all...), w.Write(out, all, report.Style{})
}

// notReached is the report of a host that does not answer: the others have theirs
// beside it.
func notReached(h host.Host, err error) verify.Report {
	p := verify.Property{Name: "reached", Status: verify.Error, Expected: "true", Why: err.Error()}
	return verify.Report{Host: h.Name, Start: time.Now(), Tests: 1, Counts: map[verify.Status]int{verify.Error: 1}, Results: []verify.Result{
		{Test: "host " + h.Name, Kind: "host", ID: h.Name, Severity: "page", Status: verify.Error, Why: p.Why, Attempts: 1, Properties: []verify.Property{p}}}}
}

func (f *selection) verify(ctx context.Context, h host.Host) (verify.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var r verify.Report
	h, err := located(ctx, h)
	if err != nil {
		return r, err
	}
	v, m, err := f.visit(ctx, h)
	if err != nil {
		return r, err
	}
	defer v.Close()
	tests, err := testsYAML(m)
	if err != nil {
		return r, err
	}
	r, err = v.verify(tests, f.retry)
	r.Host = h.Name
	for i := range r.Results { // the host knows only the text of the tests
		r.Results[i].Place = m.Tests[i].Place()
	}
	return r, err
}

func reportFormat(name string) (report.Format, error) {
	var names []string
	for _, f := range report.Formats() {
		names = append(names, f.Name)
	}
	f, ok := report.Find(name)
	if !ok {
		return f, fault.Usage(fmt.Errorf("--format %s: unknown%s", name, config.Suggest(name, names)))
	}
	return f, nil
}
