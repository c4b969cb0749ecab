package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/oci"
)

// house is a registry that a test may open again, as after a restart.
type house struct {
	*Registry
	t      *testing.T
	opts   Options
	told   sync.Mutex
	events []event.Event
}

func open(t *testing.T, db *database.DB) *house {
	t.Helper()
	h := &house{t: t}
	h.opts = Options{
		Config: Config{MaxBlobMB: 64, MaxUploads: 20, UploadExpires: config.Duration(time.Hour)},
		Dir:    filepath.Join(t.TempDir(), "artifacts"), DB: db, Log: slog.New(slog.DiscardHandler),
		Journal: func(_ context.Context, _ *sql.Tx, e *event.Event) error {
			h.told.Lock()
			defer h.told.Unlock()
			h.events = append(h.events, *e)
			return nil
		},
	}
	h.reopen()
	return h
}

func (h *house) reopen() {
	h.t.Helper()
	r, err := New(h.t.Context(), h.opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Registry = r
}

// blob pushes contents.
func (h *house) blob(content string) Descriptor {
	h.t.Helper()
	d := Descriptor{MediaType: "application/octet-stream", Digest: anyDigest.of([]byte(content)), Size: int64(len(content))}
	upload, err := h.Begin()
	if err == nil {
		err = h.Finish(upload, Chunk{-1, -1, strings.NewReader(content)}, d.Digest)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

// image is a manifest of contents that are pushed with it.
func (h *house) image(subject *Descriptor, note string, contents ...string) []byte {
	h.t.Helper()
	m := map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "annotations": map[string]string{"note": note}}
	var layers []Descriptor
	for _, c := range contents {
		layers = append(layers, h.blob(c))
	}
	m["config"], m["layers"] = layers[0], layers[1:]
	if subject != nil {
		m["subject"], m["artifactType"] = subject, "application/x-"+note
	}
	return text(h.t, m)
}

func text(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (h *house) push(repository string, body []byte, tags ...string) Manifest {
	h.t.Helper()
	m, err := h.Push(h.t.Context(), Push{Repository: repository, Tags: tags, Body: body, Actor: "ada"})
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// want fails unless err has the code and status.
func want(t *testing.T, what string, err error, code string, status int) {
	t.Helper()
	if c, s := Failure(err); err == nil || c != code || s != status {
		t.Errorf("%s: %v (%s %d), want %s %d", what, err, c, s, code, status)
	}
}

// age makes all contents look as if they came long ago.
func (h *house) age(by time.Duration) {
	h.t.Helper()
	old := time.Now().Add(-by)
	names, err := filepath.Glob(filepath.Join(h.opts.Dir, "*/*/*"))
	if err != nil {
		h.t.Fatal(err)
	}
	more, _ := filepath.Glob(filepath.Join(h.opts.Dir, "uploads/*"))
	for _, name := range append(names, more...) {
		if err := os.Chtimes(name, old, old); err != nil && !errors.Is(err, os.ErrNotExist) {
			h.t.Fatal(err)
		}
	}
}

func (h *house) has(d Digest) bool {
	_, err := os.Stat(h.files.path(d))
	return err == nil
}

func TestImages(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h, ctx := open(t, db), t.Context()
		if _, err := h.Tags(ctx, "base/debian", "", 9); err == nil {
			t.Error("an empty repository has tags")
		}
		one, two := h.image(nil, "one", "{}", "layer"), h.image(nil, "two", "{}", "layer", "more")
		m := h.push("base/debian", one, "v1", "Latest", "latest")
		h.push("base/debian", one, "v1") // again is no news
		if got, err := h.Resolve(ctx, "base/debian", "v1"); err != nil || got.Digest != m.Digest || !bytes.Equal(got.Body, one) || got.MediaType != oci.TypeManifest {
			t.Errorf("by tag: %+v, %v", got, err)
		}
		moved := h.push("base/debian", two, "latest")
		var told []string
		for _, e := range h.events {
			if e.Actor != "ada" || e.Type != event.ArtifactPublished {
				t.Errorf("%+v", e)
			}
			told = append(told, e.Subject)
		}
		if list := strings.Join(told, " "); list != "image/base/debian:v1 image/base/debian:Latest image/base/debian:latest image/base/debian:latest" {
			t.Errorf("events: %s", list)
		}
		if got, err := h.Resolve(ctx, "base/debian", string(m.Digest)); err != nil || got.Digest != m.Digest {
			t.Errorf("by digest: %+v, %v", got, err)
		}
		_, err := h.Resolve(ctx, "other", string(m.Digest))
		want(t, "in another repository", err, ManifestUnknown, 404)
		for _, c := range []struct {
			after string
			n     int
			want  string
		}{{"", 9, "Latest latest v1"}, {"", 2, "Latest latest"}, {"Latest", 1, "latest"}, {"m", 9, "v1"}, {"v1", 9, ""}} {
			if got, err := h.Tags(ctx, "base/debian", c.after, c.n); err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("tags after %q: %v, %v", c.after, got, err)
			}
		}
		h.push("a", one, "x")
		h.push("a/b-c", one, "x")
		if names, err := h.Names(ctx, "a", 9); err != nil || strings.Join(names, " ") != "a/b-c base/debian" {
			t.Errorf("names: %v, %v", names, err)
		}
		detail, err := h.Detail(ctx, "base/debian", 9)
		if err != nil || len(detail) != 3 {
			t.Fatalf("%+v, %v", detail, err)
		}
		if at := slices.IndexFunc(detail, func(d Tag) bool { return d.Tag == "latest" }); detail[at].Digest != moved.Digest || detail[at].Size != int64(len(two))+2+5+4 || detail[at].Actor != "ada" {
			t.Errorf("%+v", detail[at])
		}
		all, err := h.Repositories(ctx)
		if err != nil || len(all) != 3 || all[2].Name != "base/debian" || all[2].Tags != 3 || all[2].Images != 2 {
			t.Errorf("%+v, %v", all, err)
		}

		// Indexes hold their manifests, manifests their blobs.
		index := text(t, map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": []Descriptor{{MediaType: oci.TypeManifest, Digest: m.Digest, Size: int64(len(one))}}})
		_, err = h.Push(ctx, Push{Repository: "elsewhere", Tags: []string{"x"}, Body: index})
		want(t, "an index before its manifests", err, ManifestBlobUnknown, 404)
		x := h.push("base/debian", index, "multi")
		want(t, "part of an index", h.Delete(ctx, "base/debian", string(m.Digest), "eve"), Unsupported, 405)
		want(t, "a layer in use", h.DeleteBlob(ctx, "base/debian", anyDigest.of([]byte("layer")), "eve"), Unsupported, 405)
		for _, ref := range []string{"multi", string(x.Digest), string(m.Digest)} {
			if err := h.Delete(ctx, "base/debian", ref, "eve"); err != nil {
				t.Errorf("delete %s: %v", ref, err)
			}
		}
		if last := h.events[len(h.events)-1]; last.Actor != "eve" || last.Type != event.ArtifactDeleted || last.Subject != "image/base/debian@"+string(m.Digest) {
			t.Errorf("%+v", last)
		}
		want(t, "twice", h.Delete(ctx, "base/debian", string(m.Digest), "eve"), ManifestUnknown, 404)
		want(t, "a tag that is not there", h.Delete(ctx, "base/debian", "v1", "eve"), ManifestUnknown, 404)
		if tags, err := h.Tags(ctx, "base/debian", "", 9); err != nil || strings.Join(tags, " ") != "latest" {
			t.Errorf("a manifest goes with its tags: %v, %v", tags, err)
		}
		if got, err := h.Resolve(ctx, "a", "x"); err != nil || got.Digest != m.Digest {
			t.Errorf("the other repository still has it: %+v, %v", got, err)
		}
		want(t, "a layer of another repository", h.DeleteBlob(ctx, "a", anyDigest.of([]byte("layer")), "eve"), Unsupported, 405)
		lone := h.blob("lone")
		if err := h.DeleteBlob(ctx, "a", lone.Digest, "eve"); err != nil || h.has(lone.Digest) {
			t.Errorf("a blob that nobody needs: %v", err)
		}
	})
}

func TestReferrers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h, ctx := open(t, db), t.Context()
		body := h.image(nil, "app", "{}", "layer")
		m := h.push("app", body, "1")
		subject := &Descriptor{MediaType: oci.TypeManifest, Digest: m.Digest, Size: int64(len(body))}
		big := strings.Repeat("n", MaxManifest/3)
		made := map[Digest]bool{}
		for i := range 5 {
			note := "sbom"
			if i%2 == 1 {
				note = "signature"
			}
			r := h.push("app", h.image(subject, note, fmt.Sprint(i), big[:0]+note), fmt.Sprintf("r%d", i))
			if r.Subject != m.Digest {
				t.Errorf("%+v", r)
			}
			made[r.Digest] = true
		}
		list, more, err := h.Referrers(ctx, "app", m.Digest, "", "")
		if err != nil || more || len(list) != 5 || !strings.Contains(string(list[0].Annotations), `"note":`) {
			t.Fatalf("%v %v %v", list, more, err)
		}
		for _, d := range list {
			if !made[d.Digest] {
				t.Errorf("%s refers to something else", d.Digest)
			}
		}
		if list, _, err := h.Referrers(ctx, "app", m.Digest, "application/x-sbom", ""); err != nil || len(list) != 3 {
			t.Errorf("of one type: %v, %v", list, err)
		}
		// As much as fits in an answer, and the rest in the next ones.
		for i := range 3 {
			content := fmt.Sprint("big", i)
			d := h.blob(content)
			h.push("app", text(t, map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "config": d, "layers": []any{}, "subject": subject, "annotations": map[string]string{"a": big}}))
		}
		seen, after := 0, Digest("")
		for rounds := 0; ; rounds++ {
			list, more, err := h.Referrers(ctx, "app", m.Digest, "", after)
			if err != nil || len(list) == 0 || rounds > 3 {
				t.Fatalf("%d: %v", len(list), err)
			}
			seen += len(list)
			if after = list[len(list)-1].Digest; !more {
				if rounds == 0 {
					t.Error("4 MiB of notes came at once")
				}
				break
			}
		}
		if seen != 8 {
			t.Errorf("%d of 8", seen)
		}
		if list, more, err := h.Referrers(ctx, "nowhere", m.Digest, "", ""); err != nil || more || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
	})
}

