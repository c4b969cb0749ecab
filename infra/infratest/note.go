package infratest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Kinds are small kinds for tests of what works with any kind: "note", a file with a
// text, and "bell", which writes down each time that it is told.
func Kinds() infra.Kinds {
	return infra.Kinds{
		{Name: "note", Doc: "A file.", Key: "path", Class: "notes", New: func() infra.Resource { return &Note{} }},
		{Name: "bell", Doc: "A log of being told.", Key: "path", New: func() infra.Resource { return &Bell{} }},
	}
}

// Note is a file with a text.
type Note struct {
	Path   string   `yaml:"path" doc:"Where."`
	Text   string   `yaml:"text,omitempty" doc:"What; BREAK cannot be written."`
	From   string   `yaml:"source,omitempty" doc:"File of the role with the text."`
	Lines  []string `yaml:"lines,omitempty" doc:"More."`
	Number int      `yaml:"number,omitempty" doc:"A number, written after the text if not 0."`
	State  string   `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	// Applied, if given, is called at each Apply.
	Applied func() `yaml:"-" json:"-"`
}

// Check says what is wrong with the declaration.
func (n *Note) Check() error {
	if !filepath.IsAbs(n.Path) {
		return fault.New(fault.Invalid, "path: %q is not absolute", n.Path)
	}
	return nil
}

// ID is the path.
func (n *Note) ID() string { return n.Path }

// Gives is the path.
func (n *Note) Gives() []string { return []string{"path:" + n.Path} }

// Needs is the folder.
func (n *Note) Needs() []string { return []string{"path:" + filepath.Dir(n.Path)} }

// Absent is the note that is not there.
func (n *Note) Absent() infra.Resource { return &Note{Path: n.Path, State: "absent"} }

// Source reads the text, when it is in a file of the role.
func (n *Note) Source(read func(string) ([]byte, error), data map[string]any) error {
	if n.From == "" {
		return nil
	}
	b, err := read(n.From)
	n.Text = string(b)
	return err
}

func (n *Note) want() string {
	s := n.Text + strings.Join(n.Lines, "\n")
	if n.Number != 0 {
		s += strings.Repeat("i", n.Number)
	}
	return s
}

// Diff compares.
func (n *Note) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	b, err := os.ReadFile(n.Path)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return infra.Diff{}, err
	}
	var d infra.Diff
	switch {
	case n.State == "absent" && there:
		d.Action = infra.Delete
	case n.State != "absent" && !there:
		d.Action = infra.Create
		d.SetContent("text", nil, []byte(n.want()))
	case n.State != "absent" && string(b) != n.want():
		d.SetContent("text", b, []byte(n.want()))
	}
	return d, nil
}

// Capture is the note that is there.
func (n *Note) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	b, err := os.ReadFile(n.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return n.Absent(), nil
	}
	return &Note{Path: n.Path, Text: string(b), State: "present"}, err
}

// Apply writes or removes.
func (n *Note) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	if n.Applied != nil {
		n.Applied()
	}
	if strings.Contains(n.Text, "BREAK") {
		return errors.New("cannot be written: " + n.Text)
	}
	if d.Action == infra.Delete {
		return os.Remove(n.Path)
	}
	return os.WriteFile(n.Path, []byte(n.want()), 0o600)
}

// Bell writes down each time that it is told.
type Bell struct {
	Path string `yaml:"path" doc:"The log."`
}

// ID is the path.
func (b *Bell) ID() string { return b.Path }

// Diff finds nothing: a bell only rings.
func (b *Bell) Diff(context.Context, *infra.Host) (infra.Diff, error) { return infra.Diff{}, nil }

// Apply has nothing to do.
func (b *Bell) Apply(context.Context, *infra.Host, infra.Diff) error { return nil }

// Notify rings.
func (b *Bell) Notify(context.Context, *infra.Host) error {
	f, err := os.OpenFile(b.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("rung\n")
	return errors.Join(err, f.Close())
}
