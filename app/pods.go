package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"steer/base/access"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
	"steer/deliver/deploy"
	"steer/deliver/registry"
)

const (
	// podFolder is the folder of repositories with the images that archives run in.
	podFolder = "pods/"
	// podImages is how many of a service are kept at least, though nothing runs them:
	// they can be made again.
	podImages = 20
)

// podStore is where pods have their images from: the registry, which is asked with a
// token that may only read.
type podStore struct {
	a  *App
	mu sync.Mutex
}

// image returns what a node's image is called in the registry. An archive becomes one
// there, with the image that it runs in: no container engine is needed for that.
func (p *podStore) image(ctx context.Context, s deploy.Spec) (string, error) {
	repository := string(s.Service)
	if s.Kind == catalog.KindImage {
		if err := registry.CheckName(repository); err != nil {
			return "", fault.New(fault.Invalid, "a registry has no names like %q (write the service's name in small letters)", s.Service)
		}
		return repository + "@" + s.Digest, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.a.deliver.registry
	repository = podFolder + strings.ToLower(repository)
	base, err := p.base(ctx, s.Image)
	if err != nil {
		return "", err
	}
	tag := fmt.Sprintf("%s-%.12s-%.12s", s.Version, strings.TrimPrefix(s.Digest, "sha256:"), strings.TrimPrefix(base.digest, "sha256:"))
	if m, err := r.Resolve(ctx, repository, tag); err == nil {
		return repository + "@" + string(m.Digest), nil
	}
	body, err := p.putOn(ctx, base, s)
	if err != nil {
		return "", err
	}
	m, err := r.Push(ctx, registry.Push{Repository: repository, Tags: []string{tag}, MediaType: typeImage, Body: body, Actor: event.Steer})
	if err != nil {
		return "", err
	}
	if err := p.forget(ctx, repository); err != nil {
		p.a.log.Warn("images of pods that nothing needs are not removed", "repository", repository, "error", err)
	}
	return repository + "@" + string(m.Digest), nil
}

const (
	typeImage  = "application/vnd.oci.image.manifest.v1+json"
	typeConfig = "application/vnd.oci.image.config.v1+json"
	typeLayer  = "application/vnd.oci.image.layer.v1.tar"
)

// imageManifest is one image.
type imageManifest struct {
	Schema int                   `json:"schemaVersion"`
	Type   string                `json:"mediaType"`
	Config registry.Descriptor   `json:"config"`
	Layers []registry.Descriptor `json:"layers"`
}

// baseImage is what an archive runs in.
type baseImage struct {
	digest string // "scratch" if there is nothing in it
	layers []registry.Descriptor
	config map[string]any
}

// ofPlatform is one of the images of an index.
type ofPlatform struct {
	Digest   string `json:"digest"`
	Platform struct {
		OS   string `json:"os"`
		Arch string `json:"architecture"`
	} `json:"platform"`
}

// base reads the image that archives of a service run in, from the registry.
func (p *podStore) base(ctx context.Context, name string) (b baseImage, err error) {
	if name == "" || name == "scratch" {
		return baseImage{digest: "scratch", config: map[string]any{"architecture": runtime.GOARCH, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []any{}}}}, nil
	}
	fail := func(err error) (baseImage, error) {
		return b, fault.New(fault.Of(err), "environments.yaml names one for its nodes: %w; pods take it from this server's registry: docker push HOST:PORT/%s", err, strings.TrimPrefix(name, p.a.o.Deploy.Kubernetes.Registry+"/"))
	}
	repository, ref := strings.TrimPrefix(name, p.a.o.Deploy.Kubernetes.Registry+"/"), "latest"
	if at, digest, ok := strings.Cut(repository, "@"); ok {
		repository, ref = at, digest
	} else if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		repository, ref = repository[:i], repository[i+1:]
	}
	r := p.a.deliver.registry
	for range 3 { // an index may lie in an index
		m, err := r.Resolve(ctx, repository, ref)
		if err != nil {
			return fail(err)
		}
		b.digest = string(m.Digest)
		var one struct {
			imageManifest
			Manifests []ofPlatform `json:"manifests"`
		}
		if err := json.Unmarshal(m.Body, &one); err != nil {
			return fail(err)
		}
		if len(one.Manifests) == 0 {
			b.layers = one.Layers
			if b.config, err = p.config(one.Config.Digest); err != nil {
				return fail(err)
			}
			return b, nil
		}
		i := slices.IndexFunc(one.Manifests, func(d ofPlatform) bool { return d.Platform.OS == "linux" && d.Platform.Arch == runtime.GOARCH })
		if i < 0 {
			return fail(fault.New(fault.Invalid, "it has nothing for linux/%s", runtime.GOARCH))
		}
		ref = one.Manifests[i].Digest
	}
	return fail(fault.New(fault.Invalid, "it leads to no image"))
}

