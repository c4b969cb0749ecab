// Package repository serves the packages of artifacts as repositories that apt and dnf
// read: one suite for each environment, and the suite "all" of every green version.
//
//	/debian/dists/SUITE/InRelease …, /debian/pool/main/SERVICE/VERSION/FILE
//	/rpm/SUITE/repodata/repomd.xml …, /rpm/SUITE/pool/SERVICE/VERSION/FILE
//
// Indexes are made of the database when somebody asks after something has happened, and
// kept in memory. Every index file can be had by a name that is its digest, and some
// generations of them stay, so that a client that read the list of them a moment ago
// finds what it says. Files in the pool never change, and stay when no index has them.
package repository

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/artifact"
	"steer/deliver/artifact/internal/openpgp"
	"steer/deliver/artifact/internal/parcel"
)

// All is the suite of every green version.
const All = "all"

// Entry is a package and where hosts may have it from.
type Entry struct {
	artifact.Package
	Suites []string // environments, and All
}

// Options is what a repository needs.
type Options struct {
	Key string // file of the key that signs; made when there is none
	// Suites names those that there are, even without packages.
	Suites func() []string
	// Entries lists all packages, newest first. It is asked when Revision has changed.
	Entries  func(context.Context) ([]Entry, error)
	Revision func(context.Context) (int64, error)
	// Package finds one by its file, and Open opens a file by its digest.
	Package func(ctx context.Context, service id.Service, version id.Version, file string) (artifact.Package, error)
	Open    func(digest string) (*os.File, error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Repository is an http.Handler of /debian/ and /rpm/. It is safe for concurrent use.
type Repository struct {
	o   Options
	key func() (*openpgp.Key, error)

	mu       sync.Mutex // guards what follows, and one at a time makes indexes
	revision int64
	suites   map[string]*suite
	known    map[string]about // what packages say of themselves, by digest
}

// about is what a package says of itself.
type about struct {
	deb parcel.Control
	rpm parcel.About
	err error
}

// suite is a set of packages with its indexes.
type suite struct {
	print string // of what is in it
	made  time.Time
	debs  map[string][]byte // below dists/SUITE/
	rpms  map[string][]byte // below repodata/
	now   map[string][]byte // all of them by their digest
	old   []map[string][]byte
}

const (
	// mostVersions is how many versions of a package a suite holds: to go back by
	// name further than that takes the file itself.
	mostVersions = 10
	// mostOld is how many earlier generations of indexes can still be had by digest.
	mostOld = 5
)

// New makes a repository.
func New(o Options) *Repository {
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Repository{
		o: o, key: sync.OnceValues(func() (*openpgp.Key, error) { return openpgp.Open(o.Key) }),
		revision: -1, suites: map[string]*suite{}, known: map[string]about{},
	}
}

// suite returns one as it is now.
func (r *Repository) suite(ctx context.Context, name string) (*suite, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	revision, err := r.o.Revision(ctx)
	if err != nil {
		return nil, err
	}
	names := r.o.Suites()
	if revision != r.revision || slices.ContainsFunc(names, func(n string) bool { return r.suites[n] == nil }) {
		if err := r.refresh(ctx, names); err != nil {
			return nil, err
		}
		r.revision = revision
	}
	if s := r.suites[name]; s != nil && slices.Contains(names, name) {
		c := *s // others may make the next generation meanwhile
		return &c, nil
	}
	return nil, fault.New(fault.NotFound, "package repository: there is no suite %q (there are: %s)", name, strings.Join(names, ", "))
}

// refresh makes the indexes of the suites whose packages are others than before.
func (r *Repository) refresh(ctx context.Context, names []string) error {
	entries, err := r.o.Entries(ctx)
	if err != nil {
		return err
	}
	key, err := r.key()
	if err != nil {
		return err
	}
	r.learn(entries)
	for _, name := range names {
		list := r.chosen(entries, name)
		var print strings.Builder
		for _, e := range list {
			fmt.Fprintf(&print, "%s/%s/%s %s\n", e.Service, e.Version, e.Name, e.Digest)
		}
		old := r.suites[name]
		if old != nil && old.print == print.String() {
			continue
		}
		s := &suite{print: print.String(), made: r.o.Now().UTC().Truncate(time.Second)}
		if old != nil {
			// Clients take an index for new by its time, in seconds.
			if !s.made.After(old.made) {
				s.made = old.made.Add(time.Second)
			}
			s.old = append([]map[string][]byte{old.now}, old.old...)
			s.old = s.old[:min(len(s.old), mostOld)]
		}
		s.debs, s.rpms = r.debian(name, list, s.made, key), r.rpm(list, s.made, key)
		s.now = byDigest(s.debs, s.rpms)
		r.suites[name] = s
	}
	maps.DeleteFunc(r.suites, func(name string, _ *suite) bool { return !slices.Contains(names, name) })
	return nil
}

// learn reads what packages say of themselves, once, and forgets those that are gone.
func (r *Repository) learn(entries []Entry) {
	now := map[string]about{}
	for _, e := range entries {
		if len(e.Suites) == 0 {
			continue
		}
		a, ok := r.known[e.Digest]
		if !ok {
			if a = r.read(e); a.err != nil {
				r.o.Log.Error("package cannot be read, so no index has it", "service", e.Service, "version", e.Version, "file", e.Name, "error", a.err)
			}
		}
		now[e.Digest] = a
	}
	r.known = now
}

func (r *Repository) read(e Entry) (a about) {
	f, err := r.o.Open(e.Digest)
	if err != nil {
		return about{err: err}
	}
	defer f.Close()
	if e.Kind == parcel.Deb {
		a.deb, a.err = parcel.ReadDeb(f)
	} else {
		a.rpm, a.err = parcel.ReadRPM(f)
	}
	return a
}

// chosen are the packages of a suite. Of those that are the same to a package manager
// the newest is there alone, and of each package the newest versions.
func (r *Repository) chosen(entries []Entry, suite string) []Entry {
	var list []Entry
	same, count := map[string]bool{}, map[string]int{}
	for _, e := range entries {
		a := r.known[e.Digest]
		if a.err != nil || !slices.Contains(e.Suites, suite) {
			continue
		}
		name, version := a.deb.Get("Package")+" "+a.deb.Get("Architecture"), a.deb.Get("Version")
		if e.Kind == parcel.RPM {
			name, version = a.rpm.Name+" "+a.rpm.Architecture, a.rpm.Epoch+":"+a.rpm.Version+"-"+a.rpm.Release
		}
		name = e.Kind + " " + name
		if same[name+" "+version] || count[name] >= mostVersions {
			continue
		}
		same[name+" "+version] = true
		count[name]++
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Created.Compare(b.Created), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// byDigest names files by what they hold.
func byDigest(sets ...map[string][]byte) map[string][]byte {
	all := map[string][]byte{}
	for _, files := range sets {
		for _, b := range files {
			all[digest(b)] = b
		}
	}
	return all
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// find returns an index file by its digest, of this or of an earlier generation.
func (s *suite) find(hex string) ([]byte, bool) {
	for _, files := range append([]map[string][]byte{s.now}, s.old...) {
		if b, ok := files[hex]; ok {
			return b, true
		}
	}
	return nil, false
}

// place is where a package's file is below a pool.
func (e Entry) place() string { return fmt.Sprintf("%s/%s/%s", e.Service, e.Version, e.Name) }
