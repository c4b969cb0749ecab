package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"steer/base/fault"
	"steer/base/oci"
)

const (
	annotationRef      = "org.opencontainers.image.ref.name"
	annotationTitle    = "org.opencontainers.image.title"
	annotationCreated  = "org.opencontainers.image.created"
	annotationVersion  = "org.opencontainers.image.version"
	annotationRevision = "org.opencontainers.image.revision"
	annotationSource   = "org.opencontainers.image.source"

	// maxDocument bounds manifests, configs and the index, which are read whole.
	maxDocument = 64 << 20
)

// layout is the folder. Blobs may be written by several goroutines at a time;
// the caller serialises changes of the index.
type layout struct{ dir string }

func openLayout(dir string) (layout, error) {
	l := layout{dir}
	for _, d := range []string{"blobs/sha256", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return l, fmt.Errorf("open artifacts: %w", err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	if err != nil {
		return l, fmt.Errorf("open artifacts: %w", err)
	}
	for _, f := range left { // writes that a crash cut off
		if err := os.RemoveAll(f); err != nil {
			return l, fmt.Errorf("open artifacts: %w", err)
		}
	}
	marker := filepath.Join(dir, "oci-layout")
	if _, err := os.Stat(marker); errors.Is(err, fs.ErrNotExist) {
		return l, l.replace("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	} else if err != nil {
		return l, fmt.Errorf("open artifacts: %w", err)
	}
	return l, nil
}

func (l layout) blob(digest string) (string, error) {
	file, err := oci.BlobPath(digest)
	if err != nil {
		return "", fmt.Errorf("artifact digest: %w", err)
	}
	return filepath.Join(l.dir, file), nil
}

// write stores a blob that f produces, and returns its digest and size.
func (l layout) write(f func(io.Writer) error) (digest string, size int64, err error) {
	tmp, err := os.CreateTemp(filepath.Join(l.dir, "tmp"), "blob-*")
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	hash := sha256.New()
	if err := f(io.MultiWriter(tmp, hash)); err != nil {
		return "", 0, err
	}
	if size, err = tmp.Seek(0, io.SeekCurrent); err != nil {
		return "", 0, err
	}
	if err := tmp.Sync(); err != nil {
		return "", 0, err
	}
	digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	path, err := l.blob(digest)
	if err != nil {
		return "", 0, err
	}
	// Also over an existing blob: the one there may be damaged, this one is not.
	if err := os.Rename(tmp.Name(), path); err != nil {
		return "", 0, err
	}
	return digest, size, syncFolder(filepath.Dir(path))
}

func (l layout) writeJSON(mediaType string, v any) (oci.Descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return oci.Descriptor{}, err
	}
	digest, size, err := l.write(func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return oci.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// readJSON reads a whole blob, checks that it is what its digest says, and
// decodes it.
func (l layout) readJSON(digest string, into any) error {
	path, err := l.blob(digest)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "read artifact %s: there is no such blob", digest)
	}
	if err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument))
	if err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	if oci.DigestOf(data) != digest {
		return fmt.Errorf("read artifact %s: the file %s is damaged: its content does not match its digest", digest, path)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read artifact %s: %w", digest, err)
	}
	return nil
}

// index reads index.json; it is empty when the folder is new.
func (l layout) index() (oci.Index, error) {
	empty := oci.Index{SchemaVersion: 2, MediaType: oci.TypeIndex, Manifests: []oci.Descriptor{}}
	data, err := os.ReadFile(filepath.Join(l.dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return oci.Index{}, fmt.Errorf("read artifact index: %w", err)
	}
	x := empty
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&x); err != nil {
		return oci.Index{}, fmt.Errorf("read artifact index %s: %w", filepath.Join(l.dir, "index.json"), err)
	}
	return x, nil
}

// list puts d into the index, in place of what had the same name.
func (l layout) list(x oci.Index, d oci.Descriptor) error {
	kept := make([]oci.Descriptor, 0, len(x.Manifests)+1)
	for _, m := range x.Manifests {
		if m.Annotations[annotationRef] != d.Annotations[annotationRef] {
			kept = append(kept, m)
		}
	}
	x.Manifests = append(kept, d)
	data, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("write artifact index: %w", err)
	}
	return l.replace("index.json", data)
}

// replace writes a file of the layout so that readers and crashes see the old
// or the new content.
func (l layout) replace(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Join(l.dir, "tmp"), "file-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(tmp.Name(), filepath.Join(l.dir, name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return syncFolder(l.dir)
}

// syncFolder makes renames in a folder survive power loss.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
