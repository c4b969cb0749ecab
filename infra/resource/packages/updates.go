package packages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

func updatesKind() infra.Kind {
	return infra.Kind{
		Name: "updates",
		Key:  "which",
		Doc: "Updates of the packages that are installed. Pending ones are drift, which is reported only, or with `automatic` " +
			"put right. An index of packages that is too old is read anew, since it would hide them. Which updates are for " +
			"security, Debian and Ubuntu tell by the suite that they come from and dnf by advisories; apk does not tell, so " +
			"there all count. That a restart of the host is needed is reported, too. Held packages are reported and never upgraded. " +
			"dnf and apk are tested on recorded-style output only.",
		Example: "- updates: security\n" +
			"- updates:\n    which: all\n    automatic: true\n    max_age: 12h\n",
		New: func() infra.Resource { return &Updates{} },
	}
}

// Updates are the pending updates of a host.
type Updates struct {
	Which     string          `yaml:"which,omitempty" default:"security" doc:"security or all"`
	Automatic bool            `yaml:"automatic,omitempty" default:"false" doc:"install them instead of only reporting them"`
	MaxAge    config.Duration `yaml:"max_age,omitempty" default:"24h" doc:"how old the index of packages may be"`
}

// Check refuses what can't be.
func (u *Updates) Check() error {
	var errs []error
	if u.Which != "security" && u.Which != "all" {
		errs = append(errs, fault.New(fault.Invalid, "which: %q is neither security nor all", u.Which))
	}
	if u.MaxAge.Std() < time.Minute {
		errs = append(errs, fault.New(fault.Invalid, "max_age: %s is less than a minute, and repositories are not read that often", u.MaxAge))
	}
	return errors.Join(errs...)
}

// ID is which updates.
func (u *Updates) ID() string { return u.Which }

// pending lists the updates that concern this resource.
func (u *Updates) pending(ctx context.Context, m manager) ([]update, error) {
	all, err := m.Newer(ctx)
	if err != nil {
		return nil, err
	}
	var mine []update
	for _, one := range all {
		if u.Which == "all" || one.Security {
			mine = append(mine, one)
		}
	}
	slices.SortFunc(mine, func(a, b update) int { return strings.Compare(a.Name, b.Name) })
	return mine, nil
}

// Diff lists the pending updates, a field each. Its action is Report if applying
// would change nothing.
func (u *Updates) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d, told infra.Diff
	m, err := open(h)
	if err != nil {
		return d, err
	}
	if last := m.Refreshed(); time.Since(last) > u.MaxAge.Std() {
		old := "never read"
		if !last.IsZero() {
			old = fmt.Sprintf("%s old", config.Duration(time.Since(last).Truncate(time.Minute)))
		}
		d.Set("index", old, "at most "+u.MaxAge.String()+" old")
	}
	all, err := u.pending(ctx, m)
	if err != nil {
		return d, err
	}
	for _, one := range all {
		switch {
		case one.Held:
			told.Set(one.Name, one.Old+" (held)", one.New)
		case u.Automatic:
			d.Set(one.Name, one.Old, one.New)
		default:
			told.Set(one.Name, one.Old, one.New)
		}
	}
	if why := needsRestart(h); why != "" {
		told.Set("restart", "needed: "+why, "done")
	}
	if d.Empty() && !told.Empty() {
		told.Action = infra.Report
		return told, nil
	}
	return d, nil
}

// Apply reads the index if it is old, and installs updates if it may.
func (u *Updates) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	m, err := open(h)
	if err != nil {
		return err
	}
	if d.Has("index") {
		if err := m.Refresh(ctx); err != nil {
			return err
		}
	}
	if !u.Automatic {
		return nil
	}
	all, err := u.pending(ctx, m)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(one update) bool { return one.Held })
	if len(all) == 0 {
		return nil
	}
	return m.Upgrade(ctx, all)
}

// State is what is pending.
func (u *Updates) State(ctx context.Context, h *infra.Host) (string, error) {
	m, err := open(h)
	if err != nil {
		return "", err
	}
	all, err := u.pending(ctx, m)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, one := range all {
		fmt.Fprintf(&b, "%s %s %s\n", one.Name, one.Old, one.New)
	}
	b.WriteString(needsRestart(h))
	return b.String(), nil
}

// restartFile is written by packages of Debian and Ubuntu that need a restart of the
// host; their names are in the second one.
const restartFile = "/run/reboot-required"

// needsRestart says why the host should be restarted, or is empty: a package said so,
// or the kernel that runs is no longer there, which is how Fedora's and Alpine's
// packages leave it.
func needsRestart(h *infra.Host) string {
	if _, err := os.Stat(restartFile); err == nil {
		b, _ := os.ReadFile(restartFile + ".pkgs")
		words := strings.Fields(string(b))
		slices.Sort(words)
		if words = slices.Compact(words); len(words) > 0 {
			return strings.Join(words, ", ")
		}
		return restartFile + " is there"
	}
	if h.Facts.Container {
		return "" // has no kernel of its own
	}
	kernels, err := os.ReadDir("/lib/modules")
	if err != nil || len(kernels) == 0 {
		return ""
	}
	if _, err := os.Stat("/lib/modules/" + h.Facts.Kernel); os.IsNotExist(err) {
		return "the running kernel " + h.Facts.Kernel + " is no longer installed"
	}
	return ""
}
