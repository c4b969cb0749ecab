package packages

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"steer/base/fault"
)

// Files are a source in the format deb822, as sources.list(5) describes it, and the
// key that it names.
func (a *apt) Files(r *Repository) ([]file, error) {
	source := file{Name: "source", Path: "/etc/apt/sources.list.d/" + r.Name + ".sources"}
	key := file{Name: "key", Path: "/etc/apt/keyrings/" + r.Name + ".asc"}
	if r.State == absent {
		return []file{source, key}, nil
	}
	if r.Key != "" {
		key.Content = []byte(strings.ReplaceAll(strings.TrimSpace(r.Key), "\r\n", "\n") + "\n")
	}
	suite, components := r.Suite, r.Components
	if suite == "" {
		if suite = a.h.Facts.OS.Codename; suite == "" {
			return nil, fault.New(fault.Invalid, "repository %s: this host does not know the code name of its release (write suite)", r.Name)
		}
	}
	if len(components) == 0 && !strings.HasSuffix(suite, "/") {
		components = []string{"main"}
	}
	var b strings.Builder
	b.WriteString("# Written by Steer: changes here are undone.\n")
	line := func(name string, words ...string) {
		if len(words) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(words, " "))
		}
	}
	line("Types", "deb")
	line("URIs", r.URL)
	line("Suites", suite)
	line("Components", components...)
	line("Architectures", r.Architectures...)
	if r.Trusted {
		line("Trusted", "yes")
	}
	if key.Content != nil {
		line("Signed-By", key.Path)
	}
	source.Content = []byte(b.String())
	return []file{source, key}, nil
}

// Fetch tries the repository under names that apt does not look at, and gives it its
// own when its index could be read. What the other sources of the host say is then
// still fit together with it, or it is taken back.
func (a *apt) Fetch(ctx context.Context, r *Repository, files []file) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	source, key := files[0], files[1]
	trial := []file{hidden(source), hidden(key)}
	defer func() {
		for _, t := range trial {
			t.Content = nil
			_ = put(t) // what is left here is not used
		}
	}()
	trial[0].Content = []byte(strings.ReplaceAll(string(source.Content), key.Path, trial[1].Path))
	if err := put(trial[1]); err != nil {
		return err
	}
	if err := put(trial[0]); err != nil {
		return err
	}
	out, err := a.get(ctx, "-o", "APT::Update::Error-Mode=any", "-o", "Dir::Etc::sourcelist="+trial[0].Path,
		"-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0", "update")
	if err != nil {
		return fmt.Errorf("read its index: %w", err)
	}
	if err := updated(out); err != nil {
		return fmt.Errorf("read its index: %w", err)
	}
	before := make([]file, len(files))
	for i, f := range files {
		before[i] = f
		if before[i].Content, _, err = contents(f.Path); err != nil {
			return err
		}
	}
	if err := write(key, source); err != nil {
		return err
	}
	if _, err := a.h.Run(ctx, "apt-get", "indextargets"); err != nil {
		if undo := write(before[1], before[0]); undo != nil {
			return undo
		}
		return fault.New(fault.Conflict, "apt refuses it beside the other sources, so it was taken back (is it declared twice? look into /etc/apt/sources.list and sources.list.d): %w", err)
	}
	return nil
}

func write(files ...file) error {
	for _, f := range files {
		if err := put(f); err != nil {
			return err
		}
	}
	return nil
}

// hidden is a file beside another, with a name that begins with a dot, which apt
// skips in its folders.
func hidden(f file) file {
	dir, name := filepath.Split(f.Path)
	f.Path = dir + ".trial-" + name
	return f
}
