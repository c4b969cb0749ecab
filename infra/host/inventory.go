package host

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// InventoryFile lists the hosts of a definitions repository.
const InventoryFile = "hosts.yaml"

// Entry is one entry of hosts.yaml: a host, or several equal ones.
type Entry struct {
	Roles       []Use          `yaml:"roles" json:"roles" doc:"What the host is, in order: names of roles, or {role: NAME, with: {PARAMETER: VALUE}}."`
	Connect     string         `yaml:"connect" json:"connect,omitempty" doc:"Way to it: local, ssh://USER@NAME:PORT, docker://CONTAINER, nspawn://MACHINE, chroot:///FOLDER, command:PROGRAM with arguments, or agent://NAME for one that joined the server. {} stands for the name of the host, {address} for what make.tofu tells. Default: ssh://root@{}, or the way to what make makes."`
	Number      int            `yaml:"number" json:"number,omitempty" doc:"How many; more than one are called NAME-1, NAME-2 …" default:"1"`
	Group       string         `yaml:"group" json:"group,omitempty" doc:"Hosts of a group converge one first, then the others. Default: the entry's name."`
	Owner       id.Team        `yaml:"owner" json:"owner,omitempty" doc:"Team that answers for it."`
	Environment id.Environment `yaml:"environment" json:"environment,omitempty" doc:"Environment that it belongs to: secrets come from there."`
	Converge    Converge       `yaml:"converge" json:"converge" doc:"How a server keeps the group as declared. Entries of one group say it once."`
	Immutable   bool           `yaml:"immutable" json:"immutable,omitempty" doc:"Nothing on it is ever changed: apply refuses, and what differs is a reason to bake its image anew and to rebuild it."`
	Login       *bool          `yaml:"login" json:"login,omitempty" doc:"false: nobody can log in, by SSH, at a console or with a password; for immutable hosts, whose image is baked with --no-login. One that was opened is replaced. Default: true."`
	Make        *Make          `yaml:"make" json:"make,omitempty" doc:"How steer host create makes it. Without it, the host exists."`
	Service     *SelfService   `yaml:"self_service" json:"-" doc:"Who may change how many there are, and stop, start and rebuild them, without being an operator. Its hosts are called NAME-1, NAME-2 … also when there is one."`
	Removed     string         `yaml:"removed" json:"-" doc:"What a server does with hosts that are too many after number: keep (they are shown as hosts that nobody manages) or destroy." default:"keep"`
	Like        string         `yaml:"like" json:"-" doc:"Name of another entry: these are further hosts of it, and only number, until, requested_by and reason are said here. It needs until."`
	Until       time.Time      `yaml:"until" json:"-" doc:"When its hosts go, as 2026-11-26T20:00:00Z: a server destroys those that Steer made. Default: they stay."`
	RequestedBy id.Person      `yaml:"requested_by" json:"-" doc:"Who asked for hosts that are there for a time."`
	Reason      string         `yaml:"reason" json:"-" doc:"Why."`
}

// Converge is how a server keeps a group of hosts as declared.
type Converge struct {
	Every   config.Duration `yaml:"every" json:"every" doc:"Time between visits; up to a tenth more, so that hosts do not come together. 0: only when somebody asks." default:"1h"`
	Canary  int             `yaml:"canary" json:"canary" doc:"Hosts that get a change first; the others follow when those are well." default:"1"`
	Soak    config.Duration `yaml:"soak" json:"soak" doc:"How long those have to stay well before." default:"0s"`
	Approve bool            `yaml:"approve" json:"approve" doc:"A change waits with its plan until somebody agrees." default:"false"`
	Dead    config.Duration `yaml:"dead" json:"dead" doc:"A host that does not answer for so long is dead." default:"10m"`
	Replace bool            `yaml:"replace" json:"replace" doc:"Make a dead host anew, at most one of the group in an hour, and an immutable one that is not as its image, one at a time; it needs make." default:"false"`
	Drill   Drill           `yaml:"drill" json:"drill" doc:"Rebuild one host of the group for practice in this interval, as 7d or {every: 7d, within: 5m}; 0: never." default:"0s"`
	Erosion Erosion         `yaml:"erosion" json:"erosion" doc:"What is looked for on each visit without being declared, since it comes without a change."`
	// Severity is a word of incidents; see severities.
	Severity string `yaml:"severity" json:"severity,omitempty" doc:"Least severity of incidents about these hosts: page, ticket or info. Default: what the tests say that fail, else ticket."`
}

