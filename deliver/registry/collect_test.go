package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/oci"
)

func TestCollect(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h, ctx := open(t, db), t.Context()
		m := h.push("app", h.image(nil, "app", "{}", "layer"), "1")
		gone := h.push("app", h.image(nil, "gone", "{}", "old layer"), "2")
		lone := h.blob("lone")
		built := h.image(nil, "built", "{}", "archive")
		if err := h.files.write(anyDigest.of(built), built); err != nil {
			t.Fatal(err)
		}
		if err := h.Adopt(ctx, []Version{{"Shop", "b1", anyDigest.of(built)}}); err != nil {
			t.Fatal(err)
		}
		if err := h.Delete(ctx, "app", string(gone.Digest), "ada"); err != nil {
			t.Fatal(err)
		}
		if done, err := h.Collect(ctx); err != nil || done != (Collected{}) {
			t.Fatalf("too early: %+v, %v", done, err)
		}
		h.age(grace * 2)
		if _, err := h.HasBlob(lone.Digest); err != nil { // somebody counts on it
			t.Fatal(err)
		}
		release := h.Hold()
		if done, err := h.Collect(ctx); err != nil || done != (Collected{}) {
			t.Errorf("while a backup is taken: %+v, %v", done, err)
		}
		want(t, "delete while a backup is taken", h.DeleteBlob(ctx, "app", lone.Digest, "ada"), Unavailable, 503)
		release()
		done, err := h.Collect(ctx)
		if err != nil || done.Blobs != 2 || done.Bytes != int64(len(gone.Body)+len("old layer")) {
			t.Errorf("%+v, %v", done, err)
		}
		for d, there := range map[Digest]bool{
			m.Digest: true, anyDigest.of([]byte("{}")): true, anyDigest.of([]byte("layer")): true, lone.Digest: true,
			anyDigest.of(built): true, anyDigest.of([]byte("archive")): true, gone.Digest: false, anyDigest.of([]byte("old layer")): false,
		} {
			if h.has(d) != there {
				t.Errorf("%s is there: %v", d, !there)
			}
		}
		h.age(grace * 2)
		if done, err := h.Collect(ctx); err != nil || done.Blobs != 1 {
			t.Errorf("a day later: %+v, %v", done, err)
		}
	})
}

func TestUntagged(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h, ctx := open(t, db), t.Context()
		now := time.Now()
		h.opts.Now = func() time.Time { return now }
		h.opts.KeepUntagged = config.Duration(240 * time.Hour)
		h.reopen()
		body := h.image(nil, "app", "{}", "layer")
		old := h.push("app", body, "latest")
		part := h.push("app", h.image(nil, "part", "{}", "layer"))
		subject := &Descriptor{MediaType: oci.TypeManifest, Digest: old.Digest, Size: int64(len(body))}
		signature := h.push("app", h.image(subject, "signature", "sig"))
		index := text(t, map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": []Descriptor{{MediaType: oci.TypeManifest, Digest: part.Digest, Size: 1}}})
		h.push("app", index, "multi")
		now = now.Add(239 * time.Hour)
		h.push("app", h.image(nil, "new", "{}"), "latest") // from here on old has no tag
		collect := func() int {
			t.Helper()
			done, err := h.Collect(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return done.Images
		}
		now = now.Add(239 * time.Hour)
		if n := collect(); n != 0 {
			t.Errorf("%d went too early", n)
		}
		now = now.Add(2 * time.Hour)
		if n := collect(); n != 1 {
			t.Errorf("%d went, want the one that lost its tag", n)
		}
		if e := h.events[len(h.events)-1]; e.Actor != event.Steer || e.Subject != "image/app@"+string(old.Digest) {
			t.Errorf("%+v", e)
		}
		if n := collect(); n != 1 { // its signature, which refers to nothing now
			t.Errorf("%d went, want the signature", n)
		}
		if _, err := h.Resolve(ctx, "app", string(signature.Digest)); err == nil {
			t.Error("the signature is still there")
		}
		if _, err := h.Resolve(ctx, "app", string(part.Digest)); err != nil {
			t.Errorf("a part of an index: %v", err)
		}
	})
}

