package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
	"steer/deliver/deploy"
)

const (
	kindImage = catalog.KindImage
	scratch   = "scratch"
)

// repository is what the names of all images begin with that the driver loads.
// Others it leaves alone.
const repository = "steer/"

// image is one that the engine has.
type image struct {
	id    string
	ref   string // the driver's name for it; "": somebody else brought it
	user  string // that it says
	shell bool   // it has /bin/sh
}

// images is what the driver knows of them.
type images struct {
	mu     sync.Mutex
	coming map[string]int  // names that are about to be used
	shells map[string]bool // by image ID
}

// seen is what inspecting an image tells.
type seen struct {
	ID     string `json:"Id"`
	Config struct{ User string }
	RootFS struct{ Layers []string }
}

func (d *Driver) look(ctx context.Context, name string) (*seen, error) {
	s := &seen{}
	err := d.engine.call(ctx, "GET", "/images/"+name+"/json", nil, nil, s)
	if fault.Of(err) == fault.NotFound {
		return nil, nil
	}
	return s, err
}

// image brings the image of a node into the engine, if it is not there. Until
// release it is not removed.
func (d *Driver) image(ctx context.Context, s deploy.Spec) (i image, release func(), err error) {
	fail := func(err error) (image, func(), error) {
		return image{}, nil, fault.New(fault.Of(err), "image of %s %s: %w", s.Service, s.Version, err)
	}
	d.images.mu.Lock()
	defer d.images.mu.Unlock()
	tag := d.short() + "-" + cut(s.Digest)
	var there *seen
	switch {
	case s.Kind == kindImage:
		i.ref = name(s.Service) + ":" + tag
		there, err = d.load(ctx, s, &i)
	default: // packages for hosts come with an archive
		there, err = d.assemble(ctx, s, tag, &i)
	}
	if err != nil {
		return fail(err)
	}
	i.id, i.user = there.ID, there.Config.User
	if i.shell, err = d.shell(ctx, i.id); err != nil {
		return fail(err)
	}
	if d.images.coming == nil {
		d.images.coming = map[string]int{}
	}
	d.images.coming[i.ref]++
	return i, sync.OnceFunc(func() {
		d.images.mu.Lock()
		defer d.images.mu.Unlock()
		if d.images.coming[i.ref]--; d.images.coming[i.ref] == 0 {
			delete(d.images.coming, i.ref)
		}
	}), nil
}

// cut is a short form of a digest, for names.
func cut(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(12, len(hex))]
}

// name is that of a service's images. The engine allows fewer letters than Steer.
func name(s id.Service) string {
	return repository + strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(string(s))), "-")
}

// load loads an artifact that is an image.
func (d *Driver) load(ctx context.Context, s deploy.Spec, i *image) (*seen, error) {
	if there, err := d.look(ctx, i.ref); there != nil || err != nil {
		return there, err
	}
	id, layers, save, err := d.o.Image(ctx, s.Digest)
	if err != nil {
		return nil, err
	}
	if there, err := d.look(ctx, id); there != nil || err != nil {
		i.ref = "" // brought by somebody else, who also removes it
		return there, err
	}
	has, err := d.layers(ctx, name(s.Service), layers)
	if err != nil {
		return nil, err
	}
	d.log.Info("loading an image into the Docker engine", "service", s.Service, "version", s.Version, "image", i.ref, "layers", len(layers)-has, "there", has)
	load := func(without int) error {
		return d.stream(ctx, "POST", "/images/load", values("quiet", "1"), func(w io.Writer) error { return save(w, i.ref, without) })
	}
	if err = load(has); err != nil && has > 0 && ctx.Err() == nil {
		d.log.Info("the Docker engine wants the whole image", "image", i.ref, "error", err)
		err = load(0)
	}
	if err != nil {
		return nil, err
	}
	there, err := d.look(ctx, i.ref)
	if err == nil && there == nil {
		err = errors.New("the Docker engine loaded the image without a word, and does not have it")
	}
	return there, err
}

// layers says how many of an image's lowest layers the engine has, by the images of a
// name. It unpacks none of those again, and asks for none of them, where it keeps images
// by itself; where containerd keeps them for it, it wants all that a file names.
func (d *Driver) layers(ctx context.Context, name string, want []string) (has int, err error) {
	var all []struct {
		ID string `json:"Id"`
	}
	if err := d.engine.call(ctx, "GET", "/images/json", values("filters", filters("reference", name+":*")), nil, &all); err != nil {
		return 0, err
	}
	for _, i := range all {
		is, err := d.look(ctx, i.ID)
		if err != nil {
			return 0, err
		}
		if is == nil {
			continue // gone meanwhile
		}
		n := 0
		for n < min(len(want), len(is.RootFS.Layers)) && want[n] == is.RootFS.Layers[n] {
			n++
		}
		has = max(has, n)
	}
	return has, nil
}

// stream sends what write produces.
func (d *Driver) stream(ctx context.Context, method, path string, query url.Values, write func(io.Writer) error) error {
	out, in := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(in)
		in.CloseWithError(err)
		written <- err
	}()
	err := d.engine.send(ctx, method, path, query, out)
	out.CloseWithError(errOver)
	if e := <-written; e != nil && !errors.Is(e, errOver) {
		return e // the cause; err is its consequence
	}
	return err
}

var errOver = errors.New("the engine reads no more")

