package parcel

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// WriteDeb writes the parcel as a .deb. The files pass through a scratch file, since
// their sum comes before them.
func (p Parcel) WriteDeb(w io.Writer, scratch Scratch) error {
	data, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	sums, err := p.debData(data)
	if err != nil {
		return err
	}
	size, err := data.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = data.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	control, err := p.debControl(sums)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "!<arch>\n"); err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		size int64
		from io.Reader
	}{{"debian-binary", 4, strings.NewReader("2.0\n")}, {"control.tar.gz", int64(len(control)), bytes.NewReader(control)}, {"data.tar.gz", size, data}} {
		// ar(5): name, time, owner, group, mode, size; members begin at even bytes.
		if _, err := fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, p.Time.Unix(), 0, 0, "100644", m.size); err != nil {
			return err
		}
		if _, err := io.Copy(w, m.from); err != nil {
			return err
		}
		if m.size%2 == 1 {
			if _, err := w.Write([]byte{'\n'}); err != nil {
				return err
			}
		}
	}
	return nil
}

// debData writes the files, with the folders above them, which dpkg does not make by
// itself, and returns the lines of md5sums.
func (p Parcel) debData(w io.Writer) (sums string, err error) {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	seen := map[string]bool{}
	folder := func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		return out.WriteHeader(p.debEntry(&tar.Header{Typeflag: tar.TypeDir, Name: "./" + name + "/", Mode: 0o755}))
	}
	var lines strings.Builder
	for _, f := range p.sorted() {
		for _, up := range above(f.Path) {
			if err := folder(up); err != nil {
				return "", err
			}
		}
		switch {
		case f.Mode.IsDir():
			err = folder(f.Path)
		case f.Link != "":
			err = out.WriteHeader(p.debEntry(&tar.Header{Typeflag: tar.TypeSymlink, Name: "./" + f.Path, Linkname: f.Link, Mode: 0o777}))
		default:
			if err = out.WriteHeader(p.debEntry(&tar.Header{Typeflag: tar.TypeReg, Name: "./" + f.Path, Size: f.Size, Mode: f.perm()})); err == nil {
				sum := md5.New()
				err = f.copy(io.MultiWriter(out, sum))
				fmt.Fprintf(&lines, "%x  %s\n", sum.Sum(nil), f.Path)
			}
		}
		if err != nil {
			return "", fmt.Errorf("pack %q: %w", f.Path, err)
		}
	}
	if err := out.Close(); err != nil {
		return "", err
	}
	return lines.String(), zip.Close()
}

func (p Parcel) debEntry(h *tar.Header) *tar.Header {
	h.ModTime, h.Uname, h.Gname, h.Format = p.Time, "root", "root", tar.FormatGNU
	return h
}

func (f File) copy(w io.Writer) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if n, err := io.Copy(w, r); err != nil {
		return err
	} else if n != f.Size {
		return fmt.Errorf("it has %d bytes instead of %d", n, f.Size)
	}
	return nil
}

// debControl is control.tar.gz; see Debian's policy, chapters 5 and 6.
func (p Parcel) debControl(sums string) ([]byte, error) {
	var control, conffiles strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&control, "%s: %s\n", name, value)
		}
	}
	field("Package", p.Name)
	field("Version", p.Version)
	field("Architecture", p.Architecture)
	field("Maintainer", p.Maintainer)
	field("Installed-Size", fmt.Sprint((p.installed()+1023)/1024))
	field("Depends", strings.Join(p.Depends, ", "))
	field("Section", "misc")
	field("Priority", "optional")
	field("Homepage", p.Homepage)
	field("Description", p.Summary)
	for _, f := range p.sorted() {
		if f.config() {
			conffiles.WriteString("/" + f.Path + "\n")
		}
	}
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := tar.NewWriter(zip)
	for _, m := range []struct {
		name, text string
		mode       fs.FileMode
	}{
		{"control", control.String(), 0o644}, {"md5sums", sums, 0o644}, {"conffiles", conffiles.String(), 0o644},
		{"preinst", shell(p.Scripts.BeforeInstall), 0o755}, {"postinst", shell(p.Scripts.AfterInstall), 0o755},
		{"prerm", shell(p.Scripts.BeforeRemove), 0o755}, {"postrm", shell(p.Scripts.AfterRemove), 0o755},
	} {
		if m.text == "" {
			continue
		}
		if err := out.WriteHeader(p.debEntry(&tar.Header{Typeflag: tar.TypeReg, Name: "./" + m.name, Size: int64(len(m.text)), Mode: int64(m.mode)})); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(out, m.text); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	err := zip.Close()
	return b.Bytes(), err
}

// shell gives a script the first line that dpkg starts it by.
func shell(text string) string {
	if text == "" || strings.HasPrefix(text, "#!") {
		return text
	}
	return "#!/bin/sh\n" + text
}
