package packages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// apt is the package manager of Debian and its kin.
type apt struct {
	h      *infra.Host
	wait   time.Duration // for other programs that install
	status onDisk[*inventory]
	newer  onDisk[[]update]
	mu     sync.Mutex // one order at a time
	fresh  bool       // the index was read in this run
}

func newApt(h *infra.Host) *apt { return &apt{h: h, wait: 5 * time.Minute} }

// Installed parses dpkg's database: a process for each package would take seconds.
func (a *apt) Installed(context.Context) (*inventory, error) {
	return a.status.read(func(data []string) (*inventory, error) {
		if data[0] == "" {
			return nil, fmt.Errorf("read what is installed: %s is missing or empty (a copy is in /var/backups)", aptStatus)
		}
		return parseStatus(data[0], data[1]), nil
	}, aptStatus, aptAuto)
}

// aptStamp is written after each reading of the whole index, since apt leaves no
// trace when nothing was new.
const aptStamp = "/var/lib/apt/steer-refreshed"

// Refreshed knows apt's own timers, too.
func (a *apt) Refreshed() time.Time {
	if t := newest(aptStamp, "/var/lib/apt/periodic/update-success-stamp"); !t.IsZero() {
		return t
	}
	entries, _ := os.ReadDir("/var/lib/apt/lists")
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != "lock" {
			return newest("/var/lib/apt/lists")
		}
	}
	return time.Time{}
}

// Newer asks apt what it would upgrade. Whatever would remove something else is not
// among it.
func (a *apt) Newer(ctx context.Context) ([]update, error) {
	return a.newer.read(func([]string) ([]update, error) {
		inv, err := a.Installed(ctx)
		if err != nil {
			return nil, err
		}
		out, err := a.h.Run(ctx, "apt-get", "-s", "-q", "--ignore-hold", "--with-new-pkgs", "upgrade")
		if err != nil {
			return nil, fmt.Errorf("look for newer packages: %w", err)
		}
		all := parseSimulation(out)
		// The newest version may be an ordinary one that followed one for security.
		args := []string{"apt-cache", "policy"}
		for i := range all {
			all[i].Held = inv.has[all[i].Name].Held
			if !all[i].Security {
				args = append(args, all[i].Name)
			}
		}
		if len(args) == 2 {
			return all, nil
		}
		if out, err = a.h.Run(ctx, args...); err != nil {
			return nil, fmt.Errorf("look for security updates: %w", err)
		}
		between := parsePolicy(out)
		for i, u := range all {
			all[i].Security = u.Security || between[u.Name]
		}
		return all, nil
	}, aptStatus, "/var/lib/apt/lists", "/var/lib/apt/lists/partial", aptStamp, "/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/preferences.d")
}

// get runs apt-get, after other programs that install are done.
func (a *apt) get(ctx context.Context, args ...string) (infra.Output, error) {
	if err := free(ctx, aptLocks(), a.wait); err != nil {
		return infra.Output{}, err
	}
	return a.h.Exec(ctx, infra.Command{
		Args: append([]string{"apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=60", "-o", "Dpkg::Use-Pty=0",
			// A configuration file that somebody changed stays, without a question.
			"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
			// A name that is no package is not taken for a regular expression.
			"-o", "APT::Cmd::Pattern-Only=true"}, args...),
		Env:    []string{"DEBIAN_PRIORITY=critical", "APT_LISTCHANGES_FRONTEND=none", "UCF_FORCE_CONFFOLD=1", "TERM=dumb"},
		Within: time.Hour,
	})
}

// repair ends what was cut off: dpkg does nothing else before. Whether it worked, the
// order that follows will tell.
func (a *apt) repair(ctx context.Context) error {
	journal, _ := os.ReadDir("/var/lib/dpkg/updates")
	inv, err := a.Installed(ctx)
	if err != nil {
		return err
	}
	broken := len(journal) > 0
	for _, one := range inv.has {
		broken = broken || one.State != complete && one.State != configured
	}
	if !broken {
		return nil
	}
	if err := free(ctx, aptLocks(), a.wait); err != nil {
		return err
	}
	_, err = a.h.Exec(ctx, infra.Command{Args: []string{"dpkg", "--configure", "-a", "--force-confdef", "--force-confold"}, Within: time.Hour})
	return err
}

