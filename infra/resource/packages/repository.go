package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

func repositoryKind() infra.Kind {
	return infra.Kind{
		Name: "repository",
		Key:  "name",
		Doc: "A place that packages come from: a `.sources` file and a key for apt, a `.repo` file for dnf, a file in " +
			"`/etc/apk/repositories.d` for apk. It is written when its index could be read, and its index only is read. " +
			"Without a key, those that the system trusts already are good for it.",
		Example: "- repository:\n    name: pgdg\n    url: https://apt.postgresql.org/pub/repos/apt\n    suite: bookworm-pgdg\n    components: [main]\n    key_file: pgdg.asc\n",
		Class:   "repositories",
		New:     func() infra.Resource { return &Repository{} },
	}
}

// Repository is a source of packages.
type Repository struct {
	Name          string   `yaml:"name" doc:"of its files, and in apk of a comment: letters, digits, - and _"`
	State         string   `yaml:"state,omitempty" default:"present" doc:"present or absent"`
	URL           string   `yaml:"url,omitempty" doc:"where it is; dnf knows $releasever and $basearch in it"`
	Suite         string   `yaml:"suite,omitempty" doc:"apt: as below dists/ there, by default the code name of the host's release; ./ for a repository without suites"`
	Components    []string `yaml:"components,omitempty" doc:"apt: by default main"`
	Architectures []string `yaml:"architectures,omitempty" doc:"apt: only these; by default those of the host"`
	Key           string   `yaml:"key,omitempty" doc:"the public key that signs it, as ASCII armour (apk: PEM)"`
	KeyFile       string   `yaml:"key_file,omitempty" doc:"the same as a file of the role, which may be binary"`
	KeyName       string   `yaml:"key_name,omitempty" doc:"apk: file name of the key, which signatures refer to; by default NAME.rsa.pub"`
	Trusted       bool     `yaml:"trusted,omitempty" default:"false" doc:"take packages without a signature: for repositories on the host itself"`
}

var repositoryName = infra.Pattern(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// Check refuses what can't be.
func (r *Repository) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	if !repositoryName().MatchString(r.Name) {
		wrong("name: %q is no name of a repository (letters, digits, - and _, since package managers skip other files)", r.Name)
	}
	switch r.State {
	case absent:
		return errors.Join(errs...)
	case present:
	default:
		wrong("state: %q is neither present nor absent", r.State)
	}
	if u, err := url.Parse(r.URL); err != nil || u.Scheme == "" || strings.ContainsAny(r.URL, " \t\r\n") {
		wrong("url: %q is no URL (like https://example.org/debian)", r.URL)
	}
	for key, words := range map[string][]string{"suite": {r.Suite}, "components": r.Components, "architectures": r.Architectures} {
		for _, w := range words {
			if strings.ContainsAny(w, " \t\r\n") {
				wrong("%s: %q has a blank in it", key, w)
			}
		}
	}
	if strings.HasSuffix(r.Suite, "/") && len(r.Components) > 0 {
		wrong("components: a suite that ends in / has none")
	}
	if r.KeyName != "" && !names.MatchString(r.KeyName) {
		wrong("key_name: %q is no name of a file", r.KeyName)
	}
	if r.Key != "" && r.KeyFile != "" {
		wrong("key_file: the key is given already (drop key or key_file)")
	}
	if r.Key != "" {
		if err := checkKey(r.Key); err != nil {
			wrong("key: %w", err)
		}
	}
	return errors.Join(errs...)
}

func checkKey(key string) error {
	switch {
	case strings.Contains(key, "PRIVATE KEY"):
		return fault.New(fault.Invalid, "this is a private key (revoke it, since others may have read it; what belongs here is the public one)")
	case strings.Contains(key, "BEGIN PGP PUBLIC KEY BLOCK") && strings.Contains(key, "END PGP PUBLIC KEY BLOCK"),
		strings.Contains(key, "BEGIN PUBLIC KEY") && strings.Contains(key, "END PUBLIC KEY"):
		return nil
	}
	return fault.New(fault.Invalid, "this is no public key as text (gpg --armor --export makes one)")
}

// Source reads the key.
func (r *Repository) Source(read func(string) ([]byte, error), _ map[string]any) error {
	if r.KeyFile == "" {
		return nil
	}
	b, err := read(r.KeyFile)
	if err != nil {
		return err
	}
	text := armoured(b)
	if err := checkKey(text); err != nil {
		return fault.New(fault.Invalid, "key_file: %s: %w", r.KeyFile, err)
	}
	r.Key, r.KeyFile = text, ""
	return nil
}

// ID is the name.
func (r *Repository) ID() string { return r.Name }

// Gives is the repository.
func (r *Repository) Gives() []string { return []string{"repository:" + r.Name} }

// Claims its files, as all managers have them: which one the host has is not known yet.
func (r *Repository) Claims() []infra.Claim {
	var all []infra.Claim
	for _, m := range []manager{newApt(nil), newDnf(nil), newApk(nil)} {
		files, _ := m.Files(&Repository{Name: r.Name, KeyName: r.KeyName, State: absent}) // cannot fail for absent ones
		for _, f := range files {
			all = append(all, infra.Claim{Name: "path:" + f.Path})
		}
	}
	return all
}

// Needs nothing.
func (r *Repository) Needs() []string { return nil }

// Absent is the repository without its files.
func (r *Repository) Absent() infra.Resource {
	return &Repository{Name: r.Name, KeyName: r.KeyName, State: absent}
}

// file is what should be in a file.
type file struct {
	Name    string // field of a diff
	Path    string
	Content []byte // nil: the file must not exist
}

// Diff compares the files.
func (r *Repository) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	d, _, err := r.compare(h)
	return d, err
}

func (r *Repository) compare(h *infra.Host) (infra.Diff, []file, error) {
	var d infra.Diff
	m, err := open(h)
	if err != nil {
		return d, nil, err
	}
	files, err := m.Files(r)
	if err != nil {
		return d, nil, err
	}
	for i, f := range files {
		old, there, err := contents(f.Path)
		if err != nil {
			return d, nil, err
		}
		switch {
		case f.Content == nil && there:
			if r.State == absent {
				d.Action = infra.Delete
			}
			d.Set(f.Name, f.Path, absent)
		case f.Content != nil && (!there || !bytes.Equal(old, f.Content)):
			if i == 0 && !there {
				d.Action = infra.Create
			}
			d.SetContent(f.Name, old, f.Content)
		case f.Content != nil:
			is, err := os.Lstat(f.Path)
			if err != nil {
				return d, nil, err
			}
			if is.Mode() != 0o644 { // apt reads keys as another user
				d.Set(f.Name+" mode", is.Mode().String(), fs.FileMode(0o644).String())
			}
		}
	}
	return d, files, nil
}

// contents reads a file; one that does not exist is not there.
func contents(path string) (data []byte, there bool, err error) {
	data, err = os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		_, err = os.Lstat(path) // a dangling link is in the way
		return nil, err == nil, nil
	}
	return data, err == nil, err
}

// Apply writes them if the repository can be read.
func (r *Repository) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	_, files, err := r.compare(h)
	if err != nil {
		return err
	}
	m, err := open(h)
	if err != nil {
		return err
	}
	if r.State == present {
		if err := m.Fetch(ctx, r, files); err != nil {
			return fmt.Errorf("repository %s: %w", r.Name, err)
		}
		return nil
	}
	for _, f := range slices.Backward(files) {
		if err := put(f); err != nil {
			return fmt.Errorf("repository %s: %w", r.Name, err)
		}
	}
	return nil
}
