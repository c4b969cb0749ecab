package parcel

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"path"
	"regexp"
	"strings"

	"steer/base/fault"
)

// Sign makes a binary OpenPGP signature of the header.
type Sign func(header []byte) []byte

// rpmArchitecture is Debian's word in RPM's.
func rpmArchitecture(deb string) string {
	switch deb {
	case "all":
		return "noarch"
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "i386":
		return "i686"
	case "armhf":
		return "armv7hl"
	case "ppc64el":
		return "ppc64le"
	}
	return deb
}

// Flags of a dependency: what must hold for its version, and that rpm itself must
// know something.
const (
	flagLess, flagGreater, flagEqual = 2, 4, 8
	flagRPMLib                       = 1 << 24
)

// dependency is one line of requires or provides.
type dependency struct {
	name, version string
	flags         int64
}

// requirement reads "name" or "name (>= 1.2)".
func requirement(text string) (dependency, error) {
	m := regexp.MustCompile(`^([^\s()]+)(?:\s*\(\s*(<<|<=|=|>=|>>)\s*([^\s()]+)\s*\))?$`).FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return dependency{}, fault.New(fault.Invalid, "dependency %q: write a name, or a name and a version like \"openssl (>= 3.0)\"", text)
	}
	flags := map[string]int64{"<<": flagLess, "<=": flagLess | flagEqual, "=": flagEqual, ">=": flagGreater | flagEqual, ">>": flagGreater}
	return dependency{m[1], m[3], flags[m[2]]}, nil
}

// WriteRPM writes the parcel as an .rpm, signed unless sign is nil.
func (p Parcel) WriteRPM(w io.Writer, scratch Scratch, sign Sign) error {
	// Sizes are of 32 bits, also that of the archive, which has some bytes more.
	const most = math.MaxInt32 - 128<<20
	if p.installed() > most {
		return fault.New(fault.Invalid, "its files have more than %d MiB", most>>20)
	}
	payload, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	h := header{}
	if err := p.rpmAbout(h); err != nil {
		return err
	}
	digest := sha256.New()
	plain, err := p.rpmFiles(h, io.MultiWriter(payload, digest))
	if err != nil {
		return err
	}
	h.texts(tagPayloadDigest, []string{fmt.Sprintf("%x", digest.Sum(nil))})
	h.ints(tagPayloadAlgo, 8) // SHA-256, as OpenPGP numbers it
	main := h.bytes(tagImmutable)

	size, err := payload.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	sum := md5.New()
	sum.Write(main)
	for _, to := range []io.Writer{sum, nil} {
		if _, err := payload.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if to == nil {
			break
		}
		if _, err := io.Copy(to, payload); err != nil {
			return err
		}
	}
	s := header{}
	s.text(tagSHA1, fmt.Sprintf("%x", sha1.Sum(main)))
	s.text(tagSHA256, fmt.Sprintf("%x", sha256.Sum256(main)))
	s.ints(tagSigSize, int32(int64(len(main))+size))
	s.raw(tagSigMD5, sum.Sum(nil))
	s.ints(tagSigPayload, int32(plain))
	if sign != nil {
		s.raw(tagRSA, sign(main))
	}
	signatures := s.bytes(tagSignatures)
	signatures = append(signatures, make([]byte, (8-len(signatures)%8)%8)...)

	for _, part := range []io.Reader{bytes.NewReader(p.lead()), bytes.NewReader(signatures), bytes.NewReader(main), payload} {
		if _, err := io.Copy(w, part); err != nil {
			return err
		}
	}
	return nil
}

// lead is what file(1) knows packages by; rpm itself looks at little of it.
func (p Parcel) lead() []byte {
	b := make([]byte, 96)
	copy(b, []byte{0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 0, 0, 1})
	copy(b[10:75], p.Name+"-"+p.Version+"-1") // ends with 0
	b[77], b[79] = 1, 5                       // Linux; signatures are a header
	return b
}

// rpmAbout fills in all but the files.
func (p Parcel) rpmAbout(h header) error {
	h.texts(100, []string{"C"}) // languages of the texts
	h.text(tagName, p.Name)
	h.text(tagVersion, p.Version)
	h.text(tagRelease, "1")
	h.i18n(tagSummary, p.Summary)
	h.i18n(tagDescription, p.Summary)
	h.i18n(tagGroup, "Unspecified")
	h.ints(tagBuildTime, int32(p.Time.Unix()))
	h.text(tagBuildHost, "steer")
	h.ints(tagSize, int32(p.installed()))
	h.text(tagLicense, "unknown") // rpm wants one
	h.text(tagPackager, p.Maintainer)
	h.text(tagURL, p.Homepage)
	h.text(tagOS, "linux")
	h.text(tagArch, rpmArchitecture(p.Architecture))
	h.text(tagSourceRPM, p.Name+"-"+p.Version+"-1.src.rpm") // without it, rpm takes this for sources
	h.text(tagRPMVersion, "4.14.0")
	h.text(tagPayloadFormat, "cpio")
	h.text(tagPayloadZip, "gzip")
	h.text(tagPayloadFlags, "6")
	h.ints(tagDigestAlgo, 8)

	needs := []dependency{
		{"rpmlib(CompressedFileNames)", "3.0.4-1", flagRPMLib | flagLess | flagEqual},
		{"rpmlib(FileDigests)", "4.6.0-1", flagRPMLib | flagLess | flagEqual},
		{"rpmlib(PayloadFilesHavePrefix)", "4.0-1", flagRPMLib | flagLess | flagEqual},
	}
	for _, text := range p.Depends {
		d, err := requirement(text)
		if err != nil {
			return err
		}
		needs = append(needs, d)
	}
	scripts := false
	for _, s := range []struct {
		tag, program int32
		text         string
	}{
		{tagPreIn, tagPreInProg, p.Scripts.BeforeInstall}, {tagPostIn, tagPostInProg, p.Scripts.AfterInstall},
		{tagPreUn, tagPreUnProg, p.Scripts.BeforeRemove}, {tagPostUn, tagPostUnProg, p.Scripts.AfterRemove},
	} {
		if s.text != "" {
			h.text(s.tag, s.text)
			h.text(s.program, "/bin/sh")
			scripts = true
		}
	}
	if scripts {
		needs = append(needs, dependency{name: "/bin/sh"})
	}
	h.dependencies(tagRequireName, tagRequireVer, tagRequireFlags, needs)
	h.dependencies(tagProvideName, tagProvideVer, tagProvideFlags, []dependency{{p.Name, p.Version + "-1", flagEqual}})
	return nil
}