func (p *podStore) config(d registry.Digest) (c map[string]any, err error) {
	f, _, err := p.a.deliver.registry.OpenBlob(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return c, json.NewDecoder(io.LimitReader(f, registry.MaxManifest)).Decode(&c)
}

// putOn stores what an image of an archive consists of, and returns its manifest.
func (p *podStore) putOn(ctx context.Context, base baseImage, s deploy.Spec) ([]byte, error) {
	layer, diff, err := p.layer(ctx, s.Digest, base.digest == "scratch")
	if err != nil {
		return nil, err
	}
	files, _ := base.config["rootfs"].(map[string]any)
	diffs, ok := files["diff_ids"].([]any)
	if !ok {
		return nil, fault.New(fault.Invalid, "image %s: its config names no layers", s.Image)
	}
	files["diff_ids"] = append(diffs, diff)
	delete(base.config, "history") // which would have to fit
	text, err := json.Marshal(base.config)
	if err != nil {
		return nil, err
	}
	config, err := p.blob(typeConfig, func(w io.Writer) error { _, err := w.Write(text); return err })
	if err != nil {
		return nil, err
	}
	for i, l := range base.layers {
		// An OCI manifest has layers of OCI's types.
		if kind, ok := strings.CutPrefix(l.MediaType, "application/vnd.docker.image.rootfs.diff.tar"); ok {
			base.layers[i].MediaType = typeLayer + strings.Replace(kind, ".", "+", 1)
		}
	}
	return json.Marshal(imageManifest{2, typeImage, config, append(base.layers, layer)})
}

// layer stores the files of an archive as a layer, and returns the digest of what is
// in it, too.
func (p *podStore) layer(ctx context.Context, digest string, empty bool) (d registry.Descriptor, diff string, err error) {
	archive, err := p.a.deliver.artifacts.Archive(ctx, digest)
	if err != nil {
		return d, "", err
	}
	defer archive.Close()
	plain := sha256.New()
	d, err = p.blob(typeLayer+"+gzip", func(w io.Writer) error {
		zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		if err := deploy.Layer(io.MultiWriter(zip, plain), archive, empty); err != nil {
			return fmt.Errorf("artifact %s: %w", digest, err)
		}
		return zip.Close()
	})
	return d, "sha256:" + hex.EncodeToString(plain.Sum(nil)), err
}

// blob stores what write writes.
func (p *podStore) blob(mediaType string, write func(io.Writer) error) (d registry.Descriptor, err error) {
	r := p.a.deliver.registry
	name, err := r.Begin()
	if err != nil {
		return d, err
	}
	out, in := io.Pipe()
	hash := sha256.New()
	written := make(chan error, 1)
	go func() {
		err := write(io.MultiWriter(in, hash))
		in.CloseWithError(err)
		written <- err
	}()
	size, err := r.Append(name, registry.Chunk{Start: -1, Size: -1, Reader: out})
	out.CloseWithError(errEnough)
	if e := <-written; e != nil && !errors.Is(e, errEnough) {
		err = e // the cause; err is its consequence
	}
	if err != nil {
		return d, errors.Join(err, r.Cancel(name))
	}
	d = registry.Descriptor{MediaType: mediaType, Digest: registry.Digest("sha256:" + hex.EncodeToString(hash.Sum(nil))), Size: size}
	return d, r.Finish(name, registry.Chunk{Start: -1, Size: 0, Reader: bytes.NewReader(nil)}, d.Digest)
}

var errEnough = errors.New("the registry reads no more")

// forget removes images of a service that were made long ago and that no node needs.
func (p *podStore) forget(ctx context.Context, repository string) error {
	r := p.a.deliver.registry
	tags, err := r.Detail(ctx, repository, 10*podImages)
	if err != nil || len(tags) <= podImages {
		return err
	}
	nodes, err := p.a.deliver.pods.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range tags[podImages:] {
		if !slices.ContainsFunc(nodes, func(n deploy.Instance) bool { return strings.HasPrefix(t.Tag, string(n.Version)+"-") }) {
			errs = append(errs, r.Delete(ctx, repository, string(t.Digest), event.Steer))
		}
	}
	return errors.Join(errs...)
}

// token returns what clusters pull with: a token of its own that may look only. It
// makes another when there is none, or it was revoked.
func (p *podStore) token(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	file, name := p.a.path("kubernetes.token"), id.Person("kubernetes-"+p.a.instance[max(0, len(p.a.instance)-8):])
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token != "" {
		if _, err := p.a.access.Verify(ctx, token); err == nil || fault.Of(err) != fault.Anonymous {
			return token, err
		}
	}
	if err := p.a.access.Revoke(ctx, event.Steer, name); err != nil && fault.Of(err) != fault.NotFound {
		return "", err
	}
	if token, err = p.a.access.Create(ctx, event.Steer, name, access.Viewer); err != nil {
		return "", err
	}
	return token, os.WriteFile(file, []byte(token+"\n"), 0o600)
}
