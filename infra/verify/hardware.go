package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/infra"
	"steer/infra/verify/internal/machine"
)

// hardwareParts are what the kind hardware can look at.
func hardwareParts() []string {
	return []string{"all", "arrays", "disks", "filesystems", "memory", "board"}
}

var hardwareKind = Kind{
	Name: "hardware",
	Doc: `What breaks or wears out by itself. Parts are: arrays (software arrays that are degraded, rebuild or do not run,
/proc/mdstat), disks (SMART by smartctl where it is installed, and I/O errors in the kernel's log), filesystems (errors that ext4 and
btrfs count, mounts that became read-only, and the log), memory (errors that EDAC counts), board (machine checks,
heat and uncorrected errors of buses in the log), or all of them. What was looked at, and what not and why, stands beside what was
found. A container has no hardware of its own: only its mounts are looked at.`,
	Key:     "part",
	Example: "hardware: {part: disks, wear: 80, ignore: [\"/^sdb .*sectors/\"]}",
	Stable:  []string{"known"},
	New:     func() Subject { return &hardware{Failures: none()} },
}

type hardware struct {
	Part        string          `yaml:"part" doc:"all, arrays, disks, filesystems, memory or board." default:"all"`
	Known       *bool           `yaml:"known" doc:"Whether there is something to look at: an array, a disk that tells its state."`
	Failures    Text            `yaml:"failures" doc:"What is wrong, a text for each thing. Default: nothing may be, {only: []}."`
	Ignore      []string        `yaml:"ignore" doc:"Failures that are known and borne: texts that they contain, or /expressions/."`
	Within      config.Duration `yaml:"within" doc:"How far back the kernel's log counts." default:"24h"`
	Wear        int             `yaml:"wear" doc:"How much of its life a flash disk may have used, in per cent of what its maker gives it." default:"90"`
	Correctable int             `yaml:"correctable" doc:"How many corrected errors of memory a day are borne, on average since the counters began." default:"10"`

	root string // of what is looked at; empty: this machine
}

func (w *hardware) ID() string { return w.Part }

func (w *hardware) Check() error {
	var all []error
	if !slices.Contains(hardwareParts(), w.Part) {
		all = append(all, fmt.Errorf("part: %q is none%s", w.Part, config.Suggest(w.Part, hardwareParts())))
	}
	if w.Wear < 1 {
		all = append(all, errors.New("wear: has to be at least 1"))
	}
	if w.Correctable < 0 {
		all = append(all, errors.New("correctable: can't be below 0"))
	}
	return errors.Join(append(all, checkWithin(w.Within), checkIgnore(w.Ignore))...)
}

func (w *hardware) Look(ctx context.Context, h *infra.Host) (Found, error) {
	m, err := looker(h, w.root)
	if err != nil {
		return nil, err
	}
	since := m.Now.Add(-w.Within.Std())
	var all machine.Seen
	for _, part := range []struct {
		name string
		look func() (machine.Seen, error)
	}{
		{"arrays", m.Arrays},
		{"disks", func() (machine.Seen, error) { return m.Disks(ctx, since, w.Wear) }},
		{"filesystems", func() (machine.Seen, error) { return m.Filesystems(ctx, since) }},
		{"memory", func() (machine.Seen, error) { return m.Memory(w.Correctable) }},
		{"board", func() (machine.Seen, error) { return m.Board(ctx, since) }},
	} {
		if w.Part != "all" && w.Part != part.name {
			continue
		}
		s, err := part.look()
		if err != nil {
			return nil, err
		}
		all.Join(s)
	}
	return seen(all, w.Ignore), nil
}

// looker looks at the machine of a host. What several tests read, and the time of their
// run, is the same for all.
func looker(h *infra.Host, root string) (machine.Machine, error) {
	now, err := infra.Memo(h, "time of the run", func() (time.Time, error) { return time.Now(), nil })
	return machine.Machine{Root: root, Now: now, Container: h.Facts.Container, Once: func(key string, load func() (any, error)) (any, error) {
		return infra.Memo(h, key, load)
	}}, err
}

// seen is what a look found, as properties.
func seen(s machine.Seen, ignore []string) Found {
	found := Findings{}
	ignored := 0
	for _, f := range s.Findings {
		if slices.ContainsFunc(ignore, func(text string) bool { return borne(text, f.Text) }) {
			ignored++
			continue
		}
		found = append(found, f)
	}
	note := s.Note()
	if ignored > 0 {
		note = fmt.Sprintf("%d ignored; %s", ignored, note)
	}
	return Found{"known": Noted{len(s.Looked) > 0, note}, "failures": Noted{found, note}}
}

// borne tells whether a failure is one that is ignored.
func borne(text, failure string) bool {
	c, err := plainOne(text)
	if err != nil {
		return false
	}
	if m, ok := c.(matches); ok {
		return m.MatchString(failure)
	}
	return strings.Contains(failure, text)
}

func checkIgnore(all []string) error {
	for _, text := range all {
		if _, err := plainOne(text); err != nil {
			return fmt.Errorf("ignore: %w", err)
		}
		if text == "" {
			return errors.New("ignore: an empty text would ignore everything")
		}
	}
	return nil
}

func checkWithin(d config.Duration) error {
	if d.Std() < time.Minute || d.Std() > 30*24*time.Hour {
		return errors.New("within: has to be between 1m and 30d")
	}
	return nil
}

// none is what may be wrong unless a test says otherwise.
func none() Text { return Text{only{}} }
