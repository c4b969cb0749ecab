// Package web holds the user interface: Svelte source in src, built by npm into
// dist, and served from inside the binary.
package web

import (
	"bytes"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

//go:embed all:dist
var dist embed.FS

// policy keeps a page from loading or sending anything elsewhere; the charts set
// styles on elements.
const policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// Handler serves the interface. A path that is no file gets index.html, since
// the pages are drawn by the browser; dev, if not empty, is a folder to serve
// from instead of the binary.
func Handler(dev string) http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if dev != "" {
		files = os.DirFS(dev)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "no such address: "+r.Method+" "+r.URL.Path, http.StatusNotFound)
			return
		}
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		b, err := fs.ReadFile(files, name)
		if err != nil {
			if path.Ext(name) != "" || strings.HasPrefix(name, "api/") {
				http.Error(w, "no such address: "+r.URL.Path, http.StatusNotFound)
				return
			}
			name = "index.html"
			if b, err = fs.ReadFile(files, name); err != nil {
				http.Error(w, "This binary was built without the web interface: run make build.", http.StatusNotFound)
				return
			}
		}
		h := w.Header()
		h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", policy)
		if strings.HasPrefix(name, "assets/") { // their names change with their content
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
		}
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
	})
}
