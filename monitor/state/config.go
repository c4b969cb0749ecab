package state

import (
	"time"

	"steer/base/config"
	"steer/base/fault"
)

// Config is what operators choose.
type Config struct {
	Interval config.Duration `yaml:"interval" doc:"How often each check is compared with its bounds." default:"5s"`
	Timeout  config.Duration `yaml:"timeout" doc:"Time that one query of a check may take." default:"10s"`
}

// Check refuses values that would stop the comparing.
func (c Config) Check() error {
	if d := c.Interval.Std(); d < 100*time.Millisecond || d > time.Hour {
		return fault.New(fault.Invalid, "interval %s: checks are compared every 100ms to 1h (5s is usual)", c.Interval)
	}
	if d := c.Timeout.Std(); d < 100*time.Millisecond || d > 10*time.Minute {
		return fault.New(fault.Invalid, "timeout %s: a query may take 100ms to 10m (10s is usual)", c.Timeout)
	}
	return nil
}

const (
	usualInterval = config.Duration(5 * time.Second)
	usualTimeout  = config.Duration(10 * time.Second)

	atOnce       = 4               // queries of checks that run at the same time
	unknownAfter = 5 * time.Minute // a query that fails for so long makes the state unknown
	usualWatch   = 10 * time.Minute
)
