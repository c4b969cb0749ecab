package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/artifact"
)

// ServeHTTP answers GET and HEAD below /debian/ and /rpm/.
func (r *Repository) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "package repository: it is only read", http.StatusMethodNotAllowed)
		return
	}
	err := fault.New(fault.NotFound, "package repository: there is no %s", q.URL.Path)
	words := strings.Split(strings.Trim(q.URL.Path, "/"), "/")
	switch {
	case len(words) == 1 && (words[0] == "debian" || words[0] == "rpm"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "Packages of the services that Steer delivers.\nSuites: %s\nKey: /%s/steer.asc\n", strings.Join(r.o.Suites(), ", "), words[0])
		return
	case len(words) == 2 && words[1] == "steer.asc":
		err = r.serveKey(w, q)
	case words[0] == "debian" && len(words) == 6 && words[1] == "pool" && words[2] == "main":
		err = r.serveFile(w, q, words[3:])
	case words[0] == "rpm" && len(words) == 6 && words[2] == "pool":
		err = r.serveFile(w, q, words[3:])
	case words[0] == "debian" && len(words) > 3 && words[1] == "dists":
		err = r.serveIndex(w, q, words[2], strings.Join(words[3:], "/"))
	case words[0] == "rpm" && len(words) == 4 && words[2] == "repodata":
		err = r.serveIndex(w, q, words[1], "repodata/"+words[3])
	}
	if err != nil {
		r.refuse(w, q, err)
	}
}

// refuse answers with an error in the form of the API (RFC 9457).
func (r *Repository) refuse(w http.ResponseWriter, q *http.Request, err error) {
	kind, text := fault.Of(err), err.Error()
	if kind == fault.Internal && q.Context().Err() == nil {
		r.o.Log.Error("package repository", "path", q.URL.Path, "error", err)
		text = "package repository: Steer cannot answer now, its log says why" // the asker may be a stranger
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(kind.Status())
	json.NewEncoder(w).Encode(map[string]any{"status": kind.Status(), "title": http.StatusText(kind.Status()), "detail": text})
}

func (r *Repository) serveKey(w http.ResponseWriter, q *http.Request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pgp-keys")
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(key.Public()))
	return nil
}

// serveIndex sends a file of a suite: by its name as it is now, by its digest also as it
// was.
func (r *Repository) serveIndex(w http.ResponseWriter, q *http.Request, name, file string) error {
	s, err := r.suite(q.Context(), name)
	if err != nil {
		return err
	}
	forever := true
	var body []byte // empty for a list without packages
	var found bool
	if rpm, ok := strings.CutPrefix(file, "repodata/"); ok && strings.HasPrefix(q.URL.Path, "/rpm/") {
		forever = !strings.HasPrefix(rpm, "repomd.xml")
		if body, found = s.rpms[rpm]; !found {
			hex, _, _ := strings.Cut(rpm, "-")
			body, found = s.find(hex)
		}
	} else if _, hex, ok := strings.Cut(file, "/by-hash/SHA256/"); ok {
		body, found = s.find(hex)
	} else {
		forever = false
		body, found = s.debs[file]
	}
	if !found {
		return fault.New(fault.NotFound, "package repository: there is no %s", q.URL.Path)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	cache(w, forever)
	if !forever {
		// apt resumes an InRelease that came in damaged at its end, for ever.
		q = q.Clone(q.Context())
		q.Header.Del("Range")
	}
	http.ServeContent(w, q, "", s.made, bytes.NewReader(body))
	return nil
}

// cache says how long proxies may keep an answer. It is for who was let in only.
func cache(w http.ResponseWriter, forever bool) {
	if forever {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "private, no-cache")
	}
}

func (r *Repository) serveFile(w http.ResponseWriter, q *http.Request, words []string) error {
	p, err := r.find(q.Context(), words)
	if err != nil {
		return err
	}
	f, err := r.o.Open(p.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+p.Digest+`"`)
	cache(w, true)
	// A line of 64 KiB a second is served, one that hangs is not waited for.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute + time.Duration(p.Size>>16)*time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	http.ServeContent(w, q, "", p.Created, f)
	return nil
}

func (r *Repository) find(ctx context.Context, words []string) (artifact.Package, error) {
	return r.o.Package(ctx, id.Service(words[0]), id.Version(words[1]), words[2])
}
