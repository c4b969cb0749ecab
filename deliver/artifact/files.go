package artifact

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"

	"steer/base/fault"
)

var (
	// fileName is what a file may be called that repositories serve.
	fileName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}$`)
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
)

// File is something that can be fetched of an artifact.
type File struct {
	Name   string `json:"name"`
	Kind   string `json:"kind" doc:"file: the only file of the artifact, as it was built. archive: all of it as tar.gz. deb, rpm: a package."`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// Files lists what can be fetched of the artifact with this digest: what people most
// likely want comes first.
func (r *Repository) Files(digest string) ([]File, error) {
	p, layers, err := r.load(digest)
	if err != nil {
		return nil, err
	}
	all := []File{}
	if layers[0].MediaType != TypeArchive {
		return all, nil // an image: the registry has it
	}
	for _, l := range layers[1:] {
		kind := "deb"
		if l.MediaType == TypeRPM {
			kind = "rpm"
		}
		all = append(all, File{l.Annotations[annotationTitle], kind, l.Digest, l.Size})
	}
	if p.Single != nil && len(all) == 0 {
		all = append(all, File{p.Single.Name, "file", p.Single.Digest, p.Single.Size})
	}
	return append(all, File{fmt.Sprintf("%s-%s.tar.gz", p.Service, p.Version), "archive", layers[0].Digest, layers[0].Size}), nil
}

// OpenFile opens one of the files of an artifact; the empty name is the first of them.
func (r *Repository) OpenFile(digest, name string) (File, io.ReadSeekCloser, error) {
	files, err := r.Files(digest)
	if err != nil {
		return File{}, nil, err
	}
	for _, f := range files {
		if name != "" && f.Name != name {
			continue
		}
		if f.Kind != "file" {
			opened, err := r.Open(f.Digest)
			return f, opened, err
		}
		_, layers, err := r.load(digest)
		if err != nil {
			return File{}, nil, err
		}
		s := &singleReader{open: func() (*os.File, error) { return r.Open(layers[0].Digest) }, size: f.Size}
		return f, s, s.rewind()
	}
	if len(files) == 0 {
		return File{}, nil, fault.New(fault.NotFound, "artifact %s is a container image, which is no file (pull it from Steer's registry, as SERVICE:VERSION)", digest)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return File{}, nil, fault.New(fault.NotFound, "artifact %s has no file %q (it has %q)", digest, name, names)
}

// single reads an artifact's only file for its digest.
func single(root *os.Root, e entry) (*Single, error) {
	sum := sha256.New()
	if err := copyFile(sum, root, e.from); err != nil {
		return nil, fmt.Errorf("read %q: %w", e.from, err)
	}
	return &Single{path.Base(e.name), "sha256:" + hex.EncodeToString(sum.Sum(nil)), e.info.Size()}, nil
}

// singleReader reads the only file of an archive. Going back reads it anew.
type singleReader struct {
	open func() (*os.File, error)
	size int64
	file *os.File
	in   io.Reader
	at   int64 // of in
	want int64 // of the next Read
}

func (s *singleReader) rewind() error {
	s.Close()
	f, err := s.open()
	if err != nil {
		return err
	}
	s.file, s.at = f, 0
	zip, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("archive %s is damaged: %w", f.Name(), err)
	}
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if err != nil {
			return fmt.Errorf("archive %s is damaged: %w", f.Name(), err)
		}
		if h.Typeflag == tar.TypeReg {
			s.in = archive
			return nil
		}
	}
}

func (s *singleReader) Read(b []byte) (int, error) {
	if s.want < s.at {
		if err := s.rewind(); err != nil {
			return 0, err
		}
	}
	if s.want > s.at {
		n, err := io.CopyN(io.Discard, s.in, s.want-s.at)
		if s.at += n; err != nil {
			return 0, err
		}
	}
	n, err := s.in.Read(b)
	s.at += int64(n)
	s.want = s.at
	return n, err
}

func (s *singleReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.want
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return s.want, errors.New("seek before the beginning")
	}
	s.want = offset
	return offset, nil
}

func (s *singleReader) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