func (h header) dependencies(name, version, flags int32, all []dependency) {
	var names, versions []string
	var numbers []int32
	for _, d := range all {
		names, versions, numbers = append(names, d.name), append(versions, d.version), append(numbers, int32(d.flags))
	}
	h.texts(name, names)
	h.texts(version, versions)
	h.ints(flags, numbers...)
}

const (
	fileConfig    = 1 << 0
	fileNoReplace = 1 << 4
)

// rpmFiles writes the payload, a compressed cpio archive, and fills in what the header
// says of files. It returns the archive's size.
func (p Parcel) rpmFiles(h header, w io.Writer) (int64, error) {
	zip := gzip.NewWriter(w)
	count := &counter{to: zip}
	var sizes, times, flags, verify, devices, inodes, indexes []int32
	var modes, rdevs []int16
	var sums, links, users, groups, langs, names, folders []string
	where := map[string]int32{}
	for i, f := range p.sorted() {
		mode := f.perm()
		size, link, sum, flag := f.Size, f.Link, "", int32(0)
		switch {
		case f.Mode.IsDir():
			mode, size = 0o040000|mode, 0
		case f.Link != "":
			mode, size = 0o120777, int64(len(f.Link))
		default:
			mode |= 0o100000
		}
		if f.config() {
			flag = fileConfig | fileNoReplace
		}
		if err := cpio(count, int64(i+1), mode, p.Time.Unix(), size, "./"+f.Path); err != nil {
			return 0, err
		}
		switch {
		case f.Link != "":
			if _, err := io.WriteString(count, f.Link); err != nil {
				return 0, err
			}
		case size > 0 || f.Mode.IsRegular():
			s := sha256.New()
			if err := f.copy(io.MultiWriter(count, s)); err != nil {
				return 0, fmt.Errorf("pack %q: %w", f.Path, err)
			}
			sum = fmt.Sprintf("%x", s.Sum(nil))
		}
		if err := count.align(); err != nil {
			return 0, err
		}
		folder := "/" + path.Dir(f.Path) + "/"
		if path.Dir(f.Path) == "." {
			folder = "/"
		}
		if _, ok := where[folder]; !ok {
			where[folder] = int32(len(folders))
			folders = append(folders, folder)
		}
		sizes, modes, rdevs = append(sizes, int32(size)), append(modes, int16(uint16(mode))), append(rdevs, 0)
		times, sums, links, flags = append(times, int32(p.Time.Unix())), append(sums, sum), append(links, link), append(flags, flag)
		users, groups, langs, verify = append(users, "root"), append(groups, "root"), append(langs, ""), append(verify, -1)
		devices, inodes, indexes, names = append(devices, 1), append(inodes, int32(i+1)), append(indexes, where[folder]), append(names, path.Base(f.Path))
	}
	if err := cpio(count, 0, 0, 0, 0, "TRAILER!!!"); err != nil {
		return 0, err
	}
	h.ints(tagFileSizes, sizes...)
	h.shorts(tagFileModes, modes)
	h.shorts(tagFileDevices, rdevs)
	h.ints(tagFileTimes, times...)
	h.texts(tagFileDigests, sums)
	h.texts(tagFileLinks, links)
	h.ints(tagFileFlags, flags...)
	h.texts(tagFileUsers, users)
	h.texts(tagFileGroups, groups)
	h.ints(tagFileVerify, verify...)
	h.ints(tagFileDevs, devices...)
	h.ints(tagFileInodes, inodes...)
	h.texts(tagFileLangs, langs)
	h.ints(tagDirIndexes, indexes...)
	h.texts(tagBaseNames, names)
	h.texts(tagDirNames, folders)
	return count.n, zip.Close()
}

// cpio writes the head of an entry in the format newc; see cpio(5).
func cpio(w *counter, inode, mode, when, size int64, name string) error {
	links := 1
	if mode&0o170000 == 0o040000 {
		links = 2
	}
	_, err := fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		inode, mode, 0, 0, links, when, size, 0, 1, 0, 0, len(name)+1, 0, name)
	if err != nil {
		return err
	}
	return w.align()
}

// counter knows how much went through it.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	return n, err
}

// align fills up to a multiple of four.
func (c *counter) align() error {
	_, err := c.Write(make([]byte, (4-c.n%4)%4))
	return err
}
