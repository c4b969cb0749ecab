package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"steer/base/fault"
	"steer/base/oci"
)

const (
	typeEmpty = "application/vnd.oci.empty.v1+json"
)

// packImage stores the image that paths[0] is, or that paths on a base make. The
// descriptor is that of its manifest.
func (r *Repository) packImage(ctx context.Context, m Meta, root *os.Root, paths []string) (oci.Descriptor, Provenance, error) {
	p := Provenance{Meta: m, Builder: "steer", Content: []string{}}
	how := m.Manifest.Artifact
	fail := func(err error) (oci.Descriptor, Provenance, error) {
		return oci.Descriptor{}, p, fmt.Errorf("pack image: %w", err)
	}
	var from *picture
	var err error
	switch {
	case how.Base == "" && len(paths) != 1:
		err = fault.New(fault.Invalid, "%d paths are given, an image is one (or give artifact.base)", len(paths))
	case how.Base == "":
		from, err = r.picture(ctx, root, paths[0])
	case how.Base == scratch:
		from = blank()
	default:
		from, err = r.picture(ctx, root, how.Base)
	}
	if err != nil {
		return fail(err)
	}
	defer from.close()
	// The layers come before what names them.
	left := int64(r.limits.MaxMB) << 20
	for i, l := range from.Manifest.Layers {
		if left -= l.Size; left < 0 {
			return fail(fault.New(fault.Invalid, "it has more than %d MiB (limit artifact.max_mb)", r.limits.MaxMB))
		}
		if from.Manifest.Layers[i].Digest, err = r.copyBlob(ctx, from, from.Files[i], l); err != nil {
			return fail(err)
		}
	}
	if how.Base != "" {
		if err := r.putOn(from, *m.Manifest, root, paths); err != nil {
			return fail(err)
		}
	}
	if from.Text == nil { // not as it came
		config, err := r.writeBytes(oci.TypeConfig, from.Config)
		if err != nil {
			return fail(err)
		}
		from.Manifest.SchemaVersion, from.Manifest.MediaType, from.Manifest.Config = 2, oci.TypeManifest, config
		if from.Text, err = json.Marshal(from.Manifest); err != nil {
			return fail(err)
		}
	} else if _, err := r.writeBytes(oci.TypeConfig, from.Config); err != nil {
		return fail(err)
	}
	d, err := r.writeBytes(from.Manifest.MediaType, from.Text)
	if err != nil {
		return fail(err)
	}
	for _, l := range from.Manifest.Layers {
		p.Files++
		p.Bytes += l.Size
		p.Content = append(p.Content, l.Digest)
	}
	return d, p, nil
}