// Install installs one package.
func (a *apt) Install(ctx context.Context, o install) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.repair(ctx); err != nil {
		return fmt.Errorf("install %s: %w", o.Name, err)
	}
	args := []string{"--no-install-recommends"}
	if o.Recommends {
		args[0] = "--install-recommends"
	}
	if !o.Removal {
		args = append(args, "--no-remove")
	}
	if o.Held {
		args = append(args, "--allow-change-held-packages")
	}
	if o.Broken {
		inv, err := a.Installed(ctx)
		if err != nil {
			return fmt.Errorf("install %s: %w", o.Name, err)
		}
		if inv.has[o.Name].State != complete {
			args = append(args, "--reinstall")
		}
	}
	what := o.Name
	if o.Version != "" {
		what += "=" + o.Version
		args = append(args, "--allow-downgrades")
	}
	args = append(args, "install", what)
	out, err := a.get(ctx, args...)
	if err == nil && out.Code != 0 && !a.fresh && (stale(out) || broken(out)) {
		if broken(out) {
			err = forgetIndex()
		}
		if err == nil {
			err = a.refresh(ctx)
		}
		if err == nil {
			out, err = a.get(ctx, args...)
		}
	}
	if err != nil {
		return fmt.Errorf("install %s: %w", what, err)
	}
	return explain("install "+what, out)
}

// stale tells whether an old index may be why apt failed.
func stale(out infra.Output) bool {
	for _, text := range []string{"Unable to locate package", "was not found", "no installation candidate", "Failed to fetch", "unmet dependencies"} {
		if strings.Contains(string(out.Stderr)+string(out.Stdout), text) {
			return true
		}
	}
	return false
}

// broken tells whether apt could not read the index that is here.
func broken(out infra.Output) bool {
	text := string(out.Stderr)
	return strings.Contains(text, "Unable to parse package file /var/lib/apt/lists/") || strings.Contains(text, "cache file is corrupted") || strings.Contains(text, "Problem with MergeList /var/lib/apt/lists/")
}

// forgetIndex removes the index: apt would keep a broken file as long as its
// repository does not change.
func forgetIndex() error {
	const folder = "/var/lib/apt/lists/"
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != "lock" {
			err = errors.Join(err, os.Remove(folder+e.Name()))
		}
	}
	return err
}

// explain makes an error of what apt said, with the way out of what is known.
func explain(what string, out infra.Output) error {
	if out.Code == 0 {
		return nil
	}
	text := strings.TrimSpace(string(out.Stderr))
	said := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case said("remove is disabled"):
		return fault.New(fault.Conflict, "%s: %s would have to be removed for it (write allow_removal: true if that is right)", what, section(out, "The following packages will be REMOVED:"))
	case said("Held packages were changed"):
		return fault.New(fault.Conflict, "%s: %s is held on the host (write hold: true or false to say that the role decides this, or run apt-mark unhold)", what, section(out, "The following held packages will be changed:"))
	case said("Essential packages were removed"):
		return fault.New(fault.Conflict, "%s: the host cannot do without it (dpkg calls it essential)", what)
	case said("no installation candidate"):
		if choice := section(out, "is a virtual package provided by:"); choice != "" {
			return fault.New(fault.Invalid, "%s: it is a virtual package; name one of those that stand for it: %s", what, choice)
		}
	}
	if said("Unable to locate package") || said("no installation candidate") || said("was not found") {
		return fault.New(fault.NotFound, "%s: no repository of this host has it (is the name right, and is its repository written before it?): %s", what, text)
	}
	if text == "" {
		text = strings.TrimSpace(string(out.Stdout))
	}
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return fmt.Errorf("%s: apt ended with code %d: %s", what, out.Code, text)
}

// section is the list of names under a heading of apt's output.
func section(out infra.Output, heading string) string {
	_, list, ok := strings.Cut(string(out.Stdout), heading)
	if !ok {
		return ""
	}
	var words []string
	for i, line := range strings.Split(list, "\n") {
		if i > 0 && !strings.HasPrefix(line, " ") {
			break
		}
		words = append(words, strings.Fields(line)...)
	}
	return strings.Join(words, " ")
}

