package artifact

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/oci"
	"steer/catalog"
	"steer/deliver/artifact/internal/openpgp"
	"steer/deliver/artifact/internal/parcel"
)

// Media types of packages.
const (
	TypeDeb = "application/vnd.debian.binary-package"
	TypeRPM = "application/x-rpm"
)

// Package is a file of an artifact that hosts install.
type Package struct {
	Service id.Service `json:"service"`
	Version id.Version `json:"version"`
	Name    string     `json:"name"`   // of the file
	Kind    string     `json:"kind"`   // deb or rpm
	Digest  string     `json:"digest"` // of the file: "sha256:…"
	Size    int64      `json:"size"`   // bytes
	Created time.Time  `json:"created"`
}

// Packages lists the packages of all services, newest first, at most limit.
func (r *Repository) Packages(ctx context.Context, limit int) ([]Package, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT service, version, name, kind, digest, size, created FROM artifact_package
		ORDER BY created DESC, service, version, name LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	defer rows.Close()
	var all []Package
	for rows.Next() {
		var p Package
		var created int64
		if err := rows.Scan(&p.Service, &p.Version, &p.Name, &p.Kind, &p.Digest, &p.Size, &created); err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		p.Created = database.Time(created)
		all = append(all, p)
	}
	return all, rows.Err()
}

// Package returns one package by the name of its file.
func (r *Repository) Package(ctx context.Context, service id.Service, version id.Version, name string) (Package, error) {
	p := Package{Service: service, Version: version, Name: name}
	var created int64
	err := r.db.Read().QueryRowContext(ctx, "SELECT kind, digest, size, created FROM artifact_package WHERE service = $1 AND version = $2 AND name = $3",
		service, version, name).Scan(&p.Kind, &p.Digest, &p.Size, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.New(fault.NotFound, "package %s of %s %s: there is none", name, service, version)
	}
	p.Created = database.Time(created)
	if err != nil {
		err = fmt.Errorf("find package %s: %w", name, err)
	}
	return p, err
}

// listPackages makes the rows of an artifact's packages.
func listPackages(ctx context.Context, tx *sql.Tx, a Artifact, packages []oci.Descriptor) error {
	for _, d := range packages {
		kind := parcel.Deb
		if d.MediaType == TypeRPM {
			kind = parcel.RPM
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO artifact_package (service, version, name, kind, digest, size, created) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			a.Service, a.Version, d.Annotations[annotationTitle], kind, d.Digest, d.Size, database.Micros(a.Created)); err != nil {
			return err
		}
	}
	return nil
}