// assemble makes an image of an archive and the image that it runs in.
func (d *Driver) assemble(ctx context.Context, s deploy.Spec, tag string, i *image) (*seen, error) {
	base := s.Image
	if base == "" || base == scratch {
		base = scratch
		i.ref = name(s.Service) + ":" + tag
	} else {
		there, err := d.base(ctx, base)
		if err != nil {
			return nil, err
		}
		base = there.ID
		i.ref = name(s.Service) + ":" + tag + "-" + cut(there.ID)
	}
	if there, err := d.look(ctx, i.ref); there != nil || err != nil {
		return there, err
	}
	if base == scratch {
		base = repository + scratch + ":" + d.short()
		if err := d.stream(ctx, "POST", "/images/create", values("fromSrc", "-", "repo", repository+scratch, "tag", d.short()), func(w io.Writer) error {
			return tar.NewWriter(w).Close()
		}); err != nil {
			return nil, err
		}
	}
	d.log.Info("making an image in the Docker engine", "service", s.Service, "version", s.Version, "image", i.ref)
	err := d.probe(ctx, base, "/"+deploy.AppFolder, func(made string) error {
		if err := d.stream(ctx, "PUT", "/containers/"+made+"/archive", values("path", "/"), func(w io.Writer) error {
			return d.layer(ctx, w, s.Digest, s.Image == "" || s.Image == scratch)
		}); err != nil {
			return err
		}
		parent, tag, _ := strings.Cut(i.ref, ":")
		return d.engine.call(ctx, "POST", "/commit", values("container", made, "repo", parent, "tag", tag, "comment", "steer "+string(s.Version)), nil, nil)
	})
	if err != nil {
		return nil, err
	}
	there, err := d.look(ctx, i.ref)
	if err == nil && there == nil {
		err = fault.New(fault.Unavailable, "the image that was just made is gone")
	}
	return there, err
}

// base is an image that archives run in. One that the engine does not have it is
// asked to fetch.
func (d *Driver) base(ctx context.Context, name string) (*seen, error) {
	there, err := d.look(ctx, name)
	if there != nil || err != nil {
		return there, err
	}
	last := name[strings.LastIndexByte(name, '/')+1:]
	if !strings.ContainsAny(last, ":@") {
		name += ":latest"
	}
	d.log.Info("the Docker engine fetches an image", "image", name)
	if err := d.engine.send(ctx, "POST", "/images/create", values("fromImage", name), nil); err != nil {
		return nil, fault.New(fault.Of(err), "fetch %s, which environments.yaml names: %w (docker load brings it by hand)", name, err)
	}
	if there, err = d.look(ctx, name); err == nil && there == nil {
		err = fault.New(fault.NotFound, "image %s, which environments.yaml names, is not there", name)
	}
	return there, err
}

// probe makes a container that never runs, and removes it.
func (d *Driver) probe(ctx context.Context, base, folder string, use func(made string) error) error {
	node := "image-" + id.New()
	defer d.reserve(node)()
	made := d.name(node)
	c := creation{Image: base, Cmd: []string{"/"}, Labels: map[string]string{labelInstance: d.o.Instance, labelNode: node}, WorkingDir: folder}
	if err := d.engine.call(ctx, "POST", "/containers/create", values("name", made), c, nil); err != nil {
		return err
	}
	err := use(made)
	return errors.Join(err, d.remove(context.WithoutCancel(ctx), made))
}

// shell says whether an image has one.
func (d *Driver) shell(ctx context.Context, image string) (has bool, err error) {
	if has, ok := d.images.shells[image]; ok {
		return has, nil
	}
	err = d.probe(ctx, image, "", func(made string) error {
		r, err := d.engine.open(ctx, "HEAD", "/containers/"+made+"/archive", values("path", "/bin/sh"), nil, "")
		if fault.Of(err) == fault.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		has = true
		return r.Body.Close()
	})
	if err != nil {
		return false, err
	}
	if d.images.shells == nil {
		d.images.shells = map[string]bool{}
	}
	d.images.shells[image] = has
	return has, nil
}

// layer writes the files of an archive as they lie in an image.
func (d *Driver) layer(ctx context.Context, w io.Writer, digest string, empty bool) error {
	from, err := d.o.Archive(ctx, digest)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := deploy.Layer(w, from, empty); err != nil {
		return fmt.Errorf("artifact %s: %w", digest, err)
	}
	return nil
}

// forget removes the images that this driver loaded and that no node needs, warm
// ones of the version before included.
func (d *Driver) forget(ctx context.Context) error {
	d.images.mu.Lock()
	defer d.images.mu.Unlock()
	needed := map[string]bool{}
	for _, n := range d.all() {
		n.mu.Lock()
		needed[n.rec.Ref] = true
		n.mu.Unlock()
	}
	for ref := range d.images.coming {
		needed[ref] = true
	}
	var all []struct{ RepoTags []string }
	if err := d.engine.call(ctx, "GET", "/images/json", values("filters", filters("reference", repository+"*")), nil, &all); err != nil {
		return err
	}
	var errs []error
	for _, i := range all {
		for _, ref := range i.RepoTags {
			_, tag, _ := strings.Cut(ref, ":")
			ours := tag == d.short() || strings.HasPrefix(tag, d.short()+"-")
			if !strings.HasPrefix(ref, repository) || !ours || needed[ref] {
				continue
			}
			d.log.Info("removing an image that no node needs", "image", ref)
			var gone json.RawMessage
			err := d.engine.call(ctx, "DELETE", "/images/"+ref, nil, nil, &gone)
			if of := fault.Of(err); of != fault.NotFound && of != fault.Conflict { // Conflict: somebody's container has it
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
