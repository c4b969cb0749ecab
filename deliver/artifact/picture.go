package artifact

import (
	"archive/tar"
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
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/catalog"
)

// picture is an image as it was found: in an OCI image layout, or in what docker
// save writes.
type picture struct {
	root     *os.Root // that files are below; nil without layers
	tmp      string   // removed with it
	manifest manifest
	text     []byte   // of the manifest; nil: it is to be made
	files    []string // of the layers
	config   []byte
}

func (p *picture) close() {
	if p.root != nil {
		p.root.Close()
	}
	if p.tmp != "" {
		os.RemoveAll(p.tmp)
	}
}

// config is what matters here of an image's config.
type config struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	RootFS       struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// picture reads the image at a path of the checkout, whose content is whoever's.
func (r *Repository) picture(ctx context.Context, root *os.Root, name string) (_ *picture, err error) {
	p := &picture{}
	defer func() {
		if err != nil {
			p.close()
			err = fault.New(fault.Invalid, "image %q: %w", name, err)
		}
	}()
	i, err := root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%w (does artifact.build make it?)", reason(err))
	}
	if i.IsDir() {
		p.root, err = root.OpenRoot(name)
	} else {
		err = r.unpackImage(ctx, p, root, name)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case exists(p.root, "index.json"):
		err = p.layout()
	case exists(p.root, "manifest.json"):
		err = p.saved()
	default:
		err = errors.New("it is neither an OCI image layout (it has no index.json) nor what docker save writes (no manifest.json)")
	}
	if err != nil {
		return nil, err
	}
	var c config
	if err := json.Unmarshal(p.config, &c); err != nil {
		return nil, fmt.Errorf("its config: %w", err)
	}
	if c.OS != "linux" {
		return nil, fmt.Errorf("it is for %q, not for linux", c.OS)
	}
	if len(c.RootFS.DiffIDs) != len(p.manifest.Layers) {
		return nil, fmt.Errorf("its config names %d layers, its manifest %d", len(c.RootFS.DiffIDs), len(p.manifest.Layers))
	}
	return p, nil
}

func exists(root *os.Root, name string) bool {
	_, err := root.Stat(name)
	return err == nil
}

// unpackImage unpacks a tar into a folder of its own.
func (r *Repository) unpackImage(ctx context.Context, p *picture, root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := plainTar(f)
	if err != nil {
		return err
	}
	if p.tmp, err = os.MkdirTemp(filepath.Join(r.layout.dir, "tmp"), "image-*"); err != nil {
		return err
	}
	if p.root, err = os.OpenRoot(p.tmp); err != nil {
		return err
	}
	return extractTar(ctx, tar.NewReader(plain), p.root, r.limits)
}

// read reads a small file whole.
func (p *picture) read(name string) ([]byte, error) {
	f, err := p.root.Open(name)
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

// blob reads a small blob of a layout.
func (p *picture) blob(d descriptor, into any) ([]byte, error) {
	file, err := blobFile(d.Digest)
	if err != nil {
		return nil, err
	}
	data, err := p.read(file)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); "sha256:"+hex.EncodeToString(sum[:]) != d.Digest {
		return nil, fmt.Errorf("%s is damaged: its content does not match its digest", d.Digest)
	}
	if into != nil {
		err = json.Unmarshal(data, into)
	}
	return data, err
}

// blobFile is where a layout has a blob.
func blobFile(digest string) (string, error) {
	hexed, ok := strings.CutPrefix(digest, "sha256:")
	if raw, err := hex.DecodeString(hexed); !ok || err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%q is no digest that is understood (sha256:…)", digest)
	}
	return "blobs/sha256/" + hexed, nil
}

// layout reads an OCI image layout of one image, or of several platforms of it.
func (p *picture) layout() error {
	data, err := p.read("index.json")
	if err != nil {
		return err
	}
	var x index
	if err := json.Unmarshal(data, &x); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	for range 3 { // an index may lie in an index
		d, err := choose(x.Manifests)
		if err != nil {
			return err
		}
		if strings.Contains(d.MediaType, "index") || strings.Contains(d.MediaType, "manifest.list") {
			x = index{}
			if _, err := p.blob(d, &x); err != nil {
				return err
			}
			continue
		}
		if p.text, err = p.blob(d, &p.manifest); err != nil {
			return err
		}
		if p.manifest.MediaType == "" {
			p.manifest.MediaType = d.MediaType
		}
		for _, l := range p.manifest.Layers {
			file, err := blobFile(l.Digest)
			if err != nil {
				return err
			}
			p.files = append(p.files, file)
		}
		p.config, err = p.blob(p.manifest.Config, nil)
		return err
	}
	return errors.New("its index.json leads to no image")
}

