package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"steer/api"
	"steer/base/fault"
	"steer/deliver/registry"
)

// The records of the registry of images.
type (
	Repository = registry.Repository
	ImageTag   = registry.Tag
)

// Repositories are those of the registry.
func (c *Client) Repositories(ctx context.Context) ([]Repository, error) {
	out, err := Get[api.Repositories](ctx, c, "/api/v1/registry/repositories", nil)
	return out.Repositories, err
}

// ImageTags are the tags of a repository, newest first.
func (c *Client) ImageTags(ctx context.Context, repository string) ([]ImageTag, error) {
	out, err := Get[api.ImageTags](ctx, c, "/api/v1/registry/tags", url.Values{"repository": {repository}, "limit": {"10000"}})
	return out.Tags, err
}

// DeleteImage takes a tag away, or the manifest of a digest with all its tags.
func (c *Client) DeleteImage(ctx context.Context, repository, ref string) error {
	return c.Do(ctx, http.MethodDelete, "/v2/"+repository+"/manifests/"+ref, nil, nil)
}

// PushLayout pushes the first image of an OCI image layout, a folder. Blobs that the
// registry has are not sent; tell gets each, and whether it is.
func (c *Client) PushLayout(ctx context.Context, dir, repository, tag string, tell func(digest string, size int64, sent bool)) error {
	fail := func(err error) error { return fmt.Errorf("push %s:%s: %w", repository, tag, err) }
	if err := registry.CheckName(repository); err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	var index, manifest struct {
		MediaType string
		Manifests []registry.Descriptor
		Config    registry.Descriptor
		Layers    []registry.Descriptor
	}
	if err := readLayout(root, "index.json", &index); err != nil {
		return fail(err)
	}
	if len(index.Manifests) == 0 {
		return fail(fault.New(fault.Invalid, "the layout %s has no image", dir))
	}
	image := index.Manifests[0]
	if err := readLayout(root, blobOf(image.Digest), &manifest); err != nil {
		return fail(err)
	}
	for _, d := range append(manifest.Layers, manifest.Config) {
		body, err := c.send(ctx, http.MethodHead, "/v2/"+repository+"/blobs/"+string(d.Digest), "", nil)
		if err == nil {
			body.Close()
			tell(string(d.Digest), d.Size, false)
			continue
		}
		if fault.Of(err) != fault.NotFound {
			return fail(err)
		}
		if err := c.sendBlob(ctx, root, http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+string(d.Digest), "application/octet-stream", d.Digest); err != nil {
			return fail(err)
		}
		tell(string(d.Digest), d.Size, true)
	}
	if err := c.sendBlob(ctx, root, http.MethodPut, "/v2/"+repository+"/manifests/"+url.PathEscape(tag), image.MediaType, image.Digest); err != nil {
		return fail(err)
	}
	return nil
}

func blobOf(d registry.Digest) string {
	return "blobs/" + strings.Replace(string(d), ":", "/", 1)
}

func (c *Client) sendBlob(ctx context.Context, root *os.Root, method, path, mediaType string, d registry.Digest) error {
	f, err := root.Open(blobOf(d))
	if err != nil {
		return err
	}
	defer f.Close()
	body, err := c.send(ctx, method, path, mediaType, f)
	if err != nil {
		return err
	}
	return body.Close()
}

func readLayout(root *os.Root, name string, into any) error {
	b, err := root.ReadFile(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "%s is no OCI image layout: %s is missing", root.Name(), name)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fault.New(fault.Invalid, "read %s: %w", name, err)
	}
	return nil
}