// packages stores the packages of an artifact: those that the build made, or those that
// are made here.
func (r *Repository) packages(m Meta, dir string) ([]oci.Descriptor, error) {
	if m.Manifest == nil || m.Manifest.Artifact.Packages() == nil {
		return nil, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if m.Manifest.Artifact.Finished() {
		return r.finished(root, m.Manifest.Artifact.Paths)
	}
	var all []oci.Descriptor
	for _, kind := range m.Manifest.Artifact.Packages() {
		p, err := r.parcel(m, root, kind)
		if err != nil {
			return nil, fmt.Errorf("make .%s: %w", kind, err)
		}
		d, err := r.write(p, kind)
		if err != nil {
			return nil, fmt.Errorf("make .%s: %w", kind, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func layerOf(kind, name, digest string, size int64) oci.Descriptor {
	media := TypeDeb
	if kind == parcel.RPM {
		media = TypeRPM
	}
	return oci.Descriptor{MediaType: media, Digest: digest, Size: size, Annotations: map[string]string{annotationTitle: name}}
}

// finished takes packages as they are, if they can be read.
func (r *Repository) finished(root *os.Root, paths []string) ([]oci.Descriptor, error) {
	var all []oci.Descriptor
	for _, p := range paths {
		name, kind := path.Base(p), strings.TrimPrefix(path.Ext(p), ".")
		if !fileName.MatchString(name) {
			return nil, fault.New(fault.Invalid, "package %q: its name does not fit into a repository (use letters, digits and . _ + ~ -)", p)
		}
		if slices.ContainsFunc(all, func(d oci.Descriptor) bool { return d.Annotations[annotationTitle] == name }) {
			return nil, fault.New(fault.Invalid, "package %q: another one has the same name", p)
		}
		info, err := root.Stat(p)
		if err != nil {
			return nil, fault.New(fault.Invalid, "package %q: %w (does artifact.build make it?)", p, reason(err))
		}
		if !info.Mode().IsRegular() || info.Size() > int64(r.limits.MaxMB)<<20 {
			return nil, fault.New(fault.Invalid, "package %q: it is no file of at most %d MiB", p, r.limits.MaxMB)
		}
		digest, size, err := r.layout.write(func(w io.Writer) error { return copyFile(w, root, p) })
		if err == nil {
			err = r.readable(digest, kind)
		}
		if err != nil {
			return nil, fmt.Errorf("package %q: %w", p, err)
		}
		all = append(all, layerOf(kind, name, digest, size))
	}
	return all, nil
}

func (r *Repository) readable(digest, kind string) error {
	f, err := r.Open(digest)
	if err != nil {
		return err
	}
	defer f.Close()
	if kind == parcel.Deb {
		_, err = parcel.ReadDeb(f)
	} else {
		_, err = parcel.ReadRPM(f)
	}
	return err
}

// Open opens a stored file by its digest: a package, or an archive.
func (r *Repository) Open(digest string) (*os.File, error) {
	name, err := r.layout.blob(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open artifact %s: %w", digest, err)
	}
	return f, nil
}

// parcel says what the package of a version holds.
func (r *Repository) parcel(m Meta, root *os.Root, kind string) (parcel.Parcel, error) {
	say := catalog.Package{}
	if m.Manifest.Artifact.Package != nil {
		say = *m.Manifest.Artifact.Package
	}
	p := parcel.Parcel{
		Name: cmp.Or(say.Name, string(m.Service)), Version: cmp.Or(say.Version, "0") + "." + strings.TrimPrefix(string(m.Version), "b"),
		Architecture: cmp.Or(say.Architecture, debianArchitecture()), Maintainer: cmp.Or(say.Maintainer, string(m.Manifest.Team), string(m.Service)),
		Homepage: say.Homepage, Summary: cmp.Or(strings.TrimSpace(strings.ReplaceAll(m.Manifest.Description, "\n", " ")), string(m.Service)),
		Depends: slices.Concat(say.Depends["all"], say.Depends[kind]), Time: m.Created,
	}
	if !packageName.MatchString(p.Name) {
		return p, fault.New(fault.Invalid, "%q is no name of a package (write artifact.package.name: small letters, digits, +, - and .)", p.Name)
	}
	if m.Committed != nil && m.Committed.Before(m.Created) { // a clock may be ahead
		p.Time = *m.Committed
	}
	if p.Time = p.Time.UTC().Truncate(time.Second); p.Time.Unix() < 0 { // whoever commits chooses the time
		p.Time = time.Unix(0, 0).UTC()
	}
	if len(say.Install) == 0 {
		say.Install = map[string]string{"": cmp.Or(say.Prefix, "/opt/"+p.Name)}
	}
	for _, from := range slices.Sorted(maps.Keys(say.Install)) {
		files, err := r.placed(root, m.Manifest.Artifact.Paths, from, say.Install[from])
		if err != nil {
			return p, err
		}
		p.Files = append(p.Files, files...)
	}
	if say.Unit != "" {
		files, err := r.placed(root, nil, say.Unit, "/usr/lib/systemd/system/"+path.Base(say.Unit))
		if err != nil {
			return p, err
		}
		p.Files = append(p.Files, files...)
	}
	seen := map[string]bool{}
	for _, f := range p.Files {
		if seen[f.Path] && !f.Mode.IsDir() {
			return p, fault.New(fault.Invalid, "two files of the checkout would be /%s on hosts", f.Path)
		}
		seen[f.Path] = true
	}
	p.Files = slices.CompactFunc(slices.SortedFunc(slices.Values(p.Files), func(a, b parcel.File) int { return cmp.Compare(a.Path, b.Path) }),
		func(a, b parcel.File) bool { return a.Path == b.Path })
	var err error
	p.Scripts, err = scripts(root, say)
	return p, err
}

// placed are files of the checkout as hosts get them. From "" are the artifact's paths,
// below the folder to; any other path becomes to.
func (r *Repository) placed(root *os.Root, paths []string, from, to string) ([]parcel.File, error) {
	strip := ""
	if from != "" {
		paths = []string{from}
		if strip = path.Base(path.Clean(from)); strip == "." {
			strip = ""
		}
	}
	entries, _, err := collect(root, paths, r.limits)
	if err != nil {
		return nil, err
	}
	var all []parcel.File
	for _, e := range entries {
		name := path.Join(to, strings.TrimPrefix(strings.TrimPrefix(e.name, strip), "/"))[1:]
		if e.info.IsDir() && slices.Contains(systemFolders(), name) {
			continue // those belong to the system
		}
		f := parcel.File{Path: name, Mode: e.info.Mode(), Link: e.link, Open: func() (io.ReadCloser, error) { return root.Open(e.from) }}
		if e.info.Mode().IsRegular() {
			f.Size = e.info.Size()
		}
		all = append(all, f)
	}
	return all, nil
}

// systemFolders are never part of a package.
func systemFolders() []string {
	return strings.Fields("bin etc lib lib64 opt sbin srv usr usr/bin usr/lib usr/lib/systemd usr/lib/systemd/system usr/libexec usr/local usr/local/bin usr/sbin usr/share var var/lib")
}

// debianArchitecture is this machine's, in Debian's words.
func debianArchitecture() string {
	switch runtime.GOARCH {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	}
	return runtime.GOARCH
}

// write stores a package that is made here.
func (r *Repository) write(p parcel.Parcel, kind string) (oci.Descriptor, error) {
	scratch := func() (io.ReadWriteSeeker, func(), error) {
		f, err := os.CreateTemp(filepath.Join(r.layout.dir, "tmp"), "package-*")
		if err != nil {
			return nil, nil, err
		}
		return f, func() { f.Close(); os.Remove(f.Name()) }, nil
	}
	var key *openpgp.Key
	if kind == parcel.RPM {
		var err error
		if key, err = openpgp.Open(r.key); err != nil {
			return oci.Descriptor{}, err
		}
	}
	digest, size, err := r.layout.write(func(w io.Writer) error {
		if kind == parcel.Deb {
			return p.WriteDeb(w, scratch)
		}
		return p.WriteRPM(w, scratch, func(header []byte) []byte { return key.Detached(header, p.Time) })
	})
	return layerOf(kind, p.FileName(kind), digest, size), err
}

// mostScript bounds a script of a package, in bytes.
const mostScript = 256 << 10

// scripts reads those of the checkout, and adds what the unit needs.
func scripts(root *os.Root, say catalog.Package) (s parcel.Scripts, err error) {
	for _, one := range []struct {
		to   *string
		from string
	}{
		{&s.BeforeInstall, say.Scripts.BeforeInstall}, {&s.AfterInstall, say.Scripts.AfterInstall},
		{&s.BeforeRemove, say.Scripts.BeforeRemove}, {&s.AfterRemove, say.Scripts.AfterRemove},
	} {
		if one.from == "" {
			continue
		}
		b, err := readScript(root, one.from)
		if err != nil {
			return s, fault.New(fault.Invalid, "script %q: %w", one.from, err)
		}
		*one.to = "(\n" + strings.TrimRight(b, "\n") + "\n) || exit $?\n" // an exit in it must not end what follows
	}
	if say.Unit == "" {
		return s, nil
	}
	unit := "'" + strings.ReplaceAll(path.Base(say.Unit), "'", `'\''`) + "'"
	// dpkg says "configure" and the version before, rpm how many versions are there.
	s.AfterInstall += `if command -v systemctl >/dev/null; then
  [ ! -d /run/systemd/system ] || systemctl daemon-reload || true
  case "$1:${2:-}" in
    configure:|1:) systemctl enable ` + unit + ` || true; [ ! -d /run/systemd/system ] || systemctl start ` + unit + ` || true ;;
    configure:?*|[2-9]:) [ ! -d /run/systemd/system ] || systemctl try-restart ` + unit + ` || true ;;
  esac
fi
`
	s.BeforeRemove = `if command -v systemctl >/dev/null; then
  case "$1" in remove|0) [ ! -d /run/systemd/system ] || systemctl stop ` + unit + ` || true; systemctl disable ` + unit + ` || true ;; esac
fi
` + s.BeforeRemove
	s.AfterRemove += "[ ! -d /run/systemd/system ] || systemctl daemon-reload || true\n"
	return s, nil
}

func readScript(root *os.Root, name string) (string, error) {
	f, err := root.Open(path.Clean(name))
	if err != nil {
		return "", fmt.Errorf("%w (is it in the checkout, or does artifact.build make it?)", reason(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostScript+1))
	switch first, _, _ := strings.Cut(string(b), "\n"); {
	case err != nil:
		return "", err
	case len(b) > mostScript:
		return "", fmt.Errorf("it has more than %d KiB", mostScript>>10)
	case strings.HasPrefix(first, "#!") && strings.TrimSpace(first[2:]) != "/bin/sh" && !strings.HasPrefix(strings.TrimSpace(first[2:]), "/bin/sh "):
		return "", fmt.Errorf("hosts run it with sh, but it begins with %q", first)
	}
	return string(b), nil
}
