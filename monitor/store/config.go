package store

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"steer/base/config"
	"steer/base/fault"
)

// Config is what operators write about the store.
type Config struct {
	Sync        string          `yaml:"sync" default:"1s" doc:"When accepted points are safe on disk: always (before the sender is answered), or at the latest after this time."`
	Schemas     string          `yaml:"schemas" doc:"File that says how long which series are kept: Carbon's storage-schemas.conf or a YAML list of {name, pattern, retentions}; storage.yaml in the definitions stands before it. Read again when it changes. Empty: every series 10s:6h,1m:7d,10m:5y."`
	Aggregation string          `yaml:"aggregation" doc:"File that says how older values are summed up: Carbon's storage-aggregation.conf or a YAML list of {name, pattern, x_files_factor, method}. aggregation.yaml in the definitions stands before it. Read again when it changes. Empty: by the last part of the name (min, max, sum, count, upper, lower), else the average."`
	MaxSeries   int             `yaml:"max_series" default:"2000000" doc:"How many series may exist; points of further ones are dropped and counted. The last tenth is not for a sender that created more in the last hour than there is room left for."`
	NewSeries   int             `yaml:"new_series" default:"1000000" doc:"How many new series one sender may create in an hour; points of further ones are dropped and counted, and the log names the sender."`
	Flush       config.Duration `yaml:"flush" default:"10m" doc:"How often points move from memory and log to block files."`
}

// Check says what is wrong with the values.
func (c Config) Check() error {
	switch {
	case c.MaxSeries < 1:
		return fault.New(fault.Invalid, "max_series: must be at least 1")
	case c.NewSeries < 1:
		return fault.New(fault.Invalid, "new_series: must be at least 1")
	}
	_, err := c.interval()
	return err
}

// interval is the time between syncs, 0 for sync: always.
func (c Config) interval() (time.Duration, error) {
	if c.Sync == "always" {
		return 0, nil
	}
	d, err := config.ParseDuration(cmp.Or(c.Sync, "1s"))
	if err == nil && (d.Std() < time.Millisecond || d.Std() > time.Minute) {
		err = fmt.Errorf("%v is not between 1ms and 1m", d)
	}
	if err != nil {
		return 0, fault.New(fault.Invalid, "sync: %w (or write always)", err)
	}
	return d.Std(), nil
}

// Options is what Open needs.
type Options struct {
	Config
	Rules Rules            // stand before the files that Config names, see Apply
	Dir   string           // the store's folder, made if missing; one process at a time
	Log   *slog.Logger     // default slog.Default
	Now   func() time.Time // default time.Now

	disk  disk // default the operating system's
	limit limits
}

// limits are numbers that tests make small.
type limits struct {
	segment int64         // bytes of a log segment
	log     int64         // bytes of log that bring a flush forward
	memory  int64         // bytes of points in memory that bring a flush forward, at least; four times as many stop writes
	loose   int           // series behind the sorted part of their list that bring its rewriting, at least
	forget  time.Duration // between looks for series that have no points any more
}

func (l limits) or(d limits) limits {
	return limits{cmp.Or(l.segment, d.segment), cmp.Or(l.log, d.log), cmp.Or(l.memory, d.memory), cmp.Or(l.loose, d.loose), cmp.Or(l.forget, d.forget)}
}
