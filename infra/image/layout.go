package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"steer/base/oci"
)

// write writes the image, and tells its digests.
func (b *baker) write(hash string) (Image, error) {
	img := Image{}
	c := b.configuration(hash)
	blobs := map[string][]byte{}
	add := func(mediaType string, v any) (oci.Descriptor, error) {
		data, err := json.Marshal(v)
		d := oci.Descriptor{MediaType: mediaType, Digest: oci.DigestOf(data), Size: int64(len(data))}
		blobs[d.Digest] = data
		return d, err
	}
	cd, err := add(oci.TypeConfig, c)
	if err != nil {
		return img, fmt.Errorf("write the image: %w", err)
	}
	m := oci.Manifest{SchemaVersion: 2, MediaType: oci.TypeManifest, Config: cd, Layers: []oci.Descriptor{}, Annotations: annotations(c.Config.Labels)}
	files := map[string]string{}
	for _, e := range b.chain {
		for _, l := range e.Layers {
			m.Layers = append(m.Layers, oci.Descriptor{MediaType: oci.TypeLayerGzip, Digest: l.Digest, Size: l.Size})
			files[l.Digest] = b.cache.blob(l)
			img.Size += l.Size
		}
	}
	md, err := add(oci.TypeManifest, m)
	if err != nil {
		return img, fmt.Errorf("write the image: %w", err)
	}
	img.Digest, img.Config = md.Digest, cd.Digest
	md.Platform = &oci.Platform{Architecture: c.Architecture, OS: c.OS}
	x := oci.Index{SchemaVersion: 2, MediaType: oci.TypeIndex, Manifests: []oci.Descriptor{md}}
	if len(b.Config.Tags) > 0 {
		x.Manifests = nil
		for _, tag := range b.Config.Tags {
			d := md
			d.Annotations = map[string]string{"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": tag}
			x.Manifests = append(x.Manifests, d)
		}
	}
	if b.RootFS != "" {
		if img.RootFS, err = sumOf(b.RootFS + ".new"); err == nil {
			err = os.Rename(b.RootFS+".new", b.RootFS)
		}
		if err != nil {
			return img, fmt.Errorf("write the root file system: %w", err)
		}
	}
	if b.Layout == "" {
		return img, nil
	}
	w := &layoutWriter{blobs: blobs, files: files, index: x, docker: b.dockerManifest(cd, m)}
	if strings.HasSuffix(b.Layout, ".tar") {
		return img, b.archive(w)
	}
	return img, w.folder(b.Layout)
}

// archive writes the layout as one file, unless that is what the last run wrote there.
func (b *baker) archive(w *layoutWriter) error {
	what, err := json.Marshal([]any{w.index, w.docker})
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	k := key(formatVersion, "archive", string(what), b.Layout)
	e, ok := b.cached(k)
	if id, _, err := identity(b.Layout); ok && err == nil && id == e.Hash {
		return nil
	}
	if err := w.archive(b.Layout, time.Unix(b.chain[0].Base.Time, 0)); err != nil {
		return err
	}
	id, _, err := identity(b.Layout)
	if err == nil {
		_, err = b.folder("archive")
	}
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return b.cache.put(k, b.dir, &entry{Hash: id})
}

// dockerManifest is for docker load of engines that know no layouts.
func (b *baker) dockerManifest(c oci.Descriptor, m oci.Manifest) []oci.Saved {
	i := oci.Saved{Config: blobName(c.Digest), Layers: []string{}}
	for _, t := range b.Config.Tags {
		if !strings.Contains(t[strings.LastIndex(t, "/")+1:], ":") {
			t += ":latest"
		}
		i.RepoTags = append(i.RepoTags, t)
	}
	for _, l := range m.Layers {
		i.Layers = append(i.Layers, blobName(l.Digest))
	}
	return []oci.Saved{i}
}

func blobName(digest string) string { return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:") }

// layoutWriter writes an image layout.
type layoutWriter struct {
	blobs  map[string][]byte // by digest
	files  map[string]string
	index  oci.Index
	docker []oci.Saved
}

// each calls put for every file of the layout, sorted.
func (w *layoutWriter) each(put func(name string, size int64, r io.Reader) error) error {
	small := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	for d, data := range w.blobs {
		small[blobName(d)] = data
	}
	for name, v := range map[string]any{"index.json": w.index, "manifest.json": w.docker} {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		small[name] = data
	}
	names := slices.Collect(maps.Keys(small))
	large := map[string]string{}
	for d, file := range w.files {
		large[blobName(d)] = file
		names = append(names, blobName(d))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if data, ok := small[name]; ok {
			if err := put(name, int64(len(data)), bytes.NewReader(data)); err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(large[name])
		if err != nil {
			return err
		}
		is, err := f.Stat()
		if err == nil {
			err = put(name, is.Size(), f)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// archive writes the layout as one file: beside, then renamed.
func (w *layoutWriter) archive(file string, at time.Time) error {
	return whole(file, func(out io.Writer) error {
		t := tar.NewWriter(out)
		for _, dir := range []string{"blobs/", "blobs/sha256/"} {
			if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: at}); err != nil {
				return err
			}
		}
		err := w.each(func(name string, size int64, r io.Reader) error {
			if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: at}); err != nil {
				return err
			}
			_, err := io.Copy(t, r)
			return err
		})
		return errors.Join(err, t.Close())
	})
}

// folder writes the layout as a folder. Blobs come before the index that names them; those of
// an image that was there before stay.
func (w *layoutWriter) folder(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return w.each(func(name string, size int64, r io.Reader) error {
		file := filepath.Join(dir, name)
		if is, err := os.Stat(file); err == nil && is.Size() == size && strings.HasPrefix(name, "blobs/") {
			return nil
		}
		return whole(file, func(out io.Writer) error {
			_, err := io.Copy(out, r)
			return err
		})
	})
}

// whole writes a file under its name when it is complete.
func whole(file string, write func(io.Writer) error) error {
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = write(w)
	if err = errors.Join(err, w.Flush(), f.Close()); err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the image: %w", err), os.Remove(file+".new"))
	}
	return nil
}
