package source

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/catalog"
)

// reserved is the name of the definitions repository, which is not a service's.
const reserved = "definitions"

// repository is where the source of a service is.
type repository struct {
	name    string // artifact name of the service
	service catalog.Service
	address string // empty: hosted here
	branch  string // mainline
	dir     string // bare repository or mirror on this machine
}

func (r repository) same(other repository) bool {
	return r.address == other.address && r.branch == other.branch && r.dir == other.dir
}

// describe returns where the repository of a services.yaml entry is.
func (s *Source) describe(entry catalog.Service) repository {
	entry.Artifact = cmp.Or(entry.Artifact, id.Service(strings.TrimSuffix(entry.Name, "-service")))
	entry.Branch = cmp.Or(entry.Branch, git.Mainline)
	name := string(entry.Artifact)
	r := repository{name: name, service: entry, address: entry.Repository, branch: entry.Branch, dir: s.hosted(name + ".git")}
	if r.address != "" {
		r.dir = s.mirror(name + ".git")
	}
	return r
}

// find returns the repository that is called name, which may be an artifact
// name or the name of an entry of services.yaml, or the one that a push would
// make.
func (s *Source) find(name string) repository {
	entries := s.Services()
	for _, e := range entries {
		if r := s.describe(e); r.name == name {
			return r
		}
	}
	for _, e := range entries {
		if e.Name == name {
			return s.describe(e)
		}
	}
	return s.describe(catalog.Service{Name: name, Artifact: id.Service(name)})
}

// all returns the repositories that exist: external ones, and those in the
// folder of hosted ones.
func (s *Source) all() (map[string]repository, error) {
	repos := map[string]repository{}
	for _, e := range s.Services() {
		r := s.describe(e)
		if _, err := id.Parse[id.Service]("service", r.name); err == nil && r.address != "" && repos[r.name].name == "" {
			repos[r.name] = r
		}
	}
	entries, err := os.ReadDir(s.hosted(""))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".git")
		if _, err := id.Parse[id.Service]("repository", name); !ok || err != nil || name == reserved {
			continue
		}
		if r := s.find(name); r.name == name && r.address == "" {
			repos[name] = r
		}
	}
	return repos, nil
}

// Repository returns the folder of a repository for git.Handler. A push to a
// name that is none yet makes it; who may do that is the caller's business.
func (s *Source) Repository(name string, push bool) (dir string, err error) {
	if _, err := id.Parse[id.Service]("repository", name); err != nil {
		return "", fault.New(fault.NotFound, "%w", err)
	}
	r := s.find(name)
	if _, err := id.Parse[id.Service]("repository", r.name); err != nil {
		return "", fault.New(fault.Invalid, "%w", err)
	}
	if r.name == reserved {
		return "", fault.New(fault.Conflict, "repository %q: the name belongs to Steer's own definitions: choose another", name)
	}
	if !push {
		if _, err := git.Open(r.dir); err != nil {
			return "", fault.New(fault.NotFound, "no repository %q here: the first push makes it", name)
		}
		return r.dir, nil
	}
	if r.address != "" {
		return "", fault.New(fault.Conflict, "push to %s: its repository is %s, as services.yaml says: push there", name, git.Redact(r.address))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return r.dir, s.create(ctx, r)
}

// create makes a hosted repository where there is none.
func (s *Source) create(ctx context.Context, r repository) error {
	s.creating.Lock()
	defer s.creating.Unlock()
	if _, err := git.Open(r.dir); err == nil {
		return nil
	}
	// First the position: if the rest does not happen, the next push finds it.
	if err := s.begin(ctx, r); err != nil {
		return fmt.Errorf("make repository %s: %w", r.name, err)
	}
	repo, err := git.Init(ctx, r.dir)
	if err != nil {
		return err
	}
	s.Log.Info("repository made", "repository", r.name)
	return repo.SetMainline(ctx, r.branch)
}

// open opens the repository or the mirror of a service.
func (s *Source) open(name string) (*git.Repo, error) {
	r := s.find(name)
	if _, err := id.Parse[id.Service]("service", r.name); err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	repo, err := git.Open(r.dir)
	if fault.Of(err) == fault.NotFound {
		return nil, fault.New(fault.NotFound, "source of %s: no repository here (push to /git/%s.git, or set repository in services.yaml)", name, r.name)
	}
	return repo, err
}

// Files reads all files of a commit or branch of a service's repository.
func (s *Source) Files(ctx context.Context, name, rev string) (fs.FS, error) {
	repo, err := s.open(name)
	if err != nil {
		return nil, err
	}
	return repo.Files(ctx, rev)
}

// ReadFile reads one file of a commit or branch; fault.NotFound when it has none
// of that name.
func (s *Source) ReadFile(ctx context.Context, name, rev, file string) ([]byte, error) {
	repo, err := s.open(name)
	if err != nil {
		return nil, err
	}
	return repo.ReadFile(ctx, rev, file)
}

// Checkout writes the files of a commit or branch into dir, which must be absent
// or empty.
func (s *Source) Checkout(ctx context.Context, name, rev, dir string) error {
	repo, err := s.open(name)
	if err != nil {
		return err
	}
	return repo.Checkout(ctx, rev, dir)
}

// History returns the newest commits of a service's mainline, newest first.
func (s *Source) History(ctx context.Context, name string, limit int) ([]git.Commit, error) {
	repo, err := s.open(name)
	if err != nil {
		return nil, err
	}
	return repo.Log(ctx, "", s.Branch(name), limit)
}

// Branch is the mainline of a service.
func (s *Source) Branch(name string) string { return s.find(name).branch }

// Status is how following a repository goes.
type Status struct {
	Repo     string     `json:"repo"`
	Service  string     `json:"service"`           // entry of services.yaml
	Address  string     `json:"address,omitempty"` // empty: hosted here; without password
	Branch   string     `json:"branch"`
	Head     string     `json:"head,omitempty"` // newest commit that was handed on
	Checked  *time.Time `json:"checked,omitempty"`
	Next     *time.Time `json:"next,omitempty"`     // when it is looked at again
	Failures int        `json:"failures,omitempty"` // in a row
	Error    string     `json:"error,omitempty"`
}

// Status returns the state of every repository, by name.
func (s *Source) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Status, 0, len(s.tracked))
	for _, t := range s.tracked {
		st := Status{Repo: t.name, Service: t.service.Name, Address: git.Redact(t.address), Branch: t.branch, Head: t.head, Failures: t.failures}
		if !t.checked.IsZero() {
			checked, next := t.checked.UTC(), t.next.UTC()
			st.Checked, st.Next = &checked, &next
		}
		if t.err != nil {
			st.Error = t.err.Error()
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Repo, b.Repo) })
	return list
}
