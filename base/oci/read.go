package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"

	"steer/base/fault"
)

// Image is an image as it was found.
type Image struct {
	Manifest Manifest // of docker save just the layers, without digests
	Text     []byte   // of the manifest, whose digest is the image's; nil: it has none
	Config   []byte   // text of a Config, which may say more than is understood
	Files    []string // of the layers, lowest first
}

// Read reads the image of this machine's platform in a folder: an image layout, or what
// docker save writes. Layers are not looked at. The error is fault.NotFound without an
// image of that platform, and else Invalid.
func Read(dir fs.FS) (i Image, err error) {
	switch {
	case exists(dir, "index.json"):
		err = i.layout(dir)
	case exists(dir, "manifest.json"):
		err = i.saved(dir)
	default:
		err = errors.New("it is neither an OCI image layout (it has no index.json) nor what docker save writes (no manifest.json)")
	}
	if err != nil && fault.Of(err) != fault.NotFound {
		err = fault.New(fault.Invalid, "%w", err)
	}
	return i, err
}

func exists(dir fs.FS, name string) bool {
	_, err := fs.Stat(dir, name)
	return err == nil
}

// layout reads an image layout of one image, or of several platforms of it.
func (i *Image) layout(dir fs.FS) error {
	data, err := read(dir, "index.json")
	if err != nil {
		return err
	}
	for range 5 { // an index may lie in an index
		var x Index
		if err := json.Unmarshal(data, &x); err != nil {
			return fmt.Errorf("read its index: %w", err)
		}
		d, err := choose(x.Manifests)
		if err != nil {
			return err
		}
		if data, err = blob(dir, d.Digest); err != nil {
			return err
		}
		if d.MediaType == TypeIndex || d.MediaType == TypeDockerIndex {
			continue
		}
		if err := json.Unmarshal(data, &i.Manifest); err != nil {
			return fmt.Errorf("read its manifest: %w", err)
		}
		if i.Text = data; i.Manifest.MediaType == "" {
			i.Manifest.MediaType = d.MediaType
		}
		for _, l := range i.Manifest.Layers {
			file, err := BlobPath(l.Digest)
			if err != nil {
				return err
			}
			i.Files = append(i.Files, file)
		}
		i.Config, err = blob(dir, i.Manifest.Config.Digest)
		return err
	}
	return errors.New("its index.json leads to no image")
}

// choose takes the image of this machine's platform, or the only one. What is for the
// platform unknown says something about images.
func choose(all []Descriptor) (Descriptor, error) {
	images := slices.DeleteFunc(slices.Clone(all), func(d Descriptor) bool { return d.Platform != nil && d.Platform.OS == "unknown" })
	for _, d := range images {
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH {
			return d, nil
		}
	}
	// One that has several names is listed as often.
	if len(images) > 0 && !slices.ContainsFunc(images, func(d Descriptor) bool { return d.Digest != images[0].Digest }) {
		return images[0], nil
	}
	return Descriptor{}, fault.New(fault.NotFound, "it holds %d images, and none of them says that it is for linux/%s", len(images), runtime.GOARCH)
}

// saved reads what docker save writes.
func (i *Image) saved(dir fs.FS) error {
	data, err := read(dir, "manifest.json")
	if err != nil {
		return err
	}
	var all []Saved
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("manifest.json: %w", err)
	}
	if len(all) != 1 {
		return fmt.Errorf("it holds %d images (save one)", len(all))
	}
	if i.Config, err = read(dir, path.Clean(all[0].Config)); err != nil {
		return err
	}
	for _, file := range all[0].Layers {
		file = path.Clean(file)
		is, err := fs.Stat(dir, file)
		if err != nil {
			return err
		}
		i.Files = append(i.Files, file)
		i.Manifest.Layers = append(i.Manifest.Layers, Descriptor{MediaType: TypeLayer, Size: is.Size()})
	}
	return nil
}

// blob reads a small blob of a layout, and checks that it is what its digest says.
func blob(dir fs.FS, digest string) ([]byte, error) {
	file, err := BlobPath(digest)
	if err != nil {
		return nil, err
	}
	data, err := read(dir, file)
	if err == nil && DigestOf(data) != digest {
		err = fmt.Errorf("%s is damaged: its content does not match its digest", digest)
	}
	return data, err
}

// read reads a small file whole.
func read(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 8 << 20
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return data, err
}
