package repository

import (
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/id"
	"steer/catalog"
	"steer/deliver/artifact"
)

// fixture is a repository of artifacts that are all in one suite.
type fixture struct {
	*Repository
	t         *testing.T
	artifacts *artifact.Repository
	dir       string
	mu        sync.Mutex
	revision  int64
	hidden    map[id.Version]bool
}

func open(t *testing.T) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), hidden: map[id.Version]bool{}}
	var err error
	f.artifacts, err = artifact.New(t.Context(), artifact.Options{
		Dir: filepath.Join(f.dir, "artifacts"), Key: filepath.Join(f.dir, "key"), DB: databasetest.SQLite(t),
		Journal:  func(context.Context, *sql.Tx, *event.Event) error { return nil },
		Manifest: catalog.ParseManifest,
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Repository = New(Options{
		Key: filepath.Join(f.dir, "key"), Suites: func() []string { return []string{All, "ci"} }, Now: func() time.Time { return now },
		Revision: func(context.Context) (int64, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.revision, nil
		},
		Entries: func(ctx context.Context) ([]Entry, error) {
			all, err := f.artifacts.Packages(ctx, 1000)
			var entries []Entry
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, p := range all {
				if !f.hidden[p.Version] {
					entries = append(entries, Entry{p, []string{All}})
				}
			}
			return entries, err
		},
		Package: f.artifacts.Package, Open: f.artifacts.Open,
	})
	return f
}

// build makes a version.
func (f *fixture) build(n int64) {
	f.t.Helper()
	dir := f.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app"), fmt.Appendf(nil, "%d", n), 0o755); err != nil {
		f.t.Fatal(err)
	}
	m := catalog.Manifest{Service: "shop", Team: "web", Description: "Sells <things> & more", Artifact: catalog.Artifact{
		Kind: catalog.KindPackages, Paths: []string{"app"}, Package: &catalog.Package{Architecture: "amd64", Depends: map[string][]string{"all": {"curl (>= 7)", "tar"}}},
	}}
	if _, err := f.artifacts.Put(f.t.Context(), artifact.Meta{Service: "shop", Version: id.Build(n), Manifest: &m, Created: time.Unix(1_700_000_000+n, 0)}, dir, m.Artifact.Paths); err != nil {
		f.t.Fatal(err)
	}
	f.happened()
}

func (f *fixture) happened() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
}

