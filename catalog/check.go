package catalog

import (
	"cmp"
	"errors"
	"strings"

	"steer/base/config"
	"steer/base/id"
)

// Check compares a Graphite query with bounds. It stands in a steer.yaml or in
// checks/*.yaml of the definitions repository.
type Check struct {
	Name        string          `yaml:"name" json:"name" doc:"Name, unique in its service."`
	Service     id.Service      `yaml:"service" json:"service,omitempty" doc:"Service it watches; in a steer.yaml always that service."`
	Environment id.Environment  `yaml:"environment" json:"environment,omitempty" doc:"Environment it watches; empty: all of them together."`
	Team        id.Team         `yaml:"team" json:"team,omitempty" doc:"Who is told; default: the service's team."`
	Query       string          `yaml:"query" json:"query" doc:"Graphite target. Of several series the worst decides."`
	Window      config.Duration `yaml:"window" json:"window" doc:"How far back to look for the newest value." default:"1m"`
	Above       *float64        `yaml:"above" json:"above,omitempty" doc:"CRITICAL when the newest value is greater."`
	Below       *float64        `yaml:"below" json:"below,omitempty" doc:"CRITICAL when the newest value is less."`
	WarnAbove   *float64        `yaml:"warn_above" json:"warn_above,omitempty" doc:"WARN when the newest value is greater."`
	WarnBelow   *float64        `yaml:"warn_below" json:"warn_below,omitempty" doc:"WARN when the newest value is less."`
	For         config.Duration `yaml:"for" json:"for" doc:"How long the bound must be broken without a break." default:"0s"`
	RecoverFor  config.Duration `yaml:"recover_for" json:"recover_for" doc:"How long it must hold again before the check is OK." default:"0s"`
	NoData      string          `yaml:"no_data" json:"no_data" doc:"What a window without values means: nodata (its own state), ok, critical." default:"nodata"`
	Severity    string          `yaml:"severity" json:"severity" doc:"page, ticket or info." default:"ticket"`
	Rollback    *bool           `yaml:"rollback" json:"rollback,omitempty" doc:"Whether CRITICAL soon after a deploy of the service takes it back; default: yes when severity is page."`
	Runbook     string          `yaml:"runbook" json:"runbook,omitempty" doc:"Where to read what to do."`
}

// Check says what is wrong with the check.
func (c Check) Check() error {
	var all []error
	if c.Name == "" {
		all = append(all, wrong("name: is missing"))
	} else if _, err := id.Parse[id.Service]("check", c.Name); err != nil {
		all = append(all, wrong("name: %w", err))
	}
	if strings.TrimSpace(c.Query) == "" {
		all = append(all, wrong("query: is missing (a Graphite target, like stats.timers.catalog.ttfb.upper_90)"))
	}
	if cmp.Or(c.Above, c.Below, c.WarnAbove, c.WarnBelow) == nil {
		all = append(all, wrong("check %q has no bound (give it above, below, warn_above or warn_below)", c.Name))
	}
	less := func(a *float64, key string, b *float64, than string) {
		if a != nil && b != nil && *a >= *b {
			all = append(all, wrong("%s: %v is not less than %s (%v)", key, *a, than, *b))
		}
	}
	less(c.WarnAbove, "warn_above", c.Above, "above")
	less(c.Below, "below", c.WarnBelow, "warn_below")
	less(c.Below, "below", c.Above, "above, so that no value would be OK")
	less(c.WarnBelow, "warn_below", c.WarnAbove, "warn_above, so that no value would be OK")
	all = append(all,
		duration("window", c.Window, second), duration("for", c.For, 0), duration("recover_for", c.RecoverFor, 0),
		oneOf("no_data", c.NoData, "nodata", "ok", "critical"),
		oneOf("severity", c.Severity, "page", "ticket", "info"))
	return errors.Join(all...)
}

// Reader reads definitions with a judgement that this package does not have. The
// zero Reader reads without it.
type Reader struct {
	// Query says what is wrong with a Graphite target, nil if it can be evaluated.
	Query func(target string) error
	// Time says what is wrong with a time in Graphite's form, nil if it can be read.
	Time func(text string) error
}

// ask judges the query of each check below key.
func (r Reader) ask(doc *config.Document, key string, checks []Check) error {
	var all []error
	for i, c := range checks {
		if r.Query == nil {
			continue
		}
		if err := r.Query(c.Query); err != nil {
			all = append(all, doc.Problem(at(key, i)+".query", err.Error()))
		}
	}
	return config.Join(all...)
}
