package parcel

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"steer/base/fault"
)

// About is what an index says of an .rpm.
type About struct {
	Name, Architecture, Epoch, Version, Release  string
	Summary, Description, Packager, URL, License string
	Vendor, Group, BuildHost, SourceRPM          string
	BuildTime, Installed, Archive                int64 // seconds, bytes, bytes
	HeaderStart, HeaderEnd                       int64
	Provides, Requires, Conflicts, Obsoletes     []Relation
	Files                                        []Listed
}

// Relation is a dependency on, or an offer of, a name.
type Relation struct{ Name, Flags, Epoch, Version, Release string }

// Listed is a file of a package.
type Listed struct {
	Path   string
	Folder bool
}

// ReadRPM reads the headers of an .rpm.
func ReadRPM(r io.Reader) (About, error) {
	lead := make([]byte, 96)
	if _, err := io.ReadFull(r, lead); err != nil || !bytes.HasPrefix(lead, []byte{0xed, 0xab, 0xee, 0xdb}) {
		return About{}, fault.New(fault.Invalid, "this is no .rpm: it does not begin like one")
	}
	signatures, err := readHeader(r)
	if err != nil {
		return About{}, err
	}
	padding := (8 - signatures.size%8) % 8
	if _, err := io.CopyN(io.Discard, r, padding); err != nil {
		return About{}, fault.New(fault.Invalid, "this is no .rpm: it is cut off")
	}
	h, err := readHeader(r)
	if err != nil {
		return About{}, err
	}
	start := 96 + signatures.size + padding
	a := About{
		Name: h.text(tagName), Architecture: h.text(tagArch), Epoch: "0", Version: h.text(tagVersion), Release: h.text(tagRelease),
		Summary: h.text(tagSummary), Description: h.text(tagDescription), Packager: h.text(tagPackager), URL: h.text(tagURL), License: h.text(tagLicense),
		Vendor: h.text(tagVendor), Group: h.text(tagGroup), BuildHost: h.text(tagBuildHost), SourceRPM: h.text(tagSourceRPM),
		BuildTime: h.int(tagBuildTime), Installed: h.int(tagSize), Archive: signatures.int(tagSigPayload), HeaderStart: start, HeaderEnd: start + h.size,
		Provides: h.relations(tagProvideName, tagProvideVer, tagProvideFlags), Requires: h.relations(tagRequireName, tagRequireVer, tagRequireFlags),
		Conflicts: h.relations(tagConflictName, tagConflictVer, tagConflictFlags), Obsoletes: h.relations(tagObsoleteName, tagObsoleteVer, tagObsoleteFlags),
	}
	if e := h.ints(tagEpoch); len(e) > 0 {
		a.Epoch = strconv.FormatInt(e[0], 10)
	}
	for field, v := range map[string]string{"name": a.Name, "version": a.Version, "release": a.Release, "architecture": a.Architecture} {
		if v == "" || strings.ContainsAny(v, " /\n") {
			return About{}, fault.New(fault.Invalid, "this is no .rpm for a repository: its %s is %q", field, v)
		}
	}
	if _, ok := h.entries[tagSourceRPM]; !ok {
		return About{}, fault.New(fault.Invalid, "this .rpm holds sources, which hosts do not install")
	}
	a.Files = h.files()
	return a, nil
}

func (h head) files() []Listed {
	names, folders, indexes, modes := h.texts(tagBaseNames), h.texts(tagDirNames), h.ints(tagDirIndexes), h.ints(tagFileModes)
	if len(indexes) != len(names) || len(modes) != len(names) {
		return nil
	}
	var all []Listed
	for i, n := range names {
		if indexes[i] < int64(len(folders)) {
			all = append(all, Listed{folders[indexes[i]] + n, modes[i]&0o170000 == 0o040000})
		}
	}
	return all
}

// relations leaves out what rpm itself must know, as createrepo does.
func (h head) relations(name, version, flags int32) []Relation {
	names, versions, numbers := h.texts(name), h.texts(version), h.ints(flags)
	var all []Relation
	seen := map[Relation]bool{}
	for i, n := range names {
		if strings.HasPrefix(n, "rpmlib(") || i >= len(versions) || i >= len(numbers) {
			continue
		}
		r := Relation{Name: n}
		switch numbers[i] & (flagLess | flagGreater | flagEqual) {
		case flagLess:
			r.Flags = "LT"
		case flagLess | flagEqual:
			r.Flags = "LE"
		case flagEqual:
			r.Flags = "EQ"
		case flagGreater | flagEqual:
			r.Flags = "GE"
		case flagGreater:
			r.Flags = "GT"
		}
		if r.Flags != "" {
			v := versions[i]
			r.Epoch = "0"
			if e, rest, ok := strings.Cut(v, ":"); ok {
				r.Epoch, v = e, rest
			}
			r.Version, r.Release, _ = strings.Cut(v, "-")
		}
		if !seen[r] {
			seen[r], all = true, append(all, r)
		}
	}
	return all
}
