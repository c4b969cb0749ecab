// Package verify tests a host, on the host itself: files, packages, services, ports
// and whatever else one can look at from there. Tests are YAML and stand beside the
// role that they test:
//
//	tests:
//	  - file: {path: /etc/nginx/nginx.conf, mode: "0644", contains: [worker_processes]}
//	  - service: nginx
//	    retry: 10s
//
// What a value may be is told at Value, what there is to test by Kinds.
package verify

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
)

// Test is one thing to look at, and what is expected of it.
type Test struct {
	Kind     string
	Name     string // as people call it, by default KIND ID
	Subject  Subject
	Skip     string        // why it is not run; empty: it is
	Retry    time.Duration // how long it may take to pass
	Severity string        // page, ticket, info
	Rollback *bool         // whether a failure takes a deploy of the role back; nil: when it is a page
	Repair   []string      // resources to tell when it fails on an unattended visit
	Place    string        // FILE:LINE
}

// common are the keys of every test, beside that of its kind.
type common struct {
	Name     string          `yaml:"name" doc:"What people call the test; default: its kind and what it looks at."`
	Skip     string          `yaml:"skip" doc:"Why the test is not run. It is reported as skipped, and fails nothing."`
	Retry    config.Duration `yaml:"retry" doc:"How long the test may be repeated until it passes, for what takes a while to start." default:"0s"`
	Severity string          `yaml:"severity" doc:"page, ticket or info: who is told when it fails as a check." default:"ticket"`
	Rollback *bool           `yaml:"rollback" doc:"Take a role with a pipeline back when the test fails on a visit shortly after its deploy. Default: yes for page."`
	Repair   []string        `yaml:"repair" doc:"Resources of the role, like service:nginx or command:clean-logs, that a server tells when the test fails on one of its visits: the service restarts, the command runs. The test is then made once more."`
}

// longest a test may be repeated.
const longest = time.Hour

func (c *common) Check() error {
	var all []error
	if len(c.Name) > 200 || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' }) {
		all = append(all, errors.New("name: has more than 200 characters, or more than a line"))
	}
	if c.Retry < 0 || c.Retry.Std() > longest {
		all = append(all, errors.New("retry: has to be between 0s and 1h"))
	}
	if severities := []string{"page", "ticket", "info"}; !slices.Contains(severities, c.Severity) {
		all = append(all, fmt.Errorf("severity: %q is none%s", c.Severity, config.Suggest(c.Severity, severities)))
	}
	for _, ref := range c.Repair {
		if kind, id, ok := strings.Cut(ref, ":"); !ok || kind == "" || id == "" {
			all = append(all, fmt.Errorf("repair: %q names no resource (write KIND:ID, like service:nginx)", ref))
		}
	}
	return errors.Join(all...)
}

// Common documents the keys of every test, as YAML.
func Common() []byte { return config.Default(common{}) }

// Load reads a file of tests, which stand in a list under the key tests. The error is
// that of config.Decode.
func Load(file string, data []byte) ([]Test, error) {
	var f struct {
		Tests []config.Raw `yaml:"tests" doc:"What is true of the host."`
	}
	if err := config.Decode(file, data, &f); err != nil {
		return nil, err
	}
	return Decode(f.Tests)
}

// Decode reads tests. The error has kind Invalid and tells of every mistake in any of
// them, with its place.
func Decode(items []config.Raw) ([]Test, error) {
	tests, errs := make([]Test, len(items)), make([]error, len(items))
	for i, item := range items {
		tests[i], errs[i] = decode(item)
	}
	if err := config.Join(errs...); err != nil {
		return nil, err
	}
	return tests, nil
}

func decode(item config.Raw) (Test, error) {
	kinds := Kinds()
	var kind Kind
	for _, key := range item.Keys() {
		k, ok := Find(key)
		switch {
		case ok && kind.Name != "":
			return Test{}, item.Problem(fmt.Sprintf("is a test of %s and one of %s: make two of them", kind.Name, k.Name))
		case ok:
			kind = k
		}
	}
	if kind.Name == "" {
		var names []string
		for _, k := range kinds {
			names = append(names, k.Name)
		}
		return Test{}, item.Problem("names nothing to test, like \"- service: nginx\" (known: " + strings.Join(names, ", ") + ")")
	}
	var c common
	subject, body := kind.New(), item.Field(kind.Name)
	err := errors.Join(item.Without(kind.Name).Decode(&c), readSubject(kind, body, subject))
	if err != nil {
		return Test{}, err
	}
	t := Test{Kind: kind.Name, Name: c.Name, Subject: subject, Skip: c.Skip, Retry: c.Retry.Std(), Severity: c.Severity, Rollback: c.Rollback, Repair: c.Repair, Place: item.Place()}
	if t.Name == "" {
		t.Name = kind.Name + " " + subject.ID()
	}
	return t, nil
}

// readSubject reads what stands behind the name of a kind: keys and values, or the
// value of the most important key alone.
func readSubject(kind Kind, body config.Raw, into Subject) error {
	text, ok := body.Text()
	if !ok {
		return body.Decode(into)
	}
	var all []error
	for _, p := range config.Problems(named(kind, text, into)) {
		if p.Key != kind.Key {
			p.Text = p.Key + ": " + p.Text
		}
		all = append(all, body.Problem(p.Text))
	}
	return errors.Join(all...)
}

// named makes a subject of the value of its most important key.
func named(kind Kind, text string, into Subject) error {
	value := any(text)
	if n, err := strconv.Atoi(text); err == nil && strconv.Itoa(n) == text {
		value = n // without quotes, or it is no number
	}
	b, err := yaml.Marshal(map[string]any{kind.Key: value})
	if err != nil {
		return err
	}
	return config.Decode("", b, into)
}