// What a crash left in the trash may be needed.
func TestTrashComesBack(t *testing.T) {
	h := open(t, databasetest.SQLite(t))
	m := h.push("app", h.image(nil, "app", "{}", "layer"), "1")
	d := anyDigest.of([]byte("layer"))
	if err := os.Rename(h.files.path(d), h.files.trash(d)); err != nil {
		t.Fatal(err)
	}
	h.reopen()
	if !h.has(d) || !h.has(m.Digest) {
		t.Error("a layer is missing after a restart")
	}
	// What is written anew while it is on its way out stays.
	if err := os.Rename(h.files.path(d), h.files.trash(d)); err != nil {
		t.Fatal(err)
	}
	h.blob("layer")
	if err := h.files.restore(d); err != nil || !h.has(d) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(h.opts.Dir, "trash")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Pushes of the same few contents, deletes and builds go on while everything is old and
// collected again and again: what was acknowledged is whole.
func TestCollectBesidePushes(t *testing.T) {
	h := open(t, databasetest.SQLite(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stop := make(chan struct{})
	var collecting, working sync.WaitGroup
	collecting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			h.age(grace * 2)
			if _, err := h.Collect(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	for w := range 3 {
		working.Go(func() {
			for i := range 40 {
				name := fmt.Sprintf("app%d", w)
				layers := []string{"{}", fmt.Sprint("layer", i%3)}
				var body []byte
				for { // what looks old may go before its manifest is on record: the client sends it again
					body = h.image(nil, fmt.Sprint(i%5), layers...)
					_, err := h.Push(ctx, Push{Repository: name, Tags: []string{"t"}, Body: body, Actor: "ada"})
					if code, _ := Failure(err); err != nil && (code == ManifestBlobUnknown || code == BlobUnknown) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					break
				}
				m, err := h.Resolve(ctx, name, "t")
				if err != nil || !bytes.Equal(m.Body, body) {
					t.Errorf("%s: %v", name, err)
					return
				}
				for _, l := range layers {
					if !h.there(anyDigest.of([]byte(l))) {
						t.Errorf("%s of %s is gone", l, name)
						return
					}
				}
				if i%4 == 3 {
					if err := h.Delete(ctx, name, string(m.Digest), "ada"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	working.Wait()
	close(stop)
	collecting.Wait()
}

// there is has, but for the moment in which a collection looks at contents.
func (h *house) there(d Digest) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.has(d)
}

// A disk that is full refuses a push and loses nothing.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("only root can make a small disk")
	}
	h := open(t, databasetest.SQLite(t))
	h.opts.Dir = t.TempDir()
	if err := syscall.Mount("none", h.opts.Dir, "tmpfs", 0, "size=2m"); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("no disk can be made here, and STEER_REQUIRE_ALL is set: ", err)
		}
		t.Skip("no disk can be made here: ", err) // in a container without the right to
	}
	t.Cleanup(func() { syscall.Unmount(h.opts.Dir, syscall.MNT_DETACH) })
	h.reopen()
	m := h.push("app", h.image(nil, "app", "{}", "layer"), "1")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	up, err := h.Begin()
	if err != nil {
		t.Fatal(err)
	}
	n, err := h.Append(up, Chunk{-1, -1, bytes.NewReader(content)})
	want(t, "a layer that does not fit", err, Unavailable, 507)
	if !errors.Is(err, syscall.ENOSPC) || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if got, err := h.Resolve(t.Context(), "app", "1"); err != nil || got.Digest != m.Digest {
		t.Errorf("what was there: %v", err)
	}
	// With room made, it goes on where it was.
	if err := syscall.Mount("none", h.opts.Dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	if err := h.Finish(up, Chunk{n, int64(len(content)) - n, bytes.NewReader(content[n:])}, anyDigest.of(content)); err != nil {
		t.Fatal(err)
	}
}
