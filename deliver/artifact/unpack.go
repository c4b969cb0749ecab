package artifact

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/base/id"
	"steer/base/oci"
)

// marker is the file in an unpacked artifact that holds its digest.
const marker = ".steer-artifact"

// Unpack puts the files of the artifact into the new folder dir, which appears
// under its name only when it is complete. If dir holds this digest already, it
// is left as it is; anything else there is fault.Conflict. Content that does not
// match its digest, leaves dir, or exceeds the limits is refused.
func (r *Repository) Unpack(ctx context.Context, digest, dir string) error {
	if old, err := os.ReadFile(filepath.Join(dir, marker)); err == nil {
		if string(old) == digest {
			return nil
		}
		return fault.New(fault.Conflict, "unpack artifact %s: %s holds artifact %s", digest, dir, old)
	}
	if _, err := os.Lstat(dir); err == nil {
		return fault.New(fault.Conflict, "unpack artifact %s: %s exists and is no unpacked artifact (remove it)", digest, dir)
	}
	var m oci.Manifest
	if err := r.layout.readJSON(digest, &m); err != nil {
		return err
	}
	if m.MediaType == oci.TypeIndex {
		return fault.New(fault.Invalid, "unpack artifact %s: it is a container image, which runs in environments with driver: docker", digest)
	}
	if m.ArtifactType != TypeArtifact || len(m.Layers) == 0 || m.Layers[0].MediaType != TypeArchive {
		return fault.New(fault.Invalid, "unpack artifact %s: its type is %q, not an archive made by Steer", digest, m.ArtifactType)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("unpack artifact: %w", err)
	}
	tmp := dir + ".tmp-" + id.New()
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return fmt.Errorf("unpack artifact: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := r.extract(ctx, m.Layers[0], tmp); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	if err := writeFile(filepath.Join(tmp, marker), strings.NewReader(digest)); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	if err := syncFolder(tmp); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if old, e := os.ReadFile(filepath.Join(dir, marker)); e == nil && string(old) == digest {
			return nil // somebody else was faster
		}
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	return syncFolder(filepath.Dir(dir))
}

func (r *Repository) extract(ctx context.Context, layer oci.Descriptor, dir string) error {
	blob, err := r.layout.blob(layer.Digest)
	if err != nil {
		return err
	}
	f, err := os.Open(blob)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	compressed := io.TeeReader(f, hash)
	if err := Extract(ctx, compressed, dir, r.limits); err != nil {
		return fmt.Errorf("file %s: %w", blob, err)
	}
	if _, err := io.Copy(io.Discard, compressed); err != nil {
		return err
	}
	if "sha256:"+hex.EncodeToString(hash.Sum(nil)) != layer.Digest {
		return fmt.Errorf("file %s is damaged: its content does not match its digest", blob)
	}
	return nil
}

// Extract puts the files of an archive, as Repository.Archive returns it, into a folder.
// What leaves it or exceeds the limits is refused. It is for machines without the
// repository; who calls it knows the archive to be whole.
func Extract(ctx context.Context, archive io.Reader, dir string, l Limits) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zip, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("the archive is damaged: %w", err)
	}
	return extractTar(ctx, tar.NewReader(zip), root, l)
}

// extractTar writes entries below root. os.Root keeps every open inside, also
// through links; the checks here only give better errors.
func extractTar(ctx context.Context, in *tar.Reader, root *os.Root, limit Limits) error {
	var files int
	left := int64(limit.MaxMB) << 20
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(name) || name == "." {
			return fmt.Errorf("archive entry %q leaves the folder", h.Name)
		}
		if files++; files > limit.MaxFiles {
			return fmt.Errorf("archive has more than %d files (limit artifact.max_files)", limit.MaxFiles)
		}
		if up := path.Dir(name); up != "." {
			if err := root.MkdirAll(up, 0o755); err != nil {
				return err
			}
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		case tar.TypeSymlink:
			if !inside(name, h.Linkname) {
				return fmt.Errorf("archive entry %q links to %q, outside of the folder", h.Name, h.Linkname)
			}
			if err := root.Symlink(h.Linkname, name); err != nil {
				return err
			}
		case tar.TypeReg:
			if left -= h.Size; left < 0 {
				return fmt.Errorf("archive unpacks to more than %d MiB (limit artifact.max_mb)", limit.MaxMB)
			}
			mode := fs.FileMode(0o644)
			if h.Mode&0o111 != 0 {
				mode = 0o755
			}
			f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
			if err != nil {
				return err
			}
			if err := finish(f, in); err != nil {
				return err
			}
		default:
			return fmt.Errorf("archive entry %q has type %q, only files, folders and links are allowed", h.Name, h.Typeflag)
		}
	}
}

func writeFile(name string, from io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return finish(f, from)
}

// finish copies into f and makes it survive power loss, since the folder's name
// promises that it is complete.
func finish(f *os.File, from io.Reader) error {
	_, err := io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
