package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"steer/base/config"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/oci"
	"steer/deliver/registry"
)

// serve starts a registry for ada, and returns its address.
func serve(t *testing.T) (host, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "artifacts")
	r, err := registry.New(t.Context(), registry.Options{
		Config: registry.Config{MaxBlobMB: 64, MaxUploads: 20, UploadExpires: config.Duration(time.Hour)},
		Dir:    dir, DB: databasetest.SQLite(t), Log: slog.New(slog.DiscardHandler),
		Journal: func(_ context.Context, _ *sql.Tx, e *event.Event) error {
			if e.Actor != "ada" {
				t.Errorf("%+v", e)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := Handler(Options{Registry: r, Log: slog.New(slog.DiscardHandler)})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(As(r.Context(), "ada")))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), dir
}

// A client that others use pushes and pulls images, indexes and what refers to them.
func TestClient(t *testing.T) {
	t.Parallel()
	host, _ := serve(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(ref string) name.Reference {
		t.Helper()
		r, err := name.ParseReference(host + "/" + ref)
		must(err)
		return r
	}
	image, err := random.Image(300_000, 3)
	must(err)
	must(remote.Write(at("base/debian:1"), image))
	got, err := remote.Image(at("base/debian:1"))
	must(err)
	must(validate.Image(got))
	digest, err := image.Digest()
	must(err)
	if d, err := got.Digest(); err != nil || d != digest {
		t.Errorf("pulled %s, %v; pushed %s", d, err, digest)
	}

	index, err := random.Index(2000, 2, 3)
	must(err)
	must(remote.WriteIndex(at("base/multi:1"), index))
	gotIndex, err := remote.Index(at("base/multi:1"))
	must(err)
	must(validate.Index(gotIndex))

	// Between repositories nothing is sent again.
	mounted, err := remote.Image(at("base/debian:1"))
	must(err)
	must(remote.Write(at("team/debian:copy"), mounted))

	descriptor, err := remote.Head(at("base/debian:1"))
	must(err)
	signature := mutate.Subject(mutate.MediaType(mutate.ConfigMediaType(image, "application/vnd.example.signature"), types.OCIManifestSchema1), *descriptor).(v1.Image)
	must(remote.Write(at("base/debian:signature"), signature))
	referrers, err := remote.Referrers(at("base/debian@" + digest.String()).(name.Digest))
	must(err)
	if m, err := referrers.IndexManifest(); err != nil || len(m.Manifests) != 1 || m.Manifests[0].ArtifactType != "application/vnd.example.signature" {
		t.Errorf("referrers: %+v, %v", m, err)
	}

	for i := range 25 {
		must(remote.Tag(at("base/debian:1").Context().Tag(fmt.Sprintf("t%02d", i)), image))
	}
	tags, err := remote.List(at("base/debian").Context(), remote.WithPageSize(10))
	must(err)
	if text := strings.Join(tags, " "); len(tags) != 27 || !strings.HasPrefix(text, "1 signature t00 t01") || !strings.HasSuffix(text, "t24") {
		t.Errorf("tags: %s", text)
	}
	repository, err := name.NewRegistry(host)
	must(err)
	if all, err := remote.CatalogPage(repository, "base/debian", 9); err != nil || strings.Join(all, " ") != "base/multi team/debian" {
		t.Errorf("catalog: %v, %v", all, err)
	}
	must(remote.Delete(at("base/debian:t00")))
	must(remote.Delete(at("base/debian@" + digest.String())))
	if _, err := remote.Image(at("base/debian:1")); err == nil || !strings.Contains(err.Error(), "MANIFEST_UNKNOWN") {
		t.Errorf("deleted: %v", err)
	}
	if _, err := remote.Image(at("team/debian:copy")); err != nil {
		t.Errorf("the copy: %v", err)
	}
}

// What the protocol says of requests that are unusual or wrong.
func TestProtocol(t *testing.T) {
	t.Parallel()
	host, dir := serve(t)
	content := make([]byte, 4000)
	rand.Read(content)
	empty := "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	do := func(method, path, body string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+host+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	res, _ := do("POST", "/v2/app/blobs/uploads/", "")
	up := res.Header.Get("Location")
	if res.StatusCode != 202 || res.Header.Get("Range") != "0-0" || !strings.HasPrefix(up, "/v2/app/blobs/uploads/") {
		t.Fatalf("begin: %s %v", res.Status, res.Header)
	}
	for _, c := range []struct {
		method, path string
		status       int
		code         string
		header       []string
	}{
		{"GET", "/v2/", 200, "", nil},
		{"HEAD", "/v2/", 200, "", nil},
		{"POST", "/v2/", 405, "UNSUPPORTED", nil},
		{"GET", "/v2/app", 404, "NAME_UNKNOWN", nil},
		{"GET", "/v2/app/tags/list", 404, "NAME_UNKNOWN", nil},
		{"GET", "/v2/App/tags/list", 400, "NAME_INVALID", nil},
		{"GET", "/v2/app/tags/list?n=x", 400, "UNSUPPORTED", nil},
		{"DELETE", "/v2/app/tags/list", 405, "UNSUPPORTED", nil},
		{"GET", "/v2/app/manifests/none", 404, "MANIFEST_UNKNOWN", nil},
		{"GET", "/v2/app/manifests/" + empty, 404, "MANIFEST_UNKNOWN", nil},
		{"GET", "/v2/app/manifests/sha256:12", 400, "DIGEST_INVALID", nil},
		{"PATCH", "/v2/app/manifests/none", 405, "UNSUPPORTED", nil},
		{"GET", "/v2/app/blobs/" + empty, 404, "BLOB_UNKNOWN", nil},
		{"GET", "/v2/app/blobs/md5:12", 400, "DIGEST_INVALID", nil},
		{"PUT", "/v2/app/blobs/" + empty, 405, "UNSUPPORTED", nil},
		{"GET", "/v2/app/referrers/" + empty, 200, "", nil},
		{"GET", "/v2/app/referrers/x", 400, "DIGEST_INVALID", nil},
		{"GET", "/v2/app/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN", nil},
		{"POST", up, 405, "UNSUPPORTED", nil},
		{"POST", "/v2/app/blobs/uploads/?digest=x", 400, "DIGEST_INVALID", nil},
		{"POST", "/v2/app/blobs/uploads/?digest=sha256:" + strings.Repeat("0", 64), 400, "DIGEST_INVALID", nil},
		{"POST", "/v2/app/blobs/uploads/?mount=x", 400, "DIGEST_INVALID", nil},
		{"PUT", up, 400, "DIGEST_INVALID", nil},
		{"PATCH", up, 400, "BLOB_UPLOAD_INVALID", []string{"Content-Range", "bytes 0-1/2"}},
		{"PATCH", up, 400, "BLOB_UPLOAD_INVALID", []string{"Content-Range", "2-1"}},
		{"PATCH", up, 400, "BLOB_UPLOAD_INVALID", []string{"Content-Range", "0-9"}}, // nothing is sent
		{"GET", up, 204, "", nil},
		{"DELETE", up, 204, "", nil},
		{"DELETE", up, 404, "BLOB_UPLOAD_UNKNOWN", nil},
		{"POST", "/v2/app/blobs/uploads", 202, "", nil},
		{"POST", "/v2/app/blobs/uploads/?digest=" + empty, 201, "", nil},
		{"POST", "/v2/a/blobs/b/blobs/uploads/?mount=" + empty, 201, "", nil},
		{"GET", "/v2/a/blobs/b/blobs/" + empty, 200, "", nil},
	} {
		res, body := do(c.method, c.path, "", c.header...)
		var errors struct {
			Errors []struct{ Code, Message string }
		}
		if c.code != "" {
			if err := json.Unmarshal([]byte(body), &errors); err != nil || len(errors.Errors) != 1 || errors.Errors[0].Code != c.code || errors.Errors[0].Message == "" {
				t.Errorf("%s %s: %s, want %s", c.method, c.path, body, c.code)
			}
		}
		if res.StatusCode != c.status || res.Header.Get("Docker-Distribution-API-Version") != "registry/2.0" {
			t.Errorf("%s %s %v: %s %s, want %d", c.method, c.path, c.header, res.Status, body, c.status)
		}
	}
	left, _ := os.ReadDir(filepath.Join(dir, "uploads"))
	if len(left) != 1 {
		t.Errorf("%d uploads are left, want the one that was begun", len(left))
	}

	// In pieces, of which one is lost.
	res, _ = do("POST", "/v2/app/blobs/uploads/", "")
	up = res.Header.Get("Location")
	if res, _ := do("PATCH", up, string(content[:1000]), "Content-Range", "0-999"); res.StatusCode != 202 || res.Header.Get("Range") != "0-999" {
		t.Errorf("first piece: %s %v", res.Status, res.Header)
	}
	if res, body := do("PATCH", up, string(content[2000:3000]), "Content-Range", "2000-2999"); res.StatusCode != 416 || res.Header.Get("Range") != "0-999" || !strings.Contains(body, "goes on at byte 1000") {
		t.Errorf("third piece: %s %v %s", res.Status, res.Header, body)
	}
	digest := "sha256:" + sum(content)
	if res, body := do("PUT", up+"?digest="+digest, string(content[1000:]), "Content-Range", "1000-3999"); res.StatusCode != 201 || res.Header.Get("Location") != "/v2/app/blobs/"+digest {
		t.Errorf("the rest: %s %s", res.Status, body)
	}
	if res, body := do("GET", "/v2/app/blobs/"+digest, "", "Range", "bytes=100-199"); res.StatusCode != 206 || body != string(content[100:200]) || res.Header.Get("Content-Range") != "bytes 100-199/4000" {
		t.Errorf("a part: %s %v", res.Status, res.Header)
	}
	if res, _ := do("GET", "/v2/app/blobs/"+digest, "", "If-None-Match", `"`+digest+`"`); res.StatusCode != 304 {
		t.Errorf("the same: %s", res.Status)
	}
	if res, _ := do("HEAD", "/v2/app/blobs/"+digest, ""); res.StatusCode != 200 || res.ContentLength != 4000 || res.Header.Get("Docker-Content-Digest") != digest {
		t.Errorf("head: %s %v", res.Status, res.Header)
	}

	// By digest with tags of its own.
	body := `{"schemaVersion":2,"manifests":[]}`
	where := "/v2/app/manifests/sha256:" + sum([]byte(body))
	if res, text := do("PUT", where+"?tag=a&tag=b", body, "Content-Type", oci.TypeIndex); res.StatusCode != 201 || res.Header.Get("OCI-Tag") != "a, b" {
		t.Errorf("with tags: %s %v %s", res.Status, res.Header, text)
	}
	if res, text := do("GET", "/v2/app/tags/list?n=1", ""); text != `{"name":"app","tags":["a"]}`+"\n" || res.Header.Get("Link") != `</v2/app/tags/list?last=a&n=1>; rel="next"` {
		t.Errorf("first page: %s %v", text, res.Header)
	}
	if _, text := do("GET", "/v2/app/tags/list?n=0", ""); text != `{"name":"app","tags":[]}`+"\n" {
		t.Errorf("no page: %s", text)
	}
	if res, text := do("PUT", "/v2/app/manifests/x", strings.Repeat("x", registry.MaxManifest+10), "Content-Type", oci.TypeIndex); res.StatusCode != 413 || !strings.Contains(text, "SIZE_INVALID") {
		t.Errorf("too large: %s %s", res.Status, text)
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
