package catalog

import (
	"errors"
	"strconv"
	"strings"
)

// Limits bound what a node may use.
type Limits struct {
	Memory string  `yaml:"memory" json:"memory,omitempty" doc:"Memory, like 512m or 2g. A node that needs more is ended."`
	CPUs   float64 `yaml:"cpus" json:"cpus,omitempty" doc:"Processors, like 0.5."`
	PIDs   int     `yaml:"pids" json:"pids,omitempty" doc:"Processes and threads."`
}

// Bytes is the memory limit, 0 if there is none.
func (l Limits) Bytes() (int64, error) {
	if l.Memory == "" {
		return 0, nil
	}
	unit, number := int64(1), l.Memory
	if i := strings.IndexByte("kmg", l.Memory[len(l.Memory)-1]|0x20); i >= 0 {
		unit, number = 1<<(10*(i+1)), l.Memory[:len(l.Memory)-1]
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > 1<<50/unit {
		return 0, wrong("memory: %q is no amount of memory (write it like 512m or 2g)", l.Memory)
	}
	return n * unit, nil
}

// Check says what is wrong with the limits.
func (l Limits) Check() error {
	bytes, err := l.Bytes()
	all := []error{err}
	if err == nil && bytes > 0 && bytes < 6<<20 {
		all = append(all, wrong("memory: %q is less than the 6m that a container needs", l.Memory))
	}
	if l.CPUs < 0 || l.CPUs > 0 && l.CPUs < 0.01 || l.CPUs > 1024 {
		all = append(all, wrong("cpus: %v is not between 0.01 and 1024", l.CPUs))
	}
	if l.PIDs < 0 {
		all = append(all, wrong("pids: %d is negative", l.PIDs))
	}
	return errors.Join(all...)
}
