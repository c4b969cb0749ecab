package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/oci"
	"steer/infra/image/internal/rootfs"
)

// source is an image, or a root file system, that somebody else made.
type source struct {
	config *oci.Config
	files  []string       // layers, lowest first
	layers []rootfs.Layer // the same, when they can be taken over as they are
	time   int64
}

// open reads what a base is. An archive of an image is unpacked into the folder dir.
func (b *baker) open(from, dir string) (source, error) {
	is, err := os.Stat(from)
	if err != nil {
		return source{}, err
	}
	if is.IsDir() {
		return openImage(from, os.DirFS(from))
	}
	if image, err := isImage(from); err != nil || !image {
		return source{files: []string{from}}, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return source{}, err
	}
	if err := (&rootfs.Tree{Dir: dir}).Unpack(from); err != nil {
		return source{}, err
	}
	root, err := os.OpenRoot(dir) // links in the archive lead nowhere else
	if err != nil {
		return source{}, err
	}
	defer root.Close()
	return openImage(dir, root.FS())
}

// isImage tells an archive of an image from a root file system.
func isImage(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	z, err := rootfs.Decompress(f)
	if err != nil {
		return false, err
	}
	defer z.Close()
	found := false
	for in, n := tar.NewReader(z), 0; n < rootfs.MostFiles; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return false, fault.New(fault.Invalid, "it is no tar file: %w", err)
		}
		switch filepath.Clean(h.Name) {
		case "index.json":
			return true, nil
		case "manifest.json":
			found = true
		case "etc", "usr", "bin":
			return false, nil
		}
	}
	return found, nil
}

// openImage reads an image that is in a folder.
func openImage(dir string, files fs.FS) (source, error) {
	is, err := oci.Read(files)
	if err != nil {
		return source{}, err
	}
	src := source{config: &oci.Config{}}
	if err := json.Unmarshal(is.Config, src.config); err != nil {
		return source{}, fault.New(fault.Invalid, "read the image's configuration: %w", err)
	}
	if of := src.config; of.OS != "linux" || of.Architecture != runtime.GOARCH {
		return source{}, fault.New(fault.NotFound, "it has no image for linux on %s, but for %s on %s", runtime.GOARCH, of.OS, of.Architecture)
	}
	if len(src.config.RootFS.DiffIDs) != len(is.Files) {
		return source{}, fault.New(fault.Invalid, "the image has %d layers and tells of %d", len(is.Files), len(src.config.RootFS.DiffIDs))
	}
	gzipped := true
	for i, d := range is.Manifest.Layers {
		file := filepath.Join(dir, is.Files[i])
		src.files = append(src.files, file)
		gzipped = gzipped && (strings.HasSuffix(d.MediaType, "tar+gzip") || strings.HasSuffix(d.MediaType, ".tar.gzip"))
		src.layers = append(src.layers, rootfs.Layer{Digest: d.Digest, DiffID: src.config.RootFS.DiffIDs[i], Size: d.Size})
		if is.Text == nil {
			continue // docker save has no digests
		}
		sum, err := sumOf(file)
		if err != nil {
			return source{}, err
		}
		if sum != d.Digest {
			return source{}, fault.New(fault.Invalid, "layer %s is damaged: its digest is %s", d.Digest, sum)
		}
	}
	if !gzipped { // not every engine reads others; they become one layer
		src.layers, src.config.History = nil, nil
	}
	if at, err := time.Parse(time.RFC3339, src.config.Created); err == nil {
		src.time = at.Unix()
	}
	return src, nil
}