func TestWrongPushes(t *testing.T) {
	h, ctx := open(t, databasetest.SQLite(t)), t.Context()
	d := h.blob("{}")
	good := map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "config": d, "layers": []Descriptor{d}}
	with := func(key string, v any) []byte {
		m := map[string]any{}
		for k, v := range good {
			m[k] = v
		}
		if m[key] = v; v == nil {
			delete(m, key)
		}
		return text(t, m)
	}
	unknown := Descriptor{MediaType: "x", Digest: anyDigest.of([]byte("unknown")), Size: 7}
	bad := unknown
	bad.Digest = "sha256:12"
	for _, c := range []struct {
		what   string
		p      Push
		code   string
		status int
	}{
		{"no JSON", Push{Body: []byte("{")}, ManifestInvalid, 400},
		{"a name that is none", Push{Repository: "App", Body: with("x", 1)}, NameInvalid, 400},
		{"dots", Push{Repository: "a/../b", Body: with("x", 1)}, NameInvalid, 400},
		{"a tag that is none", Push{Tags: []string{"-x"}, Body: with("x", 1)}, ManifestInvalid, 400},
		{"a version of Steer", Push{Tags: []string{"b12"}, Body: with("x", 1)}, Denied, 403},
		{"a local version", Push{Tags: []string{"local-3"}, Body: with("x", 1)}, Denied, 403},
		{"another media type", Push{MediaType: oci.TypeIndex, Body: with("x", 1)}, ManifestInvalid, 400},
		{"an unknown media type", Push{Body: with("mediaType", "text/plain")}, ManifestInvalid, 400},
		{"no config", Push{Body: with("config", nil)}, ManifestInvalid, 400},
		{"image and index", Push{Body: with("manifests", []Descriptor{d})}, ManifestInvalid, 400},
		{"an old schema", Push{Body: with("schemaVersion", 1)}, ManifestInvalid, 400},
		{"a layer that is missing", Push{Body: with("layers", []Descriptor{unknown})}, ManifestBlobUnknown, 404},
		{"a digest that is none", Push{Body: with("layers", []Descriptor{bad})}, DigestInvalid, 400},
		{"another size", Push{Body: with("layers", []Descriptor{{MediaType: "x", Digest: d.Digest, Size: 3}})}, ManifestInvalid, 400},
		{"another digest", Push{Digest: unknown.Digest, Body: with("x", 1)}, DigestInvalid, 400},
		{"too large", Push{Body: with("x", strings.Repeat("x", MaxManifest))}, SizeInvalid, 413},
		{"too many", Push{Body: with("layers", slices.Repeat([]Descriptor{d}, most))}, ManifestInvalid, 400},
	} {
		if c.p.Repository == "" {
			c.p.Repository = "app"
		}
		_, err := h.Push(ctx, c.p)
		want(t, c.what, err, c.code, c.status)
	}
	if len(h.events) != 0 {
		t.Errorf("told: %+v", h.events)
	}
	elsewhere := unknown
	elsewhere.URLs = []string{"https://example.com/layer"}
	h.push("app", with("layers", []Descriptor{elsewhere}), "elsewhere")
	h.push("mirror/app", with("x", 1), "b12") // is no service's
	if m := h.push("app", with("mediaType", nil), "silent"); m.MediaType != oci.TypeManifest {
		t.Errorf("%+v", m)
	}
}

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

