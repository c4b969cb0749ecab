package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/pipeline"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/role"
	"steer/infra/verify"
	"steer/infra/verify/report"
)

// Bounds of the log of a stage.
const (
	longestStage = 8 << 20
	longestHost  = 256 << 10
)

// stage does what a stage of a role's pipeline is for.
func (k *keeper) stage(ctx context.Context, j pipeline.Job) (pipeline.Result, error) {
	d, err := k.at(ctx, j.Commit)
	if err != nil {
		return pipeline.Result{}, err
	}
	r, err := d.library.Role(string(j.Service))
	if err != nil {
		return pipeline.Result{}, err
	}
	if err := os.MkdirAll(filepath.Dir(j.Log), 0o700); err != nil {
		return pipeline.Result{}, fmt.Errorf("write the log of stage %s: %w", j.Stage, err)
	}
	f, err := os.OpenFile(j.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return pipeline.Result{}, fmt.Errorf("write the log of stage %s: %w", j.Stage, err)
	}
	defer f.Close()
	log := &short{to: f, left: longestStage}
	within, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	var out pipeline.Result
	if i := slices.IndexFunc(r.Pipeline, func(s role.Stage) bool { return s.Name == j.Stage }); i >= 0 {
		out, err = k.throwAway(within, d, r, r.Pipeline[i], j, log)
	} else {
		out, err = k.lint(within, d, r, j.Commit, log)
	}
	switch {
	case ctx.Err() != nil:
		return out, context.Cause(ctx)
	case within.Err() != nil:
		err = fault.New(fault.Conflict, "it was not over within %s", j.Timeout)
	}
	if err != nil && fault.Of(err) != fault.Internal {
		out, err = pipeline.Result{ExitCode: 1, Reason: err.Error(), Tests: out.Tests}, nil
	}
	if err == nil && out.ExitCode != 0 {
		fmt.Fprintln(log, out.Reason)
	}
	return out, err
}

// short writes up to a number of bytes, and then says that there was more.
type short struct {
	to   io.Writer
	left int
}

func (s *short) Write(b []byte) (int, error) {
	switch {
	case s.left <= 0:
		return len(b), nil
	case len(b) > s.left:
		s.left = 0
		_, err := fmt.Fprintln(s.to, "… (the rest is left out)")
		return len(b), err
	}
	s.left -= len(b)
	return s.to.Write(b)
}

// lint checks the definitions as a whole, and compares the role with the hosts that
// have it.
func (k *keeper) lint(ctx context.Context, d *declared, r *role.Role, commit string, log io.Writer) (pipeline.Result, error) {
	fmt.Fprintln(log, "lint")
	if err := CheckDefinitions(d.files); err != nil {
		return pipeline.Result{}, fault.New(fault.Invalid, "the definitions are wrong: %s", Problem(err))
	}
	hosts := map[id.Environment][]host.Host{}
	var all []host.Host
	for _, h := range d.alive() {
		if d.has(h, r.Name) {
			hosts[h.Environment] = append(hosts[h.Environment], h)
			all = append(all, h)
		}
	}
	for _, s := range r.Pipeline {
		if s.Deploy != "" && len(hosts[s.Deploy]) == 0 {
			return pipeline.Result{}, fault.New(fault.Invalid, "stage %s: no host of environment %s has the role %s (hosts.yaml)", s.Name, s.Deploy, r.Name)
		}
	}
	fmt.Fprintln(log, "  the definitions are fine")
	slices.SortStableFunc(all, func(a, b host.Host) int { return strings.Compare(string(a.Environment), string(b.Environment)) })
	plans := make(map[string]*plan, len(all))
	var mu sync.Mutex
	if _, err := host.Each(ctx, all, host.Waves{MaxFail: -1}, func(ctx context.Context, h host.Host) bool {
		p := &plan{}
		if of, err := k.planned(ctx, d, h, r.Name, commit); err != nil {
			p.sum, p.failed = "cannot be put together", err.Error()
		} else {
			if with, ok := of.host(h.Name); ok {
				h = with
			}
			p = k.plan(ctx, of, h)
		}
		mu.Lock()
		defer mu.Unlock()
		plans[h.Name] = p
		return p.failed == ""
	}); err != nil {
		return pipeline.Result{}, err
	}
	var wrong []string
	for i, h := range all {
		if i == 0 || all[i-1].Environment != h.Environment {
			fmt.Fprintf(log, "plan of %s\n", h.Environment)
		}
		p := plans[h.Name]
		fmt.Fprintf(log, "  %s: %s\n%s", h.Name, p.sum, p.text.String())
		if p.failed != "" {
			wrong = append(wrong, h.Name+": "+p.failed)
		}
	}
	if len(wrong) > 0 {
		return pipeline.Result{}, fault.New(fault.Conflict, "it cannot be planned for %s", strings.Join(wrong, "; "))
	}
	return pipeline.Result{}, nil
}

