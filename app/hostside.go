package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/verify"
)

// Requests to the program on a host, see HostSide.
const (
	askFacts    = "facts"    // → infra.Facts
	askConverge = "converge" // toConverge → converge.Report, events are converge.Event
	askVerify   = "verify"   // toVerify → verify.Report
)

type toConverge struct {
	Resources json.RawMessage `json:"resources"` // see infra.Encode
	DryRun    bool            `json:"dry_run,omitempty"`
	Tags      []string        `json:"tags,omitempty"`
	By        string          `json:"by,omitempty"`
	Dir       string          `json:"dir,omitempty"`
}

func (c toConverge) options(h *infra.Host, event func(converge.Event)) converge.Options {
	return converge.Options{Host: h, Kinds: resourceKinds(), Dir: c.Dir, DryRun: c.DryRun, Tags: c.Tags, By: c.By, Event: event}
}

func runTests(ctx context.Context, text string) (verify.Report, error) {
	h := infra.NewHost(ctx)
	tests, err := verify.Load("tests of "+h.Facts.Name, []byte(text))
	if err != nil {
		return verify.Report{}, err
	}
	return verify.Run(ctx, h, tests, verify.Options{}), nil
}

type toVerify struct {
	Tests string `json:"tests"` // YAML
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
		all, err := infra.Decode(resourceKinds(), c.Resources)
		if err != nil {
			return nil, err
		}
		return converge.Run(ctx, infra.Manifest{Resources: all}, c.options(infra.NewHost(ctx), func(e converge.Event) { event(e) }))
	case askVerify:
		var v toVerify
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, fault.New(fault.Invalid, "read the request: %w", err)
		}
		return runTests(ctx, v.Tests)
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
