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
	"strings"

	"steer/base/fault"
	"steer/base/oci"
	"steer/catalog"
)

// picture is an image as it was found, or, without Text, one that is to be made of it.
type picture struct {
	oci.Image
	root *os.Root // that files are below; nil without layers
	tmp  string   // removed with it
}

func (p *picture) close() {
	if p.root != nil {
		p.root.Close()
	}
	if p.tmp != "" {
		os.RemoveAll(p.tmp)
	}
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
	if p.Image, err = oci.Read(p.root.FS()); err != nil {
		return nil, err
	}
	var c oci.Config
	if err := json.Unmarshal(p.Config, &c); err != nil {
		return nil, fmt.Errorf("its config: %w", err)
	}
	if c.OS != "linux" {
		return nil, fmt.Errorf("it is for %q, not for linux", c.OS)
	}
	if len(c.RootFS.DiffIDs) != len(p.Manifest.Layers) {
		return nil, fmt.Errorf("its config names %d layers, its manifest %d", len(c.RootFS.DiffIDs), len(p.Manifest.Layers))
	}
	return p, nil
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

const (
	scratch   = "scratch"
	appFolder = "app" // where the paths lie in an image
	nobody    = "65534:65534"
)

// blank is the image that nothing is in.
func blank() *picture {
	text, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"User": nobody}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}}})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &picture{Image: oci.Image{Config: text}}
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
	for i, l := range p.Manifest.Layers {
		// An OCI manifest has layers of OCI's types.
		if kind, ok := strings.CutPrefix(l.MediaType, "application/vnd.docker.image.rootfs.diff.tar"); ok {
			p.Manifest.Layers[i].MediaType = oci.TypeLayer + strings.Replace(kind, ".", "+", 1)
		}
	}
	p.Manifest.Layers = append(p.Manifest.Layers, oci.Descriptor{MediaType: TypeArchive, Digest: digest, Size: size})
	p.Text = nil
	p.Manifest.Annotations = nil
	return p.run(m, "sha256:"+hex.EncodeToString(plain.Sum(nil)))
}

// run changes the config for a new layer and command. What is not understood of
// the config stays as it is.
func (p *picture) run(m catalog.Manifest, diff string) error {
	const epoch = "1970-01-01T00:00:00Z"
	var c map[string]any
	if err := json.Unmarshal(p.Config, &c); err != nil {
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
	p.Config, err = json.Marshal(c)
	return err
}
