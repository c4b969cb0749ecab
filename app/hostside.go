package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy/hosts"
	"steer/infra"
	"steer/infra/agent"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/patch"
	"steer/infra/verify"
)

// Requests to the program on a host, see HostSide.
const (
	askFacts    = "facts"    // → infra.Facts
	askConverge = "converge" // toConverge → converge.Report, events are converge.Event
	askVerify   = "verify"   // toVerify → verify.Report
	askAddTest  = "addtest"  // toAddTest → YAML
	askPatches  = "patches"  // → patch.State
	askCapture  = "capture"  // toConverge with one resource → captured

	askGenerations = "generations" // toConverge, of which Dir counts → []converge.Generation
	askRollback    = "rollback"    // toRollback → converge.Report, events are converge.Event
	askConfirm     = "confirm"     // toRollback, of which Dir and To count → nothing

	askNodes = "nodes" // hosts.Settings → a stream to the keeper of nodes
)

type toConverge struct {
	Resources json.RawMessage `json:"resources"` // see infra.Encode
	DryRun    bool            `json:"dry_run,omitempty"`
	Tags      []string        `json:"tags,omitempty"`
	Refs      []string        `json:"refs,omitempty"`
	Tell      []string        `json:"tell,omitempty"`
	Part      bool            `json:"part,omitempty"`
	// Unattended keeps to what resources say about drift.
	Unattended bool          `json:"unattended,omitempty"`
	By         string        `json:"by,omitempty"`
	Name       string        `json:"name,omitempty"`    // of the run
	Version    string        `json:"version,omitempty"` // of the definitions
	Dir        string        `json:"dir,omitempty"`
	Guard      time.Duration `json:"guard,omitempty"` // nanoseconds; 0: none
}

// toRollback goes back to a generation, see converge.Rollback.
type toRollback struct {
	toConverge
	To int `json:"to"`
}

func (c toConverge) options(ctx context.Context, h *infra.Host, event func(converge.Event)) converge.Options {
	o := converge.Options{Host: h, Kinds: hostKinds(), Dir: c.Dir, DryRun: c.DryRun, Tags: c.Tags, Refs: c.Refs, Tell: c.Tell, Part: c.Part, Unattended: c.Unattended, By: c.By, Name: c.Name, Version: c.Version, Event: event}
	if c.Guard > 0 {
		o.Guard = &converge.Guard{Within: c.Guard, Start: func(dir string, generation int, within time.Duration) error {
			return startGuard(ctx, o.Host, dir, generation, within)
		}}
	}
	return o
}

func runTests(ctx context.Context, v toVerify) (verify.Report, error) {
	h := infra.NewHost(ctx)
	tests, err := verify.Load("tests of "+h.Facts.Name, []byte(v.Tests))
	if err != nil {
		return verify.Report{}, err
	}
	for i, t := range tests {
		tests[i].Retry = max(t.Retry, v.Retry)
		if h.Facts.Offline && !slices.Contains([]string{"file", "package", "command", "user", "group", "matching"}, t.Kind) {
			tests[i].Skip = cmp.Or(t.Skip, "nothing runs here")
		}
	}
	return verify.Run(ctx, h, tests, verify.Options{}), nil
}

type toVerify struct {
	Tests string        `json:"tests"`           // YAML
	Retry time.Duration `json:"retry,omitempty"` // nanoseconds that each test may be repeated at least
}

// toAddTest asks for a test of something that is there.
type toAddTest struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// HostSide answers what another Steer asks of this host, until in ends. A run that
// was begun is finished also when nobody listens any more: a host that is cut off must
// not be left in the middle.
func HostSide(ctx context.Context, in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	return host.Serve(ctx, in, out, hostAnswer)
}

func hostAnswer(ctx context.Context, op string, body json.RawMessage, event func(any)) (any, error) {
	switch op {
	case askFacts:
		return infra.NewHost(ctx).Facts, nil
	case askConverge:
		var c toConverge
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		all, err := infra.Decode(hostKinds(), c.Resources)
		if err != nil {
			return nil, err
		}
		o := c.options(ctx, infra.NewHost(ctx), func(e converge.Event) { event(e) })
		if _, err := agent.ReadIdentity(cmp.Or(c.Dir, converge.DefaultDir)); err == nil {
			o.Keep = c.Resources // its agent watches them, and converges by them when the server is gone
		}
		r, err := converge.Run(ctx, infra.Manifest{Resources: all}, o)
		if s, wrong := agent.ReadStatus(cmp.Or(c.Dir, converge.DefaultDir)); wrong == nil && s.Watch != "" {
			r.Notes = append(r.Notes, "its agent: "+s.Watch)
		}
		return r, err
	case askGenerations, askRollback, askConfirm:
		c := toRollback{}
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		switch op {
		case askGenerations:
			return converge.Generations(c.Dir)
		case askConfirm:
			return nil, converge.Confirm(c.Dir, c.To)
		}
		return converge.Rollback(ctx, c.To, c.options(ctx, infra.NewHost(ctx), func(e converge.Event) { event(e) }))
	case askVerify:
		var v toVerify
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		return runTests(ctx, v)
	case askCapture:
		var c toConverge
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		all, err := infra.Decode(hostKinds(), c.Resources)
		if err != nil {
			return nil, err
		}
		if len(all) != 1 {
			return nil, fault.New(fault.Invalid, "read the request: it names %d resources, not one", len(all))
		}
		return captureHere(ctx, infra.NewHost(ctx), all[0])
	case askAddTest:
		var a toAddTest
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		return verify.Add(ctx, infra.NewHost(ctx), a.Kind, a.Name)
	case askNodes:
		var s hosts.Settings
		if err := json.Unmarshal(body, &s); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		return attachNodes(ctx, s)
	case askPatches:
		return patch.Look(ctx, infra.NewHost(ctx))
	}
	return nil, fault.New(fault.Invalid, "this version of Steer does not know what %q means", op)
}

// testsYAML writes tests for the way to a host.
func testsYAML(m infra.Manifest) (string, error) {
	text := "tests:\n"
	for _, t := range m.Tests {
		b, err := t.YAML()
		if err != nil {
			return "", fmt.Errorf("write the tests: %w", err)
		}
		text += indentItem(string(b))
	}
	if len(m.Tests) == 0 {
		text = "tests: []\n"
	}
	return text, nil
}