func checkSeverity(s string) error {
	if severities := []string{"page", "ticket", "info"}; !slices.Contains(severities, s) {
		return fault.New(fault.Invalid, "severity: %q is none%s", s, config.Suggest(s, severities))
	}
	return nil
}

// Drill is a rebuild for practice.
type Drill struct {
	Every  config.Duration `yaml:"every" json:"every" doc:"Time between rebuilds; 0: never." default:"0s"`
	Within config.Duration `yaml:"within" json:"within" doc:"How long making a host anew, until it is as declared, may take; longer opens an incident. 0: no bound." default:"0s"`
}

// ReadRaw also takes the interval alone.
func (d *Drill) ReadRaw(r config.Raw) (err error) {
	type plain Drill
	if text, ok := r.Text(); ok {
		d.Every, err = config.ParseDuration(text)
		return err
	}
	return r.Decode((*plain)(d))
}

// Check says what is wrong.
func (c Converge) Check() error {
	var all []error
	for name, d := range map[string]config.Duration{"every": c.Every, "drill": c.Drill.Every} {
		if d != 0 && d.Std() < 10*time.Second || d < 0 {
			all = append(all, fault.New(fault.Invalid, "%s: %s is too often (at least 10s, or 0 for never)", name, d))
		}
	}
	if c.Canary < 0 || c.Canary > 1000 {
		all = append(all, fault.New(fault.Invalid, "canary: %d hosts are not between 0 and 1000", c.Canary))
	}
	if c.Drill.Within < 0 {
		all = append(all, fault.New(fault.Invalid, "drill: within: %s is no time to stay within", c.Drill.Within))
	}
	if c.Severity != "" {
		all = append(all, checkSeverity(c.Severity))
	}
	if c.Soak < 0 || c.Dead.Std() < time.Second {
		all = append(all, fault.New(fault.Invalid, "soak: and dead: have to be times, dead at least 1s"))
	}
	return errors.Join(all...)
}

// Use is a role of a host.
type Use struct {
	Role string                `yaml:"role" json:"role" doc:"Name."`
	With map[string]config.Raw `yaml:"with" json:"-" doc:"Its parameters."`
}

// ReadRaw also takes the name alone.
func (u *Use) ReadRaw(r config.Raw) error {
	type plain Use
	if text, ok := r.Text(); ok {
		u.Role = text
		return nil
	}
	return r.Decode((*plain)(u))
}

// Host is one host of the inventory.
type Host struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Folder  string `json:"-"` // of the definitions, from which paths of make are
	Item    string `json:"-"` // name of its entry, or of the one that is like
	Entry   `json:"entry"`
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// Check says what is wrong with the entry by itself.
func (e *Entry) Check() error {
	var all []error
	add := func(format string, args ...any) { all = append(all, fault.New(fault.Invalid, format, args...)) }
	least := 1
	if s := e.Service; s != nil {
		if least = s.Least; s.Most > 0 && e.Number > s.Most {
			add("number: %d hosts are more than self_service allows (most: %d)", e.Number, s.Most)
		}
	}
	if e.Number < least || e.Number > 1000 {
		add("number: %d hosts are not between %d and 1000", e.Number, least)
	}
	if e.Removed != "keep" && e.Removed != "destroy" {
		add("removed: %q is neither keep nor destroy", e.Removed)
	}
	if e.Like != "" {
		if len(e.Roles) > 0 || e.Connect != "" || e.Group != "" || e.Owner != "" || e.Environment != "" || e.Make != nil || e.Service != nil || e.Login != nil {
			add("like: they are what %s is (only number, until, requested_by and reason are said here)", e.Like)
		}
		if e.Until.IsZero() {
			add("until: is missing (hosts that stay are a higher number of %s)", e.Like)
		}
		return errors.Join(all...)
	}
	if e.NoLogin() && !e.Immutable {
		add("login: can be false on immutable hosts only, which are replaced and not changed (add immutable: true)")
	}
	if len(e.Roles) == 0 {
		add("roles: are missing (list what the host is, like [web])")
	}
	if (e.Converge.Replace || e.Converge.Drill.Every > 0) && e.Make == nil {
		add("converge: replace and drill need make, since Steer has to make the host anew")
	}
	if e.Removed == "destroy" && e.Make == nil {
		add("removed: destroy needs make, since Steer destroys only what it made")
	}
	if (e.Number > 1 || e.Service != nil) && e.Connect != "" && !strings.Contains(e.Connect, "{}") {
		add("connect: is the same for all %d hosts (write {} where their names differ)", e.Number)
	}
	return errors.Join(all...)
}

