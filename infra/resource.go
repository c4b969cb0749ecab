package infra

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"steer/base/config"
)

// Resource is one thing on a host as it should be. It is a pointer to a struct
// whose fields carry yaml, doc and default tags (see base/config), decoded and
// checked from what a role says, so that its methods meet valid values only.
type Resource interface {
	// ID tells it from others of its kind on the same host: a path, a name.
	ID() string
	// Diff compares the host with the declaration. It only reads. What does not exist
	// yet (the owner of a file, the unit of a service) is a difference, no error: an
	// earlier resource may make it.
	Diff(ctx context.Context, h *Host) (Diff, error)
	// Apply makes the host as declared; d is what Diff found just before. It may be
	// cut off anywhere and called again.
	Apply(ctx context.Context, h *Host, d Diff) error
}

// Related is a resource that others may have to wait for, or that has to wait. Names
// are like path:/etc/nginx, user:web, group:web, package:nginx, unit:nginx.service.
// Whoever needs a name is applied after the resource on the same host that gives it;
// whoever needs a path also after the nearest folder above it.
type Related interface {
	Gives() []string
	Needs() []string
}

// Removable is a resource that can be taken away again.
type Removable interface {
	// Absent is the declaration under which it does not exist. It must hold no secret:
	// hosts remember it.
	Absent() Resource
}

// Notified is a resource that does something when others changed that notify it: a
// service restarts, a command runs.
type Notified interface {
	Notify(ctx context.Context, h *Host) error
}

// Sourced is a resource whose contents are files of the role.
type Sourced interface {
	// Source reads them, once, where the definitions are. Names are as the role
	// writes them, data what templates see.
	Source(read func(name string) ([]byte, error), data map[string]any) error
}

// Stated is a resource that is more than its declaration: a package has a version
// also when any will do. Equal hosts have equal states.
type Stated interface {
	State(ctx context.Context, h *Host) (string, error)
}

// Live is a resource of which something can only be done where the host runs.
type Live interface {
	// LeftOut says what is not done on a host that does not, empty for nothing.
	LeftOut() string
}

// Prepared is a resource that is compared with something which all of its kind share
// and which takes long to read, like the list of packages. A run asks one of each kind
// to read it early, while other resources are compared.
type Prepared interface {
	Prepare(ctx context.Context, h *Host)
}

// Captured is a resource that can tell how the host is now in the words of roles, so
// that it can be put back to that, or taken over into the definitions.
type Captured interface {
	// Capture is the declaration from which the host does not differ now: of the same
	// kind, or of the kind of what stands in its place (a symlink where a file is
	// declared). What is not there is declared absent. An error says why there is none.
	Capture(ctx context.Context, h *Host) (Resource, error)
}

// Rewriter is a resource that looks after a part of files only. Before it changes them
// they are captured whole, as resources of the kind "file", instead of the part.
type Rewriter interface {
	// Rewrites lists them; secret says that nobody may read what is in them.
	Rewrites(h *Host) (files []string, secret bool, err error)
}

// LargestCapture bounds a file whose content is captured, in bytes.
const LargestCapture = 4 << 20

// Watched is a resource whose drift the kernel can tell.
type Watched interface {
	Watch() []string // paths; with a slash at the end, all that is in the folder too; with /** all below it
}

// Supervised is a resource whose drift systemd can tell.
type Supervised interface {
	Units() []string // whole names, like nginx.service
}

// Kind is one kind of resource.
type Kind struct {
	Name string // as in roles and in references: file in file:/etc/motd
	Doc  string // one paragraph for operators
	// Key is the field that a role may write alone: "- package: nginx".
	Key     string
	Example string // YAML of one item of resources
	// Class: resources of one class that stand side by side may be applied at the same
	// time, since they do not change each other (files, folders and links are one class).
	// A kind without a class may change anything: what is written before it is finished
	// first, what is written after it waits.
	Class string
	New   func() Resource
}

// Kinds are the kinds that a program knows.
type Kinds []Kind

// Find returns the kind of a name.
func (k Kinds) Find(name string) (Kind, bool) {
	i := slices.IndexFunc(k, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return k[i], true
}

// Of returns the kind of a resource.
func (k Kinds) Of(r Resource) (Kind, bool) {
	i := slices.IndexFunc(k, func(k Kind) bool { return reflect.TypeOf(k.New()) == reflect.TypeOf(r) })
	if i < 0 {
		return Kind{}, false
	}
	return k[i], true
}

// Names lists the names of all kinds.
func (k Kinds) Names() []string {
	var all []string
	for _, one := range k {
		all = append(all, one.Name)
	}
	return all
}

// Heal is what unattended convergence does about drift of a resource.
type Heal string

// The policies.
const (
	HealDrift   Heal = "heal"   // put it right
	ReportDrift Heal = "report" // only say so
	AskDrift    Heal = "ask"    // wait until somebody agrees
)

// Declared is a resource in a manifest.
type Declared struct {
	Kind      string   `yaml:"kind" json:"kind"`
	ID        string   `yaml:"id" json:"id"`
	Resource  Resource `yaml:"-" json:"-"`
	Role      string   `yaml:"role" json:"role"`   // that declares it
	Place     string   `yaml:"place" json:"place"` // FILE:LINE
	After     []string `yaml:"after" json:"after,omitempty"`
	Notify    []string `yaml:"notify" json:"notify,omitempty"`
	Tags      []string `yaml:"tags" json:"tags,omitempty"`
	Heal      Heal     `yaml:"heal" json:"heal,omitempty"`
	Sensitive bool     `yaml:"sensitive" json:"sensitive,omitempty"` // its values are secret: no diff shows them
	Class     string   `yaml:"-" json:"-"`                           // see Kind
}

// Ref is how others name the resource: KIND:ID.
func (d Declared) Ref() string { return d.Kind + ":" + d.ID }

// Manifest is everything that one host should be.
type Manifest struct {
	Roles     []string   `json:"roles"`
	Resources []Declared `json:"resources"` // as written, included roles first
	// Tests are those of all its roles, filled in like the resources.
	Tests []config.Raw `json:"-"`
	// Checks are what a server watches of the host.
	Checks []config.Raw `json:"-"`
	// Secret tells that a parameter was a secret, wherever it went.
	Secret bool `json:"-"`
}

// CheckRef says whether a text names a resource.
func CheckRef(ref string, kinds Kinds) error {
	kind, id, ok := strings.Cut(ref, ":")
	if !ok || id == "" {
		return fmt.Errorf("%q names no resource (write KIND:ID, like service:nginx)", ref)
	}
	if _, ok := kinds.Find(kind); !ok {
		return fmt.Errorf("%q: there is no kind %q (write KIND:ID, like service:nginx)", ref, kind)
	}
	return nil
}