// Remove removes or purges a package.
func (a *apt) Remove(ctx context.Context, name string, purge, removal bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	what, verb := "remove "+name, "remove"
	if purge {
		what, verb = "purge "+name, "purge"
	}
	if err := a.repair(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !removal {
		out, err := a.h.Exec(ctx, infra.Command{Args: []string{"apt-get", "-s", "-q", "-o", "APT::Cmd::Pattern-Only=true", verb, name}})
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if others := removals(string(out.Stdout), name); len(others) > 0 {
			return fault.New(fault.Conflict, "%s: needed by %s (declare these absent before it, or write allow_removal: true)", what, strings.Join(others, ", "))
		}
	}
	out, err := a.get(ctx, verb, name)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return explain(what, out)
}

// removals lists what a simulation removes or installs besides a package.
func removals(out, name string) []string {
	var others []string
	for line := range strings.Lines(out) {
		w := strings.Fields(line)
		if len(w) > 1 && (w[0] == "Remv" || w[0] == "Purg") && w[1] != name && !strings.HasPrefix(name, w[1]+":") && !slices.Contains(others, w[1]) {
			others = append(others, w[1])
		}
	}
	return others
}

// Hold uses apt-mark.
func (a *apt) Hold(ctx context.Context, name string, on bool) error {
	verb := "unhold"
	if on {
		verb = "hold"
	}
	return a.mark(ctx, verb, name)
}

// Keep marks a package as installed by hand.
func (a *apt) Keep(ctx context.Context, name string) error { return a.mark(ctx, "manual", name) }

func (a *apt) mark(ctx context.Context, verb, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := free(ctx, aptLocks(), a.wait); err != nil {
		return fmt.Errorf("%s %s: %w", verb, name, err)
	}
	_, err := a.h.Run(ctx, "apt-mark", verb, name)
	return err
}

// Upgrade installs updates, all at once.
func (a *apt) Upgrade(ctx context.Context, all []update) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.repair(ctx); err != nil {
		return fmt.Errorf("install updates: %w", err)
	}
	inv, err := a.Installed(ctx)
	if err != nil {
		return fmt.Errorf("install updates: %w", err)
	}
	args := []string{"--only-upgrade", "--no-remove", "install"}
	auto := []string{"apt-mark", "auto"}
	for _, u := range all {
		args = append(args, u.Name+"="+u.New)
		if inv.has[u.Name].Auto {
			auto = append(auto, u.Name)
		}
	}
	out, err := a.get(ctx, args...)
	if err != nil {
		return fmt.Errorf("install updates: %w", err)
	}
	if len(auto) > 2 { // apt took them for wanted, because they were named
		if _, err := a.h.Run(ctx, auto...); err != nil {
			return fmt.Errorf("after updates: %w", err)
		}
	}
	return explain("install updates", out)
}

// Refresh is apt-get update. That some repository does not answer is an error, and
// what others said is kept.
func (a *apt) Refresh(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refresh(ctx)
}

func (a *apt) refresh(ctx context.Context) error {
	out, err := a.get(ctx, "-o", "APT::Update::Error-Mode=any", "update")
	a.fresh = true
	if err != nil {
		return fmt.Errorf("read the index of packages: %w", err)
	}
	if err := updated(out); err != nil {
		return fmt.Errorf("read the index of packages: %w", err)
	}
	if err := os.WriteFile(aptStamp, nil, 0o644); err != nil {
		return fmt.Errorf("note when the index of packages was read: %w", err)
	}
	return nil
}

// updated finds errors of apt-get update, of which old versions end with 0.
func updated(out infra.Output) error {
	text := strings.TrimSpace(string(out.Stderr))
	if out.Code == 0 && !strings.Contains(text, "Failed to fetch") && !strings.Contains(text, "GPG error") {
		return nil
	}
	if len(text) > 2000 {
		text = text[:2000]
	}
	return fault.New(fault.Unavailable, "%s", text)
}
