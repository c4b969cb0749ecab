package registry

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/oci"
)

func TestUploads(t *testing.T) {
	h := open(t, databasetest.SQLite(t))
	content := make([]byte, 1<<20)
	rand.Read(content)
	d := anyDigest.of(content)
	d512 := Digest("sha512:").of(content)
	part := func(from, to int) Chunk {
		return Chunk{int64(from), int64(to - from), bytes.NewReader(content[from:to])}
	}
	for _, restart := range []bool{false, true} {
		for _, d := range []Digest{d, d512} {
			up, err := h.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := h.Append(up, part(0, 300_000)); err != nil || n != 300_000 {
				t.Fatal(n, err)
			}
			_, err = h.Append(up, part(400_000, 500_000))
			want(t, "a gap", err, BlobUploadInvalid, 416)
			_, err = h.Append(up, part(0, 500_000))
			want(t, "the same again", err, BlobUploadInvalid, 416)
			// A connection that breaks leaves what came.
			n, err := h.Append(up, Chunk{300_000, 200_000, io.MultiReader(bytes.NewReader(content[300_000:350_000]), broken{})})
			want(t, "broken off", err, BlobUploadInvalid, 400)
			if n != 350_000 {
				t.Errorf("%d bytes are there", n)
			}
			if restart {
				h.reopen()
			}
			if n, err := h.Uploaded(up); err != nil || n != 350_000 {
				t.Fatalf("goes on at %d, %v", n, err)
			}
			if _, err := h.Append(up, Chunk{-1, -1, bytes.NewReader(content[350_000:900_000])}); err != nil {
				t.Fatal(err)
			}
			if err := h.Finish(up, part(900_000, len(content)), d); err != nil {
				t.Fatal(err)
			}
			file, size, err := h.OpenBlob(d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(file)
			if file.Close(); err != nil || size != 1<<20 || !bytes.Equal(got, content) {
				t.Errorf("restart %v, %s: %d bytes, %v", restart, d, size, err)
			}
			_, err = h.Uploaded(up)
			want(t, "an upload that has ended", err, BlobUploadUnknown, 404)
			os.Remove(h.files.path(d))
		}
	}
	up, _ := h.Begin()
	want(t, "another digest", h.Finish(up, part(0, 10), d), DigestInvalid, 400)
	if h.has(d) {
		t.Error("wrong contents have a name")
	}
	_, err := h.Append(up, part(0, 10))
	want(t, "after another digest", err, BlobUploadUnknown, 404)
	up, _ = h.Begin()
	_, err = h.Append(up, Chunk{-1, 20, bytes.NewReader(content[:10])})
	want(t, "too little", err, SizeInvalid, 400)
	if err := h.Cancel(up); err != nil {
		t.Error(err)
	}
	want(t, "canceled", h.Cancel(up), BlobUploadUnknown, 404)
	_, err = h.Uploaded("../../steer.db")
	want(t, "a path", err, BlobUploadUnknown, 404)
	if left, _ := os.ReadDir(filepath.Join(h.opts.Dir, "uploads")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestUploadsAreBounded(t *testing.T) {
	h := open(t, databasetest.SQLite(t))
	h.opts.MaxUploads, h.opts.MaxBlobMB = 3, 1
	h.reopen()
	big := func(n int64) Chunk { return Chunk{-1, -1, io.LimitReader(zeros{}, n)} }
	var ups []string
	for range 3 {
		up, err := h.Begin()
		if err != nil {
			t.Fatal(err)
		}
		ups = append(ups, up)
	}
	_, err := h.Begin()
	want(t, "one too many", err, TooManyRequests, 429)
	_, err = h.Append(ups[0], Chunk{-1, 1<<20 + 1, zeros{}})
	want(t, "too large, as it says", err, SizeInvalid, 413)
	_, err = h.Append(ups[0], big(1<<20+1))
	want(t, "too large, as it turns out", err, SizeInvalid, 413)
	if _, err := h.Append(ups[1], big(1<<20)); err != nil {
		t.Error(err)
	}
	// Of two that write the same, one waits in vain.
	in, out := io.Pipe()
	begun := make(chan error)
	go func() {
		_, err := h.Append(ups[2], Chunk{-1, -1, in})
		begun <- err
	}()
	out.Write([]byte("x")) // returns when the first has it
	_, err = h.Append(ups[2], big(1))
	want(t, "two at a time", err, BlobUploadInvalid, 409)
	h.age(2 * time.Hour)
	h.uploads.expire(time.Now())
	if len(h.uploads.live) != 1 {
		t.Errorf("%d uploads after those that stood still are gone, want the one that moves", len(h.uploads.live))
	}
	out.Close()
	if err := <-begun; err != nil {
		t.Error(err)
	}
	_, err = h.Append(ups[1], big(1))
	want(t, "an upload that stood still", err, BlobUploadUnknown, 404)

	h.opts.KeepFreeMB = 1 << 40 >> 20 << 10 // a disk of this size there is not
	h.reopen()
	_, err = h.Begin()
	want(t, "too little space", err, Unavailable, 507)
	_, err = h.Append(ups[2], Chunk{-1, 10, zeros{}})
	want(t, "too little space for a piece", err, Unavailable, 507)
	_, err = h.Push(t.Context(), Push{Repository: "app", Tags: []string{"x"}, MediaType: oci.TypeIndex, Body: []byte(`{"schemaVersion":2,"manifests":[]}`)})
	want(t, "too little space for a manifest", err, Unavailable, 507)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
