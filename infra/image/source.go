package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra/image/internal/rootfs"
)

// source is an image, or a root file system, that somebody else made.
type source struct {
	config *config
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
		return openLayout(from)
	}
	what, err := kindOf(from)
	if err != nil || what == "" {
		return source{files: []string{from}}, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return source{}, err
	}
	if err := (&rootfs.Tree{Dir: dir}).Unpack(from); err != nil {
		return source{}, err
	}
	if what == "index.json" {
		return openLayout(dir)
	}
	return openDocker(dir)
}

// kindOf tells an archive of an image from a root file system, which has no name.
func kindOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := rootfs.Decompress(f)
	if err != nil {
		return "", err
	}
	defer z.Close()
	found := ""
	for in, n := tar.NewReader(z), 0; n < rootfs.MostFiles; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return "", fault.New(fault.Invalid, "it is no tar file: %w", err)
		}
		switch name := filepath.Clean(h.Name); name {
		case "index.json":
			return name, nil
		case "manifest.json":
			found = name
		case "etc", "usr", "bin":
			return "", nil
		}
	}
	return found, nil
}

// openLayout reads an image layout.
func openLayout(dir string) (source, error) {
	var x index
	if err := readJSON(filepath.Join(dir, "index.json"), &x); err != nil {
		return source{}, err
	}
	m, err := pick(dir, x, 0)
	if err != nil {
		return source{}, err
	}
	src := source{config: &config{}}
	if err := readBlob(dir, m.Config.Digest, src.config); err != nil {
		return source{}, err
	}
	if len(src.config.RootFS.DiffIDs) != len(m.Layers) {
		return source{}, fault.New(fault.Invalid, "the image has %d layers and tells of %d", len(m.Layers), len(src.config.RootFS.DiffIDs))
	}
	gzipped := true
	for i, d := range m.Layers {
		file, err := blobFile(dir, d.Digest)
		if err != nil {
			return source{}, err
		}
		sum, err := sumOf(file)
		if err != nil {
			return source{}, err
		}
		if sum != d.Digest {
			return source{}, fault.New(fault.Invalid, "layer %s is damaged: its digest is %s", d.Digest, sum)
		}
		src.files = append(src.files, file)
		gzipped = gzipped && (strings.HasSuffix(d.MediaType, "tar+gzip") || strings.HasSuffix(d.MediaType, ".tar.gzip"))
		src.layers = append(src.layers, rootfs.Layer{Digest: d.Digest, DiffID: src.config.RootFS.DiffIDs[i], Size: d.Size})
	}
	if !gzipped { // not every engine reads others
		src.layers, src.config.History = nil, nil
	}
	src.time = created(src.config)
	return src, nil
}

func created(c *config) int64 {
	at, err := time.Parse(time.RFC3339, c.Created)
	if err != nil {
		return 0
	}
	return at.Unix()
}

// pick finds the manifest for this kind of processor.
func pick(dir string, x index, depth int) (manifest, error) {
	var m manifest
	for _, d := range x.Manifests {
		if d.Platform != nil && (d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH) {
			continue
		}
		switch d.MediaType {
		case typeIndex, "application/vnd.docker.distribution.manifest.list.v2+json":
			var in index
			if err := readBlob(dir, d.Digest, &in); err != nil {
				return m, err
			}
			if depth < 4 {
				return pick(dir, in, depth+1)
			}
		default:
			return m, readBlob(dir, d.Digest, &m)
		}
	}
	return m, fault.New(fault.NotFound, "it has no image for linux on %s", runtime.GOARCH)
}

// openDocker reads what docker save writes.
func openDocker(dir string) (source, error) {
	var all []struct {
		Config string
		Layers []string
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &all); err != nil {
		return source{}, err
	}
	if len(all) != 1 {
		return source{}, fault.New(fault.Invalid, "the file has %d images, expected one", len(all))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return source{}, err
	}
	defer root.Close()
	src := source{config: &config{}}
	b, err := root.ReadFile(all[0].Config)
	if err == nil {
		err = json.Unmarshal(b, src.config)
	}
	for _, l := range all[0].Layers {
		_, e := root.Stat(l)
		err = errors.Join(err, e)
		src.files = append(src.files, filepath.Join(dir, l))
	}
	src.config.History = nil // becomes one layer
	src.time = created(src.config)
	return src, err
}

func readJSON(file string, into any) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4<<20))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fault.New(fault.Invalid, "read %s: %w", filepath.Base(file), err)
	}
	return nil
}

// blobFile is where a layout has a blob.
func blobFile(dir, digest string) (string, error) {
	hash, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return "", fault.New(fault.Invalid, "%.100q is no digest by SHA-256", digest)
	}
	return filepath.Join(dir, "blobs/sha256", hash), nil
}

func readBlob(dir, digest string, into any) error {
	file, err := blobFile(dir, digest)
	if err != nil {
		return err
	}
	sum, err := sumOf(file)
	if err == nil && sum != digest {
		err = fmt.Errorf("%s is damaged: its digest is %s", digest, sum)
	}
	if err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	return readJSON(file, into)
}
