package catalog

import (
	"errors"
	"fmt"
	"strings"

	"steer/base/config"
	"steer/base/id"
)

// Dashboard is a page of charts over one range of time. It stands alone in
// dashboards/NAME.yaml of the definitions repository.
type Dashboard struct {
	Name        string  `yaml:"-" json:"name"` // of the file
	Title       string  `yaml:"title" json:"title" doc:"Title; default: the name of the file."`
	Team        id.Team `yaml:"team" json:"team,omitempty" doc:"Team that it belongs to."`
	Description string  `yaml:"description" json:"description,omitempty" doc:"One sentence for people."`
	From        string  `yaml:"from" json:"from" doc:"Begin of the time that it opens with, as in /render." default:"-1h"`
	Until       string  `yaml:"until" json:"until" doc:"End of that time." default:"now"`
	Panels      []Panel `yaml:"panels" json:"panels" doc:"Charts, from left to right and from top to bottom."`
}

// Panel is one chart, number or table of a dashboard.
type Panel struct {
	Title      string      `yaml:"title" json:"title,omitempty" doc:"Title; default: the first target."`
	Kind       string      `yaml:"kind" json:"kind,omitempty" doc:"line, area, stacked, value (the newest value of each series) or table (with minimum, mean and maximum)." default:"line"`
	Targets    []string    `yaml:"targets" json:"targets" doc:"Graphite targets."`
	Width      int         `yaml:"width" json:"width,omitempty" doc:"Columns of the twelve that a page has." default:"6"`
	From       string      `yaml:"from" json:"from,omitempty" doc:"Begin of its own time; default: the dashboard's."`
	Until      string      `yaml:"until" json:"until,omitempty" doc:"End of its own time; default: now."`
	YMin       *float64    `yaml:"y_min" json:"y_min,omitempty" doc:"Lowest value of the axis; default: by the values."`
	YMax       *float64    `yaml:"y_max" json:"y_max,omitempty" doc:"Highest value of the axis; default: by the values."`
	Unit       string      `yaml:"unit" json:"unit,omitempty" doc:"Unit of the values, like ms, %, B (bytes) or req/s; default: by the names of the series."`
	Thresholds []Threshold `yaml:"thresholds" json:"thresholds,omitempty" doc:"Bounds to compare with: lines in a chart, colours of a number."`
}

// Threshold is one bound of a panel.
type Threshold struct {
	Above *float64 `yaml:"above" json:"above,omitempty" doc:"Bad when the value is greater; this or below."`
	Below *float64 `yaml:"below" json:"below,omitempty" doc:"Bad when the value is less."`
	Level string   `yaml:"level" json:"level,omitempty" doc:"critical or warn." default:"critical"`
}

// What one page can show.
const (
	maxPanels  = 100
	maxTargets = 20 // of a panel
	columns    = 12
)

// Check says what is wrong with the dashboard as a whole.
func (d Dashboard) Check() error {
	var all []error
	if len(d.Panels) == 0 {
		all = append(all, wrong("panels: the dashboard has none (give it at least one, like {targets: [steer.receive.graphite.points]})"))
	}
	if len(d.Panels) > maxPanels {
		all = append(all, wrong("panels: %d are more than the %d that a page can show", len(d.Panels), maxPanels))
	}
	return errors.Join(all...)
}

// Check says what is wrong with the panel.
func (p Panel) Check() error {
	all := []error{oneOf("kind", p.Kind, "line", "area", "stacked", "value", "table")}
	if len(p.Targets) == 0 {
		all = append(all, wrong("targets: the panel has none (give it a Graphite target, like [stats.timers.catalog.ttfb.upper_90])"))
	}
	if len(p.Targets) > maxTargets {
		all = append(all, wrong("targets: %d are more than %d (use globs and functions)", len(p.Targets), maxTargets))
	}
	for i, t := range p.Targets {
		if strings.TrimSpace(t) == "" {
			all = append(all, wrong("%s: is empty", at("targets", i)))
		}
	}
	if p.Width < 1 || p.Width > columns {
		all = append(all, wrong("width: %d is not between 1 and %d columns", p.Width, columns))
	}
	if p.YMin != nil && p.YMax != nil && *p.YMin >= *p.YMax {
		all = append(all, wrong("y_min: %v is not less than y_max (%v)", *p.YMin, *p.YMax))
	}
	if len(p.Unit) > 16 {
		all = append(all, wrong("unit: %q is longer than 16 letters", p.Unit))
	}
	if p.Until != "" && p.From == "" {
		all = append(all, wrong("until: the panel has no from (give it both, or neither)"))
	}
	return errors.Join(all...)
}

// Check says what is wrong with the bound.
func (t Threshold) Check() error {
	var all []error
	if (t.Above == nil) == (t.Below == nil) {
		all = append(all, wrong("the threshold needs one of above and below"))
	}
	return errors.Join(append(all, oneOf("level", t.Level, "critical", "warn"))...)
}

// readDashboards reads dashboards/*.yaml. What is wrong is collected.
func (l *loader) readDashboards() error {
	names, err := l.listed(dashboardsFolder)
	if err != nil {
		return err
	}
	for _, file := range names {
		var d Dashboard
		if err := l.read(file, &d); err != nil {
			return err
		}
		doc := l.docs[file]
		if doc == nil {
			continue
		}
		d.Name = strings.TrimSuffix(strings.TrimPrefix(file, dashboardsFolder+"/"), ".yaml")
		if _, err := id.Parse[id.Service]("dashboard", d.Name); err != nil {
			l.errs = append(l.errs, config.Problem{File: file, Line: 1, Column: 1, Text: err.Error() + " (name the file so)"})
			continue
		}
		if d.Title == "" {
			d.Title = d.Name
		}
		l.errs = append(l.errs, l.askDashboard(doc, d))
		l.Dashboards[d.Name] = d
	}
	return nil
}

// askDashboard judges targets and times.
func (r Reader) askDashboard(doc *config.Document, d Dashboard) error {
	var all []error
	judge := func(ask func(string) error, key, text string) {
		if ask == nil || text == "" {
			return
		}
		if err := ask(text); err != nil {
			all = append(all, doc.Problem(key, err.Error()))
		}
	}
	judge(r.Time, "from", d.From)
	judge(r.Time, "until", d.Until)
	for i, p := range d.Panels {
		key := at("panels", i)
		for j, t := range p.Targets {
			judge(r.Query, at(key+".targets", j), t)
		}
		judge(r.Time, key+".from", p.From)
		judge(r.Time, key+".until", p.Until)
	}
	return config.Join(all...)
}

func (l *loader) checkDashboards() {
	for _, name := range sorted(l.Dashboards) {
		l.team(l.Dashboards[name].Team, "team", l.bad(fmt.Sprintf("%s/%s.yaml", dashboardsFolder, name)))
	}
}
