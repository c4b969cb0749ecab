// Package agent reports how this host is: processor, load, memory, disks and
// network, read from /proc every interval.
package agent

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
)

// Config is the agent's part of the server's configuration.
type Config struct {
	Enabled  bool            `yaml:"enabled" default:"true" doc:"Report this host's processor, memory, disks and network."`
	Interval config.Duration `yaml:"interval" default:"10s" doc:"Time between reports; whole seconds."`
	Host     string          `yaml:"host" doc:"Name in servers.NAME.…; default: the host's name up to its first dot."`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if d := c.Interval.Std(); d < time.Second || d%time.Second != 0 {
		return fault.New(fault.Invalid, "interval: %s is not a whole number of seconds", c.Interval)
	}
	return nil
}

// Sink takes the points of a report.
type Sink func(points []metric.Point) error

// Options is what the server hands in.
type Options struct {
	Config
	Sink Sink
	Proc string // where proc is mounted; empty: /proc
	Root string // file system that disk paths are looked up in; empty: /
	Log  *slog.Logger
}

// Agent remembers the counters of its last report, since most figures are
// differences.
type Agent struct {
	prefix   string
	interval time.Duration
	sink     Sink
	root     string
	log      *slog.Logger
	proc     procfs.FS
	last     reading
	points   []metric.Point
}

// New checks that the host's figures can be read.
func New(o Options) (*Agent, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	host := o.Host
	if host == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fault.New(fault.Internal, "read the host's name: %w (set agent.host)", err)
		}
		host, _, _ = strings.Cut(name, ".")
	}
	proc, err := procfs.NewFS(cmp.Or(o.Proc, procfs.DefaultMountPoint))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the host's figures: %w (the agent needs Linux; agent.enabled=false switches it off)", err)
	}
	a := &Agent{
		prefix: "servers." + part(host) + ".", interval: o.Interval.Std(), sink: o.Sink,
		root: cmp.Or(o.Root, "/"), log: cmp.Or(o.Log, slog.Default()), proc: proc,
	}
	a.last = a.read(time.Now())
	return a, nil
}

// Prefix is what the names of all its metrics start with: "servers.HOST.".
func (a *Agent) Prefix() string { return a.prefix }

// part makes one part of a Graphite path of s.
func part(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '/' || r <= ' ' || r == ';' {
			return '_'
		}
		return r
	}, s)
}

// Run reports at every multiple of the interval since 1970 until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	for {
		now := time.Now()
		next := now.Truncate(a.interval).Add(a.interval)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(next.Sub(now)):
			if err := a.sink(a.Report(next)); err != nil {
				a.log.Warn("report host figures", "error", err)
			}
		}
	}
}

// Report reads the host's figures. The points are valid until the next call.
func (a *Agent) Report(now time.Time) []metric.Point {
	a.points = a.points[:0]
	cur := a.read(now)
	a.figures(a.last, cur)
	a.last = cur
	return a.points
}

func (a *Agent) emit(now time.Time, name string, value float64) {
	a.points = append(a.points, metric.Point{Name: []byte(a.prefix + name), Time: now.Unix(), Value: value})
}