// plan is what definitions would change on a host.
type plan struct {
	sum    string
	text   bytes.Buffer
	failed string // why there is none
}

// plan compares a host with definitions.
func (k *keeper) plan(ctx context.Context, d *declared, h host.Host) *plan {
	p := &plan{}
	out := &short{to: &p.text, left: longestHost}
	f := &selection{library: d.library, self: k.self, uses: inventoryUses, secret: k.secretOf(d.files, h.Environment)}
	v, m, err := f.visit(ctx, h)
	if err == nil {
		defer v.Close()
		var r converge.Report
		if r, err = v.converge(m, toConverge{DryRun: true, By: "pipeline"}, func(e converge.Event) {
			switch e.Status {
			case converge.OK:
				return
			case converge.Failed:
				p.failed = fmt.Sprintf("%s: %s (%s)", e.Ref, cutText(e.Why), e.Place)
			}
			fmt.Fprintf(out, "    %s %s %s  %s\n", e.Ref, e.Status, e.Diff.Action, e.Place)
			for _, f := range e.Diff.Fields {
				text := cutText(f.Text)
				if text == "" {
					text = fmt.Sprintf("%s -> %s", cutText(f.Old), cutText(f.New))
				}
				fmt.Fprintf(out, "      %s: %s\n", f.Name, strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n        "))
			}
		}); err == nil {
			n := r.Counts[converge.Planned]
			p.sum = fmt.Sprintf("%d to change, %d as declared", n, r.Counts[converge.OK])
			return p
		}
	}
	p.sum = "does not answer, and is left out: " + err.Error()
	if fault.Of(err) != fault.Unavailable {
		p.sum, p.failed = "cannot be compared", err.Error()
	}
	return p
}

// throwAway tries the role on a host made for it.
func (k *keeper) throwAway(ctx context.Context, d *declared, r *role.Role, s role.Stage, j pipeline.Job, log io.Writer) (out pipeline.Result, err error) {
	way := fmt.Sprintf("stage %s needs a container as throw-away host: install Docker on the server, or leave the stage out of pipeline: in %s", s.Name, r.File)
	if _, err := exec.LookPath("docker"); err != nil {
		return out, fault.New(fault.Unavailable, "there is no program docker here; %s", way)
	}
	with := map[string]any{}
	for name, raw := range s.With {
		if with[name], err = raw.Value(); err != nil {
			return out, err
		}
	}
	f := &selection{library: d.library, self: k.self, uses: func(host.Host) ([]role.Use, error) { return []role.Use{{Role: r.Name, With: with}}, nil },
		secret: func(name string) (string, error) {
			return "", fault.New(fault.Invalid, "secret:%s: a throw-away host belongs to no environment, which has secrets (give the parameter another value in with: of the stage)", name)
		}}
	// The same name for each attempt, so that none is left of one that was cut off.
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", []string{k.instance, r.Name, string(j.Version), s.Name})))
	h := throwAway("steer-test-"+hex.EncodeToString(sum[:5]), s.Image, s.Systemd)
	fmt.Fprintf(log, "throw-away host %s from %s: apply, test, apply again\n", h.Name, s.Image)
	if err := host.Destroy(ctx, h); err != nil {
		return out, fmt.Errorf("%w (%s)", err, way)
	}
	got, err := f.tryRole(ctx, h, r.Name, false)
	if fault.Of(err) == fault.Unavailable {
		return out, fmt.Errorf("%w (%s)", err, way)
	}
	if err != nil {
		return out, err
	}
	out.Tests = &pipeline.Tests{Unit: "tests"}
	for _, t := range got.Results {
		switch t.Status {
		case verify.Passed:
			out.Tests.Passed++
		case verify.Skipped:
			out.Tests.Skipped++
		default:
			out.Tests.Failed++
			if out.Tests.FirstFailure == "" {
				out.Tests.FirstFailure = t.Test
			}
		}
	}
	if w, err := reportFormat("text"); err == nil {
		if err := w.Write(log, []verify.Report{got}, report.Style{}); err != nil {
			return out, err
		}
	}
	if got.Failed() {
		return out, fault.New(fault.Conflict, "on a throw-away host: %s", failures(got))
	}
	return out, nil
}

// failures names what tests found.
func failures(r verify.Report) string {
	var all []string
	for _, t := range r.Results {
		for _, p := range t.Properties {
			if p.Status == verify.Failed || p.Status == verify.Error {
				all = append(all, fmt.Sprintf("%s: %s: expected %s, found %s", t.Test, p.Name, cutText(p.Expected), strings.TrimSpace(cutText(p.Found)+" "+p.Why)))
			}
		}
		if t.Status == verify.Error {
			all = append(all, t.Test+": "+t.Why)
		}
	}
	if len(all) == 0 {
		return "a test failed"
	}
	return strings.Join(all[:min(len(all), 3)], "; ")
}