// choose takes the image of this machine's platform.
func choose(all []descriptor) (descriptor, error) {
	images := slices.DeleteFunc(slices.Clone(all), func(d descriptor) bool { return d.Platform != nil && d.Platform.OS == "unknown" })
	if len(images) == 1 {
		return images[0], nil
	}
	for _, d := range images {
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH {
			return d, nil
		}
	}
	return descriptor{}, fmt.Errorf("it holds %d images, and none of them says that it is for linux/%s", len(images), runtime.GOARCH)
}

// saved reads what docker save writes.
func (p *picture) saved() error {
	data, err := p.read("manifest.json")
	if err != nil {
		return err
	}
	var all []saved
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("manifest.json: %w", err)
	}
	if len(all) != 1 {
		return fmt.Errorf("it holds %d images (save one)", len(all))
	}
	if p.config, err = p.read(all[0].Config); err != nil {
		return err
	}
	for _, file := range all[0].Layers {
		i, err := p.root.Stat(file)
		if err != nil {
			return err
		}
		p.files = append(p.files, file)
		p.manifest.Layers = append(p.manifest.Layers, descriptor{MediaType: typeTar, Size: i.Size()})
	}
	return nil
}

const (
	scratch   = "scratch"
	typeTar   = "application/vnd.oci.image.layer.v1.tar"
	appFolder = "app" // where the paths lie in an image
	nobody    = "65534:65534"
)

// blank is the image that nothing is in.
func blank() *picture {
	text, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"User": nobody}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}}})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &picture{config: text}
}

// putOn puts paths on an image as one more layer, and makes run.command what it
// runs. The result has no time of now: the same files give the same bytes.
func (r *Repository) putOn(p *picture, m catalog.Manifest, root *os.Root, paths []string) error {
	entries, _, err := collect(root, paths, r.limits)
	if err != nil {
		return err
	}
	folder, err := root.Stat(".")
	if err != nil {
		return err
	}
	for i := range entries {
		entries[i].name = path.Join(appFolder, entries[i].name)
	}
	entries = append([]entry{{name: appFolder, info: folder}}, entries...)
	if m.Artifact.Base == scratch {
		entries = append(entries, entry{name: "tmp", info: folder, mode: 0o1777})
	}
	plain := sha256.New()
	digest, size, err := r.layout.write(func(w io.Writer) error {
		zip := gzip.NewWriter(w)
		if err := writeTar(io.MultiWriter(zip, plain), root, entries); err != nil {
			return err
		}
		return zip.Close()
	})
	if err != nil {
		return err
	}
	for i, l := range p.manifest.Layers {
		// An OCI manifest has layers of OCI's types.
		if kind, ok := strings.CutPrefix(l.MediaType, "application/vnd.docker.image.rootfs.diff.tar"); ok {
			p.manifest.Layers[i].MediaType = typeTar + strings.Replace(kind, ".", "+", 1)
		}
	}
	p.manifest.Layers = append(p.manifest.Layers, descriptor{MediaType: TypeArchive, Digest: digest, Size: size})
	p.text = nil
	p.manifest.Annotations = nil
	return p.run(m, "sha256:"+hex.EncodeToString(plain.Sum(nil)))
}

// run changes the config for a new layer and command. What is not understood of
// the config stays as it is.
func (p *picture) run(m catalog.Manifest, diff string) error {
	const epoch = "1970-01-01T00:00:00Z"
	var c map[string]any
	if err := json.Unmarshal(p.config, &c); err != nil {
		return fmt.Errorf("the base's config: %w", err)
	}
	files, _ := c["rootfs"].(map[string]any)
	diffs, ok := files["diff_ids"].([]any)
	if !ok {
		return errors.New("the base's config names no layers")
	}
	files["diff_ids"] = append(diffs, diff)
	how, _ := c["config"].(map[string]any)
	if how == nil {
		how = map[string]any{}
	}
	command := strings.TrimSpace(m.Run.Command)
	how["Entrypoint"] = []string{"/bin/sh", "-c", command}
	if m.Artifact.Base == scratch {
		if strings.ContainsAny(command, "'\"`\\;&|<>()*?[]#~$\n") {
			// A driver knows what $NAME is; an image that is run by hand does not.
			how["Entrypoint"] = nil
		} else {
			how["Entrypoint"] = strings.Fields(strings.TrimPrefix(command, "exec "))
		}
	}
	delete(how, "Cmd")
	how["WorkingDir"] = "/" + appFolder
	ports := map[string]any{}
	for _, n := range m.Run.Ports {
		ports[fmt.Sprintf("%d/tcp", n)] = map[string]any{}
	}
	how["ExposedPorts"] = ports
	c["config"], c["created"] = how, epoch
	if h, ok := c["history"].([]any); ok || len(diffs) == 0 {
		c["history"] = append(h, map[string]any{"created": epoch, "created_by": "steer"})
	}
	var err error
	p.config, err = json.Marshal(c)
	return err
}
