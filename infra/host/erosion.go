package host

import (
	"steer/base/config"
	"steer/base/fault"
)

// Erosion is what is looked for on the hosts of a group without being declared. The
// looks are those of the tests hardware (by part), stuck and oom.
type Erosion struct {
	Off         string `yaml:"off" json:"off,omitempty" doc:"Why nothing of all this is looked for; empty: it is."`
	Arrays      Look   `yaml:"arrays" json:"arrays" doc:"Software arrays: the severity of incidents about them, as page, or {off: WHY}. So are the others." default:"ticket"`
	Disks       Look   `yaml:"disks" json:"disks" doc:"Disks that fail, wear out or have errors." default:"ticket"`
	Filesystems Look   `yaml:"filesystems" json:"filesystems" doc:"Errors of file systems, and mounts that became read-only." default:"ticket"`
	Memory      Look   `yaml:"memory" json:"memory" doc:"Errors of memory." default:"ticket"`
	Board       Look   `yaml:"board" json:"board" doc:"Machine checks, heat, errors of buses." default:"ticket"`
	Stuck       Look   `yaml:"stuck" json:"stuck" doc:"Processes that wait in the kernel, or are not collected." default:"ticket"`
	OOM         Look   `yaml:"oom" json:"oom" doc:"Processes that the kernel killed for want of memory." default:"ticket"`
}

// Look is one of them.
type Look struct {
	Severity string `yaml:"severity" json:"severity" doc:"Of its incident: page, ticket or info." default:"ticket"`
	Off      string `yaml:"off" json:"off,omitempty" doc:"Why it is not looked for; empty: it is."`
}

// ReadRaw also takes the severity alone.
func (l *Look) ReadRaw(r config.Raw) error {
	type plain Look
	text, ok := r.Text()
	switch {
	case text == "off":
		return fault.New(fault.Invalid, "off needs a reason (write {off: WHY})")
	case ok:
		l.Severity, l.Off = text, ""
	default:
		if err := r.Decode((*plain)(l)); err != nil {
			return err
		}
	}
	return checkSeverity(l.Severity)
}
