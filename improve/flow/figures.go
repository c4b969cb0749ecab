package flow

import (
	"time"

	"steer/base/id"
)

// Query selects what is measured.
type Query struct {
	Service     id.Service     // empty: all
	Environment id.Environment // default: production
	Since       time.Time      // default: 30 days before Until
	Until       time.Time      // default: now
}

// Figures are the measurements of one environment in a time.
type Figures struct {
	Environment id.Environment `json:"environment"`
	Since       time.Time      `json:"since"`
	Until       time.Time      `json:"until"`
	Total       Set            `json:"total"`    // of all services asked about
	Services    []Set          `json:"services"` // by name
}

// Set is the figures of one service, or of all.
type Set struct {
	Service       id.Service `json:"service"`         // "" for all
	LeadTime      Times      `json:"lead_time"`       // commit → deployed
	Deployments   Count      `json:"deployments"`     // that took over traffic
	ChangeFailure Share      `json:"change_failure"`  // deployments that failed
	TimeToDetect  Times      `json:"time_to_detect"`  // deployed → incident opened, of failed deployments
	TimeToRestore Times      `json:"time_to_restore"` // incident opened → resolved, whatever caused it
	Recovery      Times      `json:"recovery"`        // failed deployment → rolled back or incident resolved, the later
	GoodBuilds    Builds     `json:"good_builds"`     // runs whose version may be deployed
}

// Sample is one measurement.
type Sample struct {
	At      time.Time  `json:"at"` // when it ended
	Service id.Service `json:"service"`
	Version id.Version `json:"version,omitempty"`
	Seconds float64    `json:"seconds"`
	Events  []string   `json:"events"` // ids it was made from, from start to end
}

// Times are durations in seconds; Median is null without samples.
type Times struct {
	Median  *float64 `json:"median_seconds"`
	Samples []Sample `json:"samples"` // by time
}

// Count is how often something happened.
type Count struct {
	Count  int      `json:"count"`
	PerDay float64  `json:"per_day"` // over the whole time asked about
	Events []string `json:"events"`
}

// Share is a part of a whole; Rate is null when the whole is 0.
type Share struct {
	Rate   *float64  `json:"rate"` // 0 to 1
	Failed int       `json:"failed"`
	Of     int       `json:"of"`
	Causes []Failure `json:"failures"`
}

// Failure says why a deployment counts as failed.
type Failure struct {
	At      time.Time  `json:"at"` // of the deployment
	Service id.Service `json:"service"`
	Version id.Version `json:"version"`
	Events  []string   `json:"events"` // the deployment, then what followed
}

// Builds are the runs that finished.
type Builds struct {
	Good   int      `json:"good"`
	All    int      `json:"all"`
	PerDay float64  `json:"per_day"` // good ones, over the whole time asked about
	Days   []Day    `json:"days"`    // with at least one run
	Events []string `json:"events"`  // of the good ones
}

// Day is one day in UTC.
type Day struct {
	Date string `json:"date"` // 2026-01-31
	Good int    `json:"good"`
	All  int    `json:"all"`
}
