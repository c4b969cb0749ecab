package file

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// largestContent bounds the content of a file from a role.
const largestContent = 16 << 20

// File is a file as it should be.
type File struct {
	Path         string  `yaml:"path" doc:"Absolute path. Its folder has to be there, or declared."`
	Content      *string `yaml:"content,omitempty" doc:"What is in it, may be empty. Without content and source only owner, group and mode are looked after; a missing file is made empty."`
	From         string  `yaml:"source,omitempty" doc:"File of the role with the content, like files/motd."`
	Encoding     string  `yaml:"encoding,omitempty" doc:"Write base64 when content is in base64, for what is not text."`
	place.Access `yaml:",inline"`
	State        string `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	Validate     string `yaml:"validate,omitempty" doc:"Command that judges a new content before it takes its place, like visudo -cf %s; %s is the file to judge. Words are split at spaces, no shell reads them."`
	Backup       bool   `yaml:"backup,omitempty" doc:"Keep what was there before as PATH.bak."`
	Force        bool   `yaml:"force,omitempty" doc:"Replace also a symlink, a socket or an empty folder at this path."`
}

func fileKind() infra.Kind {
	return infra.Kind{
		Name: "file",
		Doc: "A file with its content, owner and rights. The new content takes the place of the old one in one step, after validate agreed to it; " +
			"a symlink at the path is replaced by a file when there is a content, never written through.",
		Key: "path",
		Example: `- file: /etc/sudoers.d/deploy
  source: files/deploy.sudoers
  mode: "0440"
  validate: visudo -cf %s
`,
		Class: place.Class,
		New:   func() infra.Resource { return &File{} },
	}
}

// ID is the path.
func (f *File) ID() string { return f.Path }

// Check looks at the declaration.
func (f *File) Check() error {
	if err := place.CleanPath("path", &f.Path); err != nil {
		return err
	}
	if err := place.CheckState(f.State); err != nil {
		return err
	}
	if f.Content != nil && f.From != "" {
		return fmt.Errorf("source: stands beside content (keep one of them)")
	}
	if f.State == place.Absent && (f.Content != nil || f.From != "") {
		return fmt.Errorf("state: is absent, and there is a content (keep one of them)")
	}
	switch f.Encoding {
	case "":
	case "base64":
		if _, err := f.content(); err != nil {
			return fmt.Errorf("content: %v", err)
		}
	default:
		return fmt.Errorf("encoding: %q is unknown (write base64, or leave it out for text)", f.Encoding)
	}
	return place.CheckValidate(f.Validate)
}

// content is what shall be in the file.
func (f *File) content() (string, error) {
	if f.Content == nil || f.Encoding == "" {
		return deref(f.Content), nil
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(*f.Content), ""))
	if err != nil {
		return "", fmt.Errorf("is not in base64: %w", err)
	}
	return string(b), nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Source reads the file of the role into the content.
func (f *File) Source(read func(string) ([]byte, error), _ map[string]any) error {
	if f.From == "" {
		return nil
	}
	b, err := place.ReadSource(read, f.From, largestContent)
	if err == nil {
		f.set(string(b))
	}
	return err
}

// set takes over a content that was read. What YAML could not carry goes as base64.
func (f *File) set(content string) {
	f.From, f.Encoding = "", ""
	odd := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }
	if !utf8.ValidString(content) || strings.ContainsFunc(content, odd) {
		content, f.Encoding = base64.StdEncoding.EncodeToString([]byte(content)), "base64"
	}
	f.Content = &content
}

// Gives names the file.
func (f *File) Gives() []string {
	if f.State == place.Absent {
		return nil
	}
	return []string{"path:" + f.Path}
}

// Needs names its folder and owners.
func (f *File) Needs() []string { return append(f.Accounts(), "path:"+f.Path) }

// Claims is the file; with a content, or as one that is not there, for itself.
func (f *File) Claims() []infra.Claim {
	as := infra.Alone
	if f.State == place.Present && f.Content == nil && f.From == "" {
		as = infra.Rights
	}
	return []infra.Claim{{Name: "path:" + f.Path, As: as}}
}

// Watch names what to watch.
func (f *File) Watch() []string { return []string{f.Path} }

// Absent declares it away.
func (f *File) Absent() infra.Resource { return &File{Path: f.Path, State: place.Absent} }

// Diff compares.
func (f *File) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	if f.From != "" {
		return infra.Diff{}, fault.New(fault.Internal, "compare %s: %s of the role was not read", f.Path, f.From)
	}
	p, err := place.Open(f.Path)
	if place.Nowhere(err) {
		return f.created(infra.Create), nil
	}
	if err != nil {
		return infra.Diff{}, fmt.Errorf("compare %s: %w", f.Path, err)
	}
	defer p.Close()
	var d infra.Diff
	st, ok, err := p.Stat()
	switch {
	case err != nil:
		return d, err
	case !ok:
		return f.created(infra.Create), nil
	case f.State == place.Absent:
		return gone(p, st, "file", f.Force)
	case place.TypeOf(st) != "file":
		if place.TypeOf(st) == "symlink" && f.Content == nil && !f.Force {
			return d, fault.New(fault.Conflict, "%s is a symlink (name the file to which it leads, or write force: true to have a file instead)", f.Path)
		}
		if err := p.GiveWay(st, "file", f.Force || place.TypeOf(st) == "symlink"); err != nil {
			return d, err
		}
		d = f.created(infra.Replace)
		d.Fields = append([]infra.Field{{Name: "type", Old: place.TypeOf(st), New: "file"}}, d.Fields...)
		return d, nil
	}
	if f.Content != nil {
		content, err := f.content()
		if err != nil {
			return d, err
		}
		if err := p.CompareContent(st, content, &d); err != nil {
			return d, err
		}
	}
	return d, f.Compare(h, st, &d)
}

// gone is the difference of something that shall not be there.
func gone(p place.Place, st unix.Stat_t, want string, force bool) (infra.Diff, error) {
	is := place.TypeOf(st)
	if is != want && !(want == "file" && is == "symlink") {
		if err := p.GiveWay(st, want, force); err != nil {
			return infra.Diff{}, err
		}
	}
	return infra.Diff{Action: infra.Delete, Fields: []infra.Field{{Name: "state", Old: place.Present, New: place.Absent}}}, nil
}

// created is the difference of a file that is not there.
func (f *File) created(action infra.Action) infra.Diff {
	var d infra.Diff
	if f.State == place.Absent {
		return d
	}
	d.Action = action
	if f.Content != nil {
		if content, err := f.content(); err == nil && content != "" {
			d.SetContent("content", nil, []byte(content))
		}
	}
	f.Declare(&d)
	return d
}

// Apply writes, changes or removes it.
func (f *File) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	release, err := place.Lock(h, f.Path)
	if err != nil {
		return err
	}
	defer release()
	p, err := place.Open(f.Path)
	if place.Nowhere(err) {
		if f.State == place.Absent {
			return nil
		}
		return place.Missing(f.Path, err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	defer p.Close()
	if f.State == place.Absent {
		return p.Remove()
	}
	st, ok, err := p.Stat()
	if err != nil {
		return err
	}
	if ok && place.TypeOf(st) == "file" && !d.Has("content") {
		return f.Give(h, p, st)
	}
	content, err := f.content()
	if err != nil {
		return err
	}
	return p.Write(ctx, h, content, place.Writing{Access: f.Access, Validate: f.Validate, Backup: f.Backup})
}