// ReadInventory reads hosts.yaml. A repository without the file has no hosts. Hosts
// whose time is over are among them, see Lasting.
func ReadInventory(files fs.FS) ([]Host, error) {
	all, _, err := readInventory(files)
	return all, err
}

// readInventory also returns the entries.
func readInventory(files fs.FS) ([]Host, map[string]*Entry, error) {
	data, err := fs.ReadFile(files, InventoryFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read hosts: %w", err)
	}
	return parseInventory(data)
}

// parseInventory returns hosts and entries, of which some may have no hosts.
func parseInventory(data []byte) ([]Host, map[string]*Entry, error) {
	var entries map[string]*Entry
	doc, err := config.Read(InventoryFile, data, &entries)
	if err != nil {
		return nil, nil, err
	}
	var all []Host
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, doc.Problem(key, fmt.Sprintf(format, args...)))
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e := entries[name]
		if e == nil {
			wrong(name, "is empty (say what the host is, like roles: [web])")
			continue
		}
		if !hostName.MatchString(name) || len(name) > 60 {
			wrong(name, "is no name for a host (write small letters, digits, - and dots)")
		}
		if e.Group == "" {
			e.Group = name
		}
		item := name
		if e.Like != "" {
			of := entries[e.Like]
			switch {
			case of == nil || of.Like != "":
				wrong(name+".like", "%s is no entry with roles%s", e.Like, config.Suggest(e.Like, slices.Sorted(maps.Keys(entries))))
				continue
			case of.Connect != "" && !strings.Contains(of.Connect, "{}"):
				wrong(name+".like", "connect of %s is the same for all hosts (write {} there where their names differ)", e.Like)
			}
			item, e = e.Like, e.like(e.Like, *of)
			entries[name] = e
		}
		for _, one := range e.names(name) {
			h := Host{Name: one, Item: item, Entry: *e}
			h.Address = strings.ReplaceAll(e.Connect, "{}", h.Name)
			if h.Address == "" {
				h.Address = "ssh://root@" + h.Name
				if e.Make != nil && len(e.Make.makers()) > 0 {
					h.Address = e.Make.makers()[0].address(h.Name)
				}
			}
			if e.NoLogin() && byLogin(h) && one == e.names(name)[0] { // the others are, too
				wrong(name+".login", "%s is reached by SSH only, which login: false switches off (make it with docker or nspawn, or let it come by itself: connect: agent://{})", h.Name)
			}
			if slices.ContainsFunc(all, func(o Host) bool { return o.Name == h.Name }) {
				wrong(name, "makes a host %s, which another entry has too", h.Name)
			}
			all = append(all, h)
		}
	}
	return all, entries, config.Join(errs...)
}

// Select keeps the hosts that one of the patterns names: names or groups, with * and ?.
// No patterns select all.
func Select(all []Host, patterns []string) ([]Host, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	var names []string
	for _, h := range all {
		names = append(names, h.Name)
	}
	var out []Host
	for _, p := range patterns {
		some := false
		for _, h := range all {
			byName, err := path.Match(p, h.Name)
			if err != nil {
				return nil, fault.New(fault.Invalid, "--limit %q: %w", p, err)
			}
			if byGroup, _ := path.Match(p, h.Group); !byName && !byGroup {
				continue
			}
			some = true
			if !slices.ContainsFunc(out, func(o Host) bool { return o.Name == h.Name }) {
				out = append(out, h)
			}
		}
		if !some {
			return nil, fault.New(fault.NotFound, "no host or group is called %q%s", p, config.Suggest(p, names))
		}
	}
	return out, nil
}
