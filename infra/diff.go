package infra

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
)

// Action is what applying a resource does to it.
type Action string

// The actions. None is the zero value: the host is as declared.
const (
	None    Action = ""
	Create  Action = "create"
	Update  Action = "update"
	Delete  Action = "delete"
	Replace Action = "replace" // deleted, then created as something else
	Run     Action = "run"     // a command
	Report  Action = "report"  // nothing: the declaration is only watched
)

// Diff is how a host differs from a declaration. The zero Diff: not at all.
type Diff struct {
	Action Action  `json:"action,omitempty"`
	Fields []Field `json:"fields,omitempty"`
}

// Field is one difference.
type Field struct {
	Name string `json:"name"` // as in roles
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	// Text is a unified diff, of contents; Old and New are then empty or a size.
	Text string `json:"text,omitempty"`
}

// Sensitive stands in diffs for what nobody may read.
const Sensitive = "(sensitive)"

// Empty tells whether there is nothing to do.
func (d Diff) Empty() bool { return d.Action == None }

// Set adds a difference; an update unless the diff is something else already.
func (d *Diff) Set(name, old, new string) {
	if d.Action == None {
		d.Action = Update
	}
	d.Fields = append(d.Fields, Field{Name: name, Old: old, New: new})
}

// Has tells whether a field differs.
func (d Diff) Has(name string) bool {
	for _, f := range d.Fields {
		if f.Name == name {
			return true
		}
	}
	return false
}

// largestText bounds what is compared line by line, and shown.
const largestText = 256 << 10

// SetContent adds a difference of contents: as a unified diff of texts, as sizes of
// anything else.
func (d *Diff) SetContent(name string, old, new []byte) {
	if d.Action == None {
		d.Action = Update
	}
	f := Field{Name: name}
	if isText(old) && isText(new) && len(old)+len(new) <= largestText {
		text := diff.Diff("host", old, "role", new)
		if i := bytes.Index(text, []byte("@@")); i >= 0 {
			text = text[i:] // without the names of the files
		}
		f.Text = string(text)
	} else {
		f.Old, f.New = fmt.Sprintf("%d bytes", len(old)), fmt.Sprintf("%d other bytes", len(new))
	}
	d.Fields = append(d.Fields, f)
}

func isText(b []byte) bool { return utf8.Valid(b) && !bytes.ContainsRune(b, 0) }

// Masked is the diff with nothing in it that may be secret.
func (d Diff) Masked() Diff {
	masked := Diff{Action: d.Action}
	for _, f := range d.Fields {
		f.Text = ""
		if f.Old != "" {
			f.Old = Sensitive
		}
		f.New = Sensitive
		masked.Fields = append(masked.Fields, f)
	}
	return masked
}

// String is the diff in one line, for logs: "update mode, content".
func (d Diff) String() string {
	var names []string
	for _, f := range d.Fields {
		names = append(names, f.Name)
	}
	return strings.TrimSpace(string(d.Action) + " " + strings.Join(names, ", "))
}

// Drift is a resource that differs from its declaration, as it was seen when nobody
// of ours changed the host. Without an action it is as declared again.
type Drift struct {
	Ref    string    `json:"ref"`
	Role   string    `json:"role,omitempty"`
	Place  string    `json:"place,omitempty"`
	Heal   Heal      `json:"heal,omitempty"`
	Action Action    `json:"action,omitempty"`
	Fields []Field   `json:"fields,omitempty"` // without values when the resource is sensitive
	At     time.Time `json:"at"`
	// Hints tell who was around then, as far as the host knows: no proofs.
	Hints []string `json:"hints,omitempty"`
}
