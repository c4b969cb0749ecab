package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// uploads are the blobs on their way. What came in is on disk, so that a client can go
// on after a broken connection and after a restart.
type uploads struct {
	files
	most    int
	largest int64 // bytes
	expires time.Duration

	mu   sync.Mutex
	live map[string]*upload
}

// upload is one of them.
type upload struct {
	mu   sync.Mutex // held by whoever writes
	path string
	size int64
	hash hash.Hash // over all of it; nil when that has to be read again
	gone bool
}

var uploadForm = regexp.MustCompile(`^[0-9A-Z]{26}$`)

func openUploads(f files, c Config) (*uploads, error) {
	u := &uploads{files: f, most: c.MaxUploads, largest: int64(c.MaxBlobMB) << 20, expires: c.UploadExpires.Std(), live: map[string]*upload{}}
	left, err := os.ReadDir(filepath.Join(f.dir, "uploads"))
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	for _, e := range left {
		path := filepath.Join(f.dir, "uploads", e.Name())
		info, err := e.Info()
		if err == nil && !uploadForm.MatchString(e.Name()) {
			err = os.Remove(path) // a manifest that a crash cut off
		} else if err == nil {
			u.live[e.Name()] = &upload{path: path, size: info.Size()}
		}
		if err != nil {
			return nil, fmt.Errorf("open registry: %w", err)
		}
	}
	return u, nil
}

// begin makes an upload and returns its id.
func (u *uploads) begin() (string, error) {
	if err := u.room(0); err != nil {
		return "", err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.live) >= u.most {
		return "", Fail(TooManyRequests, http.StatusTooManyRequests,
			"%d uploads are under way already (try again later; those that stand still end after %s, see registry.max_uploads)", len(u.live), u.expires)
	}
	name := rand.Text()
	path := filepath.Join(u.dir, "uploads", name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", u.trouble(err)
	}
	if err := file.Close(); err != nil {
		return "", u.trouble(err)
	}
	u.live[name] = &upload{path: path, hash: sha256.New()}
	return name, nil
}

// take returns an upload that nobody else works on; done gives it back.
func (u *uploads) take(name string) (up *upload, done func(), err error) {
	u.mu.Lock()
	up = u.live[name]
	u.mu.Unlock()
	if up == nil {
		return nil, nil, Fail(BlobUploadUnknown, http.StatusNotFound, "upload %.40q: there is none; it ended, or stood still for %s (begin anew)", name, u.expires)
	}
	if !up.mu.TryLock() {
		return nil, nil, Fail(BlobUploadInvalid, http.StatusConflict, "upload %s: another request is writing it (wait until that has ended)", name)
	}
	if up.gone {
		up.mu.Unlock()
		return nil, nil, Fail(BlobUploadUnknown, http.StatusNotFound, "upload %s: it has ended (begin anew)", name)
	}
	return up, up.mu.Unlock, nil
}

// drop ends an upload that the caller has taken.
func (u *uploads) drop(name string, up *upload) {
	up.gone = true
	u.mu.Lock()
	delete(u.live, name)
	u.mu.Unlock()
	_ = os.Remove(up.path) // kept under its name by now, or else the next start finds it
}

// Chunk is a piece of an upload.
type Chunk struct {
	Start int64 // where it belongs; -1: at the end
	Size  int64 // -1: as much as there is
	io.Reader
}

// append adds a piece. What came in before an error stays.
func (u *uploads) append(name string, up *upload, c Chunk) error {
	if c.Start >= 0 && c.Start != up.size {
		return Fail(BlobUploadInvalid, http.StatusRequestedRangeNotSatisfiable, "upload %s: the piece begins at byte %d, and it goes on at byte %d", name, c.Start, up.size)
	}
	if c.Size > u.largest-up.size {
		return u.tooLarge(name)
	}
	file, err := os.OpenFile(up.path, os.O_WRONLY, 0)
	if err != nil {
		return u.trouble(err)
	}
	defer file.Close()
	if up.hash == nil { // after a restart, or an error of the disk: what follows the end is not ours
		if err := file.Truncate(up.size); err != nil {
			return u.trouble(err)
		}
	}
	if c.Size > 0 {
		if err := u.room(c.Size); err != nil {
			return err
		}
	}
	buffer := make([]byte, 256<<10)
	begun := up.size
	for unasked := int64(0); ; {
		n, err := fill(c.Reader, buffer)
		if int64(n) > u.largest-up.size {
			return u.tooLarge(name)
		}
		if n > 0 {
			if _, err := file.WriteAt(buffer[:n], up.size); err != nil {
				up.hash = nil
				return u.trouble(err)
			}
			up.size += int64(n)
			if up.hash != nil {
				up.hash.Write(buffer[:n])
			}
		}
		if unasked += int64(n); unasked >= 8<<20 {
			if err := u.room(0); err != nil {
				return err
			}
			// The disk begins now, so that the sync at the end has little left to wait for. It
			// is a wish: whether it is granted shows then.
			const write = 2 // SYNC_FILE_RANGE_WRITE
			_ = syscall.SyncFileRange(int(file.Fd()), up.size-unasked, unasked, write)
			unasked = 0
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return Fail(BlobUploadInvalid, http.StatusBadRequest, "upload %s broke off after byte %d (go on from there): %w", name, up.size, err)
		case c.Size >= 0 && up.size-begun != c.Size:
			return Fail(SizeInvalid, http.StatusBadRequest, "upload %s: %d bytes came of %d", name, up.size-begun, c.Size)
		default:
			return nil
		}
	}
}

// fill reads until the buffer is full. Unlike io.ReadFull it leaves errors as they are:
// only io.EOF is a good end.
func fill(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var m int
		m, err = r.Read(buffer[n:])
		n += m
	}
	return n, err
}

func (u *uploads) tooLarge(name string) error {
	return Fail(SizeInvalid, http.StatusRequestEntityTooLarge, "upload %s: it is larger than %d MiB (see registry.max_blob_mb)", name, u.largest>>20)
}

// finish makes a blob of an upload that is whole. One with another digest is dropped.
func (u *uploads) finish(name string, up *upload, d Digest) error {
	file, err := os.OpenFile(up.path, os.O_RDWR, 0)
	if err != nil {
		return u.trouble(err)
	}
	defer file.Close()
	h := up.hash
	if h == nil || !strings.HasPrefix(string(d), string(anyDigest)) {
		h = d.hash()
		if _, err := io.CopyN(h, file, up.size); err != nil {
			return fmt.Errorf("read upload %s: %w", name, err)
		}
	}
	if is := d.with(h); is != d {
		u.drop(name, up)
		return Fail(DigestInvalid, http.StatusBadRequest, "upload %s: its %d bytes have the digest %s instead of %s (push it again)", name, up.size, is, d)
	}
	if err := u.keep(file, d); err != nil {
		return err
	}
	u.drop(name, up)
	return nil
}

// expire gives up what stood still.
func (u *uploads) expire(now time.Time) {
	u.mu.Lock()
	names := make([]string, 0, len(u.live))
	for name := range u.live {
		names = append(names, name)
	}
	u.mu.Unlock()
	for _, name := range names {
		up, done, err := u.take(name)
		if err != nil {
			continue // it moves
		}
		info, err := os.Stat(up.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && now.Sub(info.ModTime()) > u.expires {
			u.drop(name, up)
		}
		done()
	}
}