func TestBuilt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h, ctx := open(t, db), t.Context()
		body := h.image(nil, "built", "{}", "archive")
		d := anyDigest.of(body)
		if err := h.files.write(d, body); err != nil {
			t.Fatal(err)
		}
		versions := []Version{{"shop", "b1", d}, {"shop", "b2", d}, {"Shop", "b1", d}}
		for range 2 { // as at each start
			if err := h.Adopt(ctx, versions); err != nil {
				t.Fatal(err)
			}
		}
		if len(h.events) != 0 {
			t.Errorf("what packages versions has told of them: %+v", h.events)
		}
		if m, err := h.Resolve(ctx, "shop", "b2"); err != nil || m.Digest != d {
			t.Errorf("%+v, %v", m, err)
		}
		want(t, "a tag of Steer", h.Delete(ctx, "shop", "b1", "eve"), Denied, 403)
		want(t, "a manifest of Steer", h.Delete(ctx, "shop", string(d), "eve"), Denied, 403)
		want(t, "an archive of Steer", h.DeleteBlob(ctx, "shop", anyDigest.of([]byte("archive")), "eve"), Unsupported, 405)
		_, err := h.Resolve(ctx, "Shop", "b1")
		want(t, "a name that no registry has", err, NameInvalid, 400)
		// People may give it names of their own, and take those away.
		h.push("shop", body, "stable")
		if err := h.Delete(ctx, "shop", "stable", "eve"); err != nil {
			t.Error(err)
		}
		want(t, "still a manifest of Steer", h.Delete(ctx, "shop", string(d), "eve"), Denied, 403)

		// One that cannot be read keeps everything where it is.
		lone := h.blob("lone")
		h.age(grace * 2)
		if err := h.Adopt(ctx, append(versions, Version{"shop", "b3", lone.Digest})); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Collect(ctx); err == nil || !h.has(lone.Digest) {
			t.Errorf("collected although a version cannot be read: %v", err)
		}
	})
}
