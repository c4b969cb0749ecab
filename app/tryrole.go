package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"steer/base/fault"
	"steer/cli"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/verify"
	"steer/infra/verify/report"
)

// testRole applies a role in a container made for it, tests it, applies it again and
// destroys the container.
func testRole(ctx context.Context, t cli.RoleTest, out io.Writer) (ok bool, err error) {
	w, err := reportFormat(t.Format)
	if err != nil {
		return false, err
	}
	t.Roles = []string{t.Role}
	name := "steer-test-" + strings.ToLower(rand.Text()[:10])
	t.Address = "docker://" + name
	f, err := openFleet(t.HostArgs)
	if err != nil {
		return false, err
	}
	f.retry = t.Retry
	r, err := f.tryRole(ctx, throwAway(name, t.Image, t.Systemd), t.Role, t.Keep)
	if err != nil {
		return false, err
	}
	if err := w.Write(out, []verify.Report{r}, report.Style{}); err != nil {
		return false, err
	}
	return !r.Failed(), nil
}

// throwAway is a host to try a role on.
func throwAway(name, image string, systemd bool) host.Host {
	h := host.Host{Name: name, Address: "docker://" + name}
	h.Make = &host.Make{Docker: &host.Docker{Image: image, Run: []string{"sleep", "infinity"}, Rights: []string{"NET_ADMIN", "SYS_ADMIN"}}}
	if systemd {
		h.Make.Docker.Run = []string{"/sbin/init"}
	}
	return h
}

// tryRole makes a host, applies a role, tests it, applies it again, and destroys the
// host unless it is to be kept. The error, of kind Conflict, says what the role did not
// manage; other errors are about the host.
func (f *selection) tryRole(ctx context.Context, h host.Host, name string, keep bool) (r verify.Report, err error) {
	f.hosts = []host.Host{h}
	if _, err := host.Create(ctx, h); err != nil {
		host.Destroy(context.WithoutCancel(ctx), h) //nolint:errcheck // the first error tells more
		return r, err
	}
	if !keep {
		defer func() { err = errors.Join(err, host.Destroy(context.WithoutCancel(ctx), h)) }()
	}
	var wrong []string
	say := func(e cli.HostEvent) {
		if e.Status == string(converge.Failed) || e.Status == string(converge.Skipped) {
			wrong = append(wrong, fmt.Sprintf("%s %s: %s (%s)", e.Ref, e.Status, e.Why, e.Place))
		}
	}
	first := f.one(ctx, h, cli.ConvergeArgs{Apply: true, By: "steer test role"}, say)
	if first.Failed {
		if first.Error != "" {
			wrong = append(wrong, first.Error)
		}
		return r, fault.New(fault.Conflict, "the role cannot be applied to a new host: %s", strings.Join(wrong, "\n  "))
	}
	if r, err = f.verify(ctx, h); err != nil {
		return r, err
	}
	second := f.one(ctx, h, cli.ConvergeArgs{Apply: true, By: "steer test role"}, func(e cli.HostEvent) {
		if e.Status != string(converge.OK) {
			wrong = append(wrong, strings.TrimSpace(fmt.Sprintf("%s %s %s (%s)", e.Ref, e.Status, e.Why, e.Place)))
		}
	})
	again := verify.Result{Test: "a second apply changes nothing", Kind: "role", ID: name, Severity: "ticket", Status: verify.Passed, Attempts: 1, Took: second.Took}
	p := verify.Property{Name: "changes", Status: verify.Passed, Expected: "0", Found: "0"}
	if len(wrong) > 0 || second.Failed {
		again.Status, p.Status, p.Found = verify.Failed, verify.Failed, strings.TrimSpace(strings.Join(wrong, "; ")+" "+second.Error)
	}
	again.Properties = []verify.Property{p}
	r.Results, r.Tests = append(r.Results, again), r.Tests+1
	if r.Counts == nil {
		r.Counts = map[verify.Status]int{}
	}
	r.Counts[p.Status]++
	return r, nil
}