// writeBytes stores a small blob.
func (r *Repository) writeBytes(mediaType string, data []byte) (oci.Descriptor, error) {
	digest, size, err := r.layout.write(func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return oci.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// copyBlob stores a layer, and checks its digest if that is known.
func (r *Repository) copyBlob(ctx context.Context, from *picture, file string, l oci.Descriptor) (string, error) {
	digest, _, err := r.layout.write(func(w io.Writer) error {
		f, err := from.root.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if n, err := io.Copy(w, io.LimitReader(f, l.Size+1)); err != nil {
			return err
		} else if n != l.Size {
			return fault.New(fault.Invalid, "layer %s has not the %d bytes that the manifest says", file, l.Size)
		}
		return ctx.Err()
	})
	if err == nil && l.Digest != "" && digest != l.Digest {
		err = fault.New(fault.Invalid, "layer %s is damaged: its content does not match its digest", l.Digest)
	}
	return digest, err
}

// storeImage writes the index that joins an image with its provenance. One digest
// then stands for both, and any engine finds the image by it.
func (r *Repository) storeImage(provenance, image oci.Descriptor, notes map[string]string) (oci.Descriptor, error) {
	var m oci.Manifest
	if err := r.layout.readJSON(image.Digest, &m); err != nil {
		return oci.Descriptor{}, err
	}
	var c oci.Config
	if err := r.layout.readJSON(m.Config.Digest, &c); err != nil {
		return oci.Descriptor{}, err
	}
	image.Platform = &oci.Platform{Architecture: c.Architecture, OS: c.OS}
	nothing, err := r.writeBytes(typeEmpty, []byte("{}"))
	if err != nil {
		return oci.Descriptor{}, err
	}
	about, err := r.layout.writeJSON(oci.TypeManifest, oci.Manifest{SchemaVersion: 2, MediaType: oci.TypeManifest, ArtifactType: TypeArtifact, Config: provenance, Layers: []oci.Descriptor{nothing}})
	if err != nil {
		return oci.Descriptor{}, err
	}
	// Engines skip manifests of this platform.
	about.ArtifactType, about.Platform = TypeArtifact, &oci.Platform{Architecture: "unknown", OS: "unknown"}
	return r.layout.writeJSON(oci.TypeIndex, oci.Index{SchemaVersion: 2, MediaType: oci.TypeIndex, Manifests: []oci.Descriptor{image, about}, Annotations: notes})
}

// loadImage is load for an image.
func (r *Repository) loadImage(digest string) (p Provenance, image oci.Descriptor, err error) {
	image, about, err := r.parts(digest)
	if err != nil {
		return p, image, err
	}
	if err := r.layout.readJSON(about.Config.Digest, &p); err != nil {
		return p, image, err
	}
	var m oci.Manifest
	if err := r.layout.readJSON(image.Digest, &m); err != nil {
		return p, image, err
	}
	for _, b := range append(m.Layers, m.Config) {
		file, err := r.layout.blob(b.Digest)
		if err != nil {
			return p, image, err
		}
		if i, err := os.Stat(file); err != nil {
			return p, image, err
		} else if i.Size() != b.Size {
			return p, image, fmt.Errorf("part %s of the image has %d bytes instead of %d", file, i.Size(), b.Size)
		}
	}
	return p, image, nil
}

// parts are the two manifests of an image's index.
func (r *Repository) parts(digest string) (image oci.Descriptor, about oci.Manifest, err error) {
	var x oci.Index
	if err := r.layout.readJSON(digest, &x); err != nil {
		return image, about, err
	}
	if x.MediaType != oci.TypeIndex || len(x.Manifests) != 2 || x.Manifests[1].ArtifactType != TypeArtifact {
		return image, about, fault.New(fault.Invalid, "artifact %s is not a container image made by Steer", digest)
	}
	return x.Manifests[0], about, r.layout.readJSON(x.Manifests[1].Digest, &about)
}

// Image returns the ID that a container engine gives an artifact that is an image, what
// its layers are called when they are unpacked, lowest first, and how to write it as
// docker load takes it, under a name, without so many of the lowest layers.
func (r *Repository) Image(ctx context.Context, digest string) (id string, layers []string, save func(w io.Writer, name string, without int) error, err error) {
	image, _, err := r.parts(digest)
	if err != nil {
		return "", nil, nil, err
	}
	var m oci.Manifest
	if err := r.layout.readJSON(image.Digest, &m); err != nil {
		return "", nil, nil, err
	}
	var c oci.Config
	if err := r.layout.readJSON(m.Config.Digest, &c); err != nil {
		return "", nil, nil, err
	}
	return m.Config.Digest, c.RootFS.DiffIDs, func(w io.Writer, name string, without int) error {
		if err := r.save(ctx, w, name, m, without); err != nil {
			return fmt.Errorf("save image %s: %w", digest, err)
		}
		return nil
	}, nil
}

func (r *Repository) save(ctx context.Context, w io.Writer, name string, m oci.Manifest, without int) error {
	out := tar.NewWriter(w)
	add := func(b oci.Descriptor, ending string) (string, error) {
		file, err := r.layout.blob(b.Digest)
		if err != nil {
			return "", err
		}
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		as := path.Base(file) + ending
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: as, Mode: 0o644, Size: b.Size}); err != nil {
			return "", err
		}
		if _, err := io.Copy(out, f); err != nil {
			return "", err
		}
		return as, ctx.Err()
	}
	s := oci.Saved{RepoTags: []string{name}, Layers: []string{}}
	var err error
	if s.Config, err = add(m.Config, ".json"); err != nil {
		return err
	}
	there := map[string]bool{}
	for i, l := range m.Layers {
		as := strings.TrimPrefix(l.Digest, "sha256:") + ".tar"
		if s.Layers = append(s.Layers, as); there[as] || i < without {
			continue
		}
		there[as] = true
		if _, err = add(l, ".tar"); err != nil {
			return err
		}
	}
	list, err := json.Marshal([]oci.Saved{s})
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "manifest.json", Mode: 0o644, Size: int64(len(list))}); err != nil {
		return err
	}
	if _, err := out.Write(list); err != nil {
		return err
	}
	return out.Close()
}

// Archive opens the tar.gz of an artifact. Reading it to its end fails if it is
// damaged.
func (r *Repository) Archive(_ context.Context, digest string) (io.ReadCloser, error) {
	var m oci.Manifest
	if err := r.layout.readJSON(digest, &m); err != nil {
		return nil, err
	}
	if m.ArtifactType != TypeArtifact || len(m.Layers) == 0 || m.Layers[0].MediaType != TypeArchive {
		return nil, fault.New(fault.Invalid, "open artifact %s: it is no archive", digest)
	}
	file, err := r.layout.blob(m.Layers[0].Digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open artifact %s: %w", digest, err)
	}
	hash := sha256.New()
	return &checked{Closer: f, from: io.TeeReader(f, hash), sum: func() error {
		if "sha256:"+hex.EncodeToString(hash.Sum(nil)) != m.Layers[0].Digest {
			return fmt.Errorf("file %s is damaged: its content does not match its digest", file)
		}
		return io.EOF
	}}, nil
}

// checked judges what was read when it ends.
type checked struct {
	io.Closer
	from io.Reader
	sum  func() error
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	if errors.Is(err, io.EOF) {
		err = c.sum()
	}
	return n, err
}

// plainTar returns a tar that may be compressed.
func plainTar(f io.ReadSeeker) (io.Reader, error) {
	var magic [2]byte
	_, err := io.ReadFull(f, magic[:])
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if bytes.Equal(magic[:], []byte{0x1f, 0x8b}) {
		return gzip.NewReader(f)
	}
	return f, nil
}
