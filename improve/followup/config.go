package followup

import (
	"time"

	"steer/base/config"
	"steer/base/fault"
)

// Config is what operators choose.
type Config struct {
	Within config.Duration `yaml:"within" doc:"Time after the end of an incident in which its steps are to be done; after it, the incident has ended without." default:"7d"`
	Remind config.Duration `yaml:"remind" doc:"Time after the end of an incident after which its team is reminded, once, of steps that are open; 0s: never." default:"1d"`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if d := c.Within.Std(); d < time.Second || d > 366*24*time.Hour {
		return fault.New(fault.Invalid, "within %s: write 1s to 366d (7d is usual)", c.Within)
	}
	if d := c.Remind.Std(); d < 0 || d > 366*24*time.Hour {
		return fault.New(fault.Invalid, "remind %s: write 0s (never) to 366d (1d is usual)", c.Remind)
	}
	return nil
}
