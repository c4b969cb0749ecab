package registry

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