func (f *fixture) do(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func (f *fixture) get(path string) string {
	f.t.Helper()
	w := f.do("GET", path)
	if w.Code != http.StatusOK {
		f.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// The index says of a package what Debian's own program for indexes says.
func TestAsAptFtparchive(t *testing.T) {
	if _, err := exec.LookPath("apt-ftparchive"); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("needs apt-ftparchive (Debian package apt-utils)")
	}
	f := open(t)
	f.build(1)
	f.build(2)
	tree := t.TempDir()
	ours := f.get("/debian/dists/all/main/binary-amd64/Packages")
	for _, m := range regexp.MustCompile(`Filename: (.*)\n`).FindAllStringSubmatch(ours, -1) {
		to := filepath.Join(tree, m[1])
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(f.get("/debian/"+m[1])), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("apt-ftparchive", "--md5=no", "--sha1=no", "--sha512=no", "packages", "pool")
	cmd.Dir = tree
	theirs, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := func(text string) (all []string) {
		for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
			lines := strings.Split(p, "\n")
			slices.Sort(lines)
			all = append(all, strings.Join(lines, "\n"))
		}
		slices.Sort(all)
		return all
	}
	if got, want := fields(ours), fields(string(theirs)); len(got) != 2 || !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n\n"), strings.Join(want, "\n\n"))
	}
}

// What a client was told of stays, for some generations.
func TestEarlierIndexesStay(t *testing.T) {
	f := open(t)
	var hashes [][]string
	var dates []string
	for n := range int64(mostOld + 2) {
		f.build(n + 1)
		release := f.get("/debian/dists/all/Release")
		var all []string
		for _, m := range regexp.MustCompile(` (\w{64}) \d+ (main/\S+)\n`).FindAllStringSubmatch(release, -1) {
			if strings.Contains(m[2], "amd64") { // that of arm64 is always the same: empty
				all = append(all, m[1])
			}
			if got := f.get("/debian/dists/all/" + m[2]); digest([]byte(got)) != m[1] {
				t.Errorf("%s is not what Release says", m[2])
			}
		}
		hashes = append(hashes, all)
		dates = append(dates, regexp.MustCompile(`Date: (.*)\n`).FindStringSubmatch(release)[1])
	}
	if len(slices.Compact(slices.Clone(dates))) != len(dates) {
		t.Errorf("two releases have one date: %q", dates)
	}
	for i, all := range hashes {
		want := http.StatusOK
		if i == 0 {
			want = http.StatusNotFound // memory has an end
		}
		for _, h := range all {
			if w := f.do("GET", "/debian/dists/all/main/binary-amd64/by-hash/SHA256/"+h); w.Code != want {
				t.Errorf("generation %d: %d, want %d", i, w.Code, want)
			}
		}
	}
	before := f.get("/debian/dists/all/InRelease")
	f.happened()
	if f.get("/debian/dists/all/InRelease") != before {
		t.Error("the index is made anew though nothing of it changed")
	}
	if got := f.get("/debian/dists/ci/main/binary-amd64/Packages"); got != "" {
		t.Errorf("ci: %s", got)
	}
	f.mu.Lock()
	f.hidden["b7"] = true
	f.mu.Unlock()
	f.happened()
	if got := f.get("/debian/dists/all/main/binary-amd64/Packages"); strings.Contains(got, "Version: 0.7\n") || !strings.Contains(got, "Version: 0.6\n") {
		t.Errorf("hidden: %s", got)
	}
	if got := f.get("/debian/pool/main/shop/b7/shop_0.7_amd64.deb"); len(got) < 500 {
		t.Errorf("the file is gone: %q", got)
	}
}

func TestVersionsAreBounded(t *testing.T) {
	f := open(t)
	for n := range int64(mostVersions + 3) {
		f.build(n + 1)
	}
	got := f.get("/debian/dists/all/main/binary-amd64/Packages")
	if n := strings.Count(got, "Package: shop\n"); n != mostVersions || strings.Contains(got, "Version: 0.3\n") || !strings.Contains(got, "Version: 0.13\n") {
		t.Errorf("%d versions:\n%s", n, got)
	}
}

func TestRepodataIsXML(t *testing.T) {
	f := open(t)
	f.build(1)
	md := f.get("/rpm/all/repodata/repomd.xml")
	for _, m := range regexp.MustCompile(`href="(repodata/[^"]+)"`).FindAllStringSubmatch(md, -1) {
		w := f.do("GET", "/rpm/all/"+m[1])
		zip, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(zip)
		if err != nil {
			t.Fatal(err)
		}
		var any struct {
			Packages int `xml:"packages,attr"`
		}
		if err := xml.Unmarshal(out, &any); err != nil || any.Packages != 1 {
			t.Errorf("%s: %v\n%s", m[1], err, out)
		}
	}
}

func TestAsked(t *testing.T) {
	f := open(t)
	f.build(1)
	for path, want := range map[string]int{
		"/debian/": 200, "/rpm/": 200, "/rpm/steer.asc": 200, "/debian/dists/all": 404, "/debian/dists/none/InRelease": 404, "/debian/dists/all/none": 404,
		"/debian/pool/main/shop/b2/x.deb": 404, "/rpm/all/repodata/none": 404, "/rpm/all/pool/shop/b1/shop-0.1-1.x86_64.rpm": 200, "/rpm/all/pool/..%2f/b1/key": 404,
	} {
		if w := f.do("GET", path); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := f.do("POST", "/debian/dists/all/InRelease"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("written: %d", w.Code)
	}
	if w := f.do("GET", "/debian/dists/all/InRelease", "Range", "bytes=100-"); w.Code != http.StatusOK {
		t.Errorf("a list is resumed: %d", w.Code)
	}
	if w := f.do("GET", "/debian/pool/main/shop/b1/shop_0.1_amd64.deb", "Range", "bytes=0-6"); w.Code != http.StatusPartialContent || w.Body.String() != "!<arch>" {
		t.Errorf("a package is resumed: %d %q", w.Code, w.Body)
	}
	in := f.get("/debian/dists/all/InRelease")
	w := f.do("GET", "/debian/dists/all/InRelease")
	if w := f.do("GET", "/debian/dists/all/InRelease", "If-Modified-Since", w.Header().Get("Last-Modified")); w.Code != http.StatusNotModified || in == "" {
		t.Errorf("nothing new: %d", w.Code)
	}
}

// Asked by many at once, while versions come.
func TestManyAsk(t *testing.T) {
	f := open(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				release := f.do("GET", "/debian/dists/all/InRelease").Body.String()
				for _, m := range regexp.MustCompile(` (\w{64}) \d+ main/`).FindAllStringSubmatch(release, -1) {
					if w := f.do("GET", "/debian/dists/all/main/binary-amd64/by-hash/SHA256/"+m[1]); w.Code != http.StatusOK {
						t.Errorf("a file that the list names: %d", w.Code)
					}
				}
			}
		})
	}
	for n := range int64(3) {
		f.build(n + 1)
	}
	group.Wait()
}
