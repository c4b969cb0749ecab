package api

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// Limits of an uploaded local version.
const (
	largestUpload  = 1 << 30 // bytes, packed
	largestContent = 4 << 30 // bytes, unpacked
	mostFiles      = 100_000
	mostUploads    = 4 // under way; others wait
)

// Uploaded names the version that was made of an upload.
type Uploaded struct {
	Version id.Version `json:"version"`
}

// upload stores what is on a person's machine as a version of a service: a
// tar.gz with steer.yaml and the artifact's paths.
func (a *API) upload(w http.ResponseWriter, r *http.Request) {
	service, err := a.resolve(r.Context(), r.PathValue("service"))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	select {
	case a.uploads <- struct{}{}:
		defer func() { <-a.uploads }()
	case <-r.Context().Done():
		return
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(uploadTime))
	control.SetWriteDeadline(time.Now().Add(uploadTime + bodyTime))
	if err := os.MkdirAll(a.o.Temp, 0o700); err != nil {
		a.refuse(w, r, err)
		return
	}
	dir, err := os.MkdirTemp(a.o.Temp, "upload-")
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer os.RemoveAll(dir)
	if err := extract(http.MaxBytesReader(w, r.Body, largestUpload), dir); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			err = fmt.Errorf("it has more than %d MiB", large.Limit>>20)
		}
		a.refuse(w, r, fault.New(fault.Invalid, "upload %s: %w", service, err))
		return
	}
	art, err := a.o.Artifacts.PutLocal(r.Context(), service, dir)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(Uploaded{art.Version})
}

// extract unpacks a tar.gz below dir; os.Root keeps every path and link inside.
func extract(in io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("the body is no tar.gz: %w", err)
	}
	left := int64(largestContent)
	t := tar.NewReader(z)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the body is no tar.gz: %w", err)
		}
		if n == mostFiles {
			return fmt.Errorf("it holds more than %d files", mostFiles)
		}
		name := path.Clean(h.Name)
		if len(name) > 1024 || strings.Count(name, "/") > 32 {
			return fmt.Errorf("path %.100q… is too long or too deep", name)
		}
		if !fs.ValidPath(name) {
			return fmt.Errorf("path %q leads out of the folder", h.Name)
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			if !filepath.IsLocal(path.Join(path.Dir(name), h.Linkname)) || path.IsAbs(h.Linkname) {
				return fmt.Errorf("link %s leads out of the folder, to %q", name, h.Linkname)
			}
			err = root.Symlink(h.Linkname, name)
		case tar.TypeReg:
			if left -= h.Size; left < 0 {
				return fmt.Errorf("it unpacks to more than %d bytes", int64(largestContent))
			}
			err = writeFile(root, name, h.FileInfo().Mode().Perm(), t)
		case tar.TypeXGlobalHeader: // a note, as git archive writes
		default: // skipping its content would cost time without bound
			return fmt.Errorf("%s is no file, folder or symbolic link", name)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
}

func writeFile(root *os.Root, name string, mode fs.FileMode, in io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode|0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, in); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
