// Package unpack reads archives that somebody else made into a folder, and lets
// nothing in them out of it.
package unpack

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"steer/base/fault"
)

// Options say how.
type Options struct {
	Strip    int // leading parts of names to leave out; what has no more is skipped
	UID, GID int // of everything; -1: of who runs this
	// Bounds on what comes out, with defaults.
	Bytes   int64 // 8 GiB
	Entries int   // 200,000
}

// Type is what an entry is.
type Type string

// The types. Others (devices, pipes) are refused.
const (
	Dir  Type = "directory"
	File Type = "file"
	Link Type = "symlink"
)

// Entry is something that came out.
type Entry struct {
	Name string // with slashes, from the folder
	Type Type
	Mode fs.FileMode // permissions; of folders not set yet, so that they can be filled
}

// Into unpacks an archive (tar, plain or packed with gzip, bzip2 or zstd; or zip; its
// first bytes tell) into an empty folder. The entries come in an order in which each
// folder stands before what is in it. Errors about the archive have kind Invalid or
// TooMuch; then the folder holds a part of it.
func Into(ctx context.Context, f *os.File, root *os.Root, o Options) ([]Entry, error) {
	u := &unpacker{ctx: ctx, root: root, o: o, seen: map[string]*Entry{}}
	u.o.Bytes = cmp.Or(o.Bytes, 8<<30)
	u.o.Entries = cmp.Or(o.Entries, 200_000)
	u.left = u.o.Bytes
	if err := u.read(f); err != nil {
		return nil, err
	}
	return u.entries()
}

func (u *unpacker) read(f *os.File) error {
	b := bufio.NewReaderSize(f, 64<<10)
	start, _ := b.Peek(512)
	begins := func(magic string) bool { return bytes.HasPrefix(start, []byte(magic)) }
	switch {
	case begins("PK\x03\x04"), begins("PK\x05\x06"):
		st, err := f.Stat()
		if err != nil {
			return err
		}
		z, err := zip.NewReader(f, st.Size())
		if err != nil {
			return invalid("read it as zip: %w", err)
		}
		return u.zip(z)
	case begins("\x1f\x8b"):
		z, err := gzip.NewReader(b)
		if err != nil {
			return invalid("read it as gzip: %w", err)
		}
		return u.tar(z)
	case begins("\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return invalid("read it as zstd: %w", err)
		}
		defer z.Close()
		return u.tar(z)
	case begins("BZh"):
		return u.tar(bzip2.NewReader(b))
	case begins("\xfd7zXZ"):
		return invalid("it is packed with xz, which is not known here (pack it with gzip or zstd)")
	case len(start) > 262 && string(start[257:262]) == "ustar", len(start) == 512 && bytes.Count(start, []byte{0}) == 512:
		return u.tar(b)
	}
	return invalid("it is no tar, tar.gz, tar.bz2, tar.zst or zip")
}

func invalid(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

func (u *unpacker) tar(r io.Reader) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return invalid("read it as tar: %w", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := u.name(h.Name)
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		e := Entry{Name: name, Mode: fs.FileMode(h.Mode) & fs.ModePerm}
		switch h.Typeflag {
		case tar.TypeDir:
			err = u.dir(e)
		case tar.TypeReg, tar.TypeGNUSparse:
			err = u.file(e, t, h.ModTime)
		case tar.TypeSymlink:
			err = u.link(e, h.Linkname)
		case tar.TypeLink:
			err = u.hardLink(e, h.Linkname)
		default:
			err = invalid("%s is a device or a pipe, and only files, folders and links are taken out", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacker) zip(z *zip.Reader) error {
	for _, f := range z.File {
		name, err := u.name(f.Name)
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		if f.Flags&1 != 0 {
			return invalid("%s is encrypted", f.Name)
		}
		e := Entry{Name: name, Mode: f.Mode() & fs.ModePerm}
		switch t := f.Mode().Type(); {
		case t == fs.ModeDir || strings.HasSuffix(f.Name, "/"):
			err = u.dir(e)
		case t == 0 || t == fs.ModeSymlink:
			err = u.zipped(e, f)
		default:
			err = invalid("%s is a device or a pipe, and only files, folders and links are taken out", f.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipped(e Entry, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return invalid("read %s: %w", f.Name, err)
	}
	defer r.Close()
	if f.Mode().Type() != fs.ModeSymlink {
		if e.Mode == 0 { // made where files have no rights
			e.Mode = 0o644
		}
		return u.file(e, r, f.Modified)
	}
	to, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return invalid("read %s: %w", f.Name, err)
	}
	return u.link(e, string(to))
}

// broken words an error of reading or writing.
func broken(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if fault.Of(err) != fault.Internal {
		return err
	}
	return invalid("read %s: %w", name, err)
}
