package rootfs

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// whiteout begins the name of what a layer takes away; see the image layer
// specification of the Open Container Initiative.
const whiteout = ".wh."

// Layer is one layer of an image. The zero Layer: nothing changed.
type Layer struct {
	Digest string `json:"digest,omitempty"` // sha256:… of the compressed file
	DiffID string `json:"diff_id,omitempty"`
	Size   int64  `json:"size,omitempty"` // compressed, bytes
	Files  int    `json:"files,omitempty"`
}

// digest counts and sums what is written to it.
type digest struct {
	hash.Hash
	n int64
}

func newDigest() *digest { return &digest{Hash: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return d.Hash.Write(p)
}

func (d *digest) String() string { return "sha256:" + hex.EncodeToString(d.Sum(nil)) }

// WriteLayer writes changes of a tree as a tar.gz into a file.
func (t *Tree) WriteLayer(file string, changes []Change) (Layer, error) {
	if t.above != nil {
		t = t.above
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return Layer{}, fmt.Errorf("write a layer: %w", err)
	}
	defer f.Close()
	packed, plain := newDigest(), newDigest()
	w := bufio.NewWriterSize(io.MultiWriter(f, packed), 256<<10)
	z := gzip.NewWriter(w)
	if err = t.writeTar(io.MultiWriter(z, plain), withFolders(changes)); err == nil {
		err = z.Close()
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return Layer{}, fmt.Errorf("write a layer: %w", err)
	}
	return Layer{Digest: packed.String(), DiffID: plain.String(), Size: packed.n, Files: len(changes)}, nil
}

// withFolders adds the folders above all changes: engines that unpack a layer by itself
// make up those that are missing, as root's, and hide the real ones.
func withFolders(changes []Change) []Change {
	has := map[string]bool{}
	for _, c := range changes {
		has[c.path] = true
	}
	all := slices.Clone(changes)
	for _, c := range changes {
		for up := path.Dir(c.path); up != "." && !has[up]; up = path.Dir(up) {
			has[up] = true
			all = append(all, Change{path: up})
		}
	}
	sortChanges(all)
	return all
}

// All lists everything in the tree, as changes from nothing.
func (t *Tree) All() []Change {
	var all []Change
	for p := range t.nodes {
		all = append(all, Change{path: p})
	}
	sortChanges(all)
	return all
}

// writeTar writes changes as a tar file.
func (t *Tree) writeTar(w io.Writer, changes []Change) error {
	out := tar.NewWriter(w)
	first := map[inode]string{} // of files with several names
	for _, c := range changes {
		if c.gone {
			h := &tar.Header{Name: path.Join(path.Dir(c.path), whiteout+path.Base(c.path)), Typeflag: tar.TypeReg, Mode: 0o600, ModTime: time.Unix(t.Clamp, 0)}
			if err := out.WriteHeader(h); err != nil {
				return err
			}
			continue
		}
		if err := t.writeFile(out, c.path, first); err != nil {
			return fmt.Errorf("/%s: %w", c.path, err)
		}
	}
	return out.Close()
}

func (t *Tree) writeFile(out *tar.Writer, p string, first map[inode]string) error {
	n := t.nodes[p]
	h := &tar.Header{
		Name: p, Mode: int64(n.mode & 0o7777), Uid: int(n.uid), Gid: int(n.gid), ModTime: time.Unix(n.mtime, 0),
		Devmajor: int64(unix.Major(n.rdev)), Devminor: int64(unix.Minor(n.rdev)),
	}
	switch n.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, p+"/"
	case unix.S_IFLNK:
		h.Typeflag, h.Linkname = tar.TypeSymlink, n.link
	case unix.S_IFCHR:
		h.Typeflag = tar.TypeChar
	case unix.S_IFBLK:
		h.Typeflag = tar.TypeBlock
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		if before, ok := first[n.place]; ok {
			h.Typeflag, h.Linkname = tar.TypeLink, before
			return out.WriteHeader(h)
		}
		first[n.place] = p
		h.Typeflag, h.Size = tar.TypeReg, n.size
	}
	for key, value := range xattrsOf(n.xattrs) {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+key] = value
	}
	if err := out.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := os.OpenFile(t.file(p), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(out, f, n.size)
	return err
}

// Write writes the whole tree, packed as the name (without .new) says.
func (t *Tree) Write(file string) error {
	if t.above != nil {
		var err error
		if t.nodes, _, err = t.walk(); err != nil {
			return fmt.Errorf("write the root file system: %w", err)
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write the root file system: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	var z io.WriteCloser = plain{w}
	switch name := strings.TrimSuffix(file, ".new"); {
	case strings.HasSuffix(name, ".zst"):
		z, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) // more would give other bytes
	case strings.HasSuffix(name, ".gz"):
		z = gzip.NewWriter(w)
	}
	if err == nil {
		err = t.writeTar(z, t.All())
		err = errors.Join(err, z.Close(), w.Flush())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the root file system: %w", err), os.Remove(file))
	}
	return nil
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }
