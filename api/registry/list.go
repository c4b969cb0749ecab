package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"steer/base/fault"
	"steer/base/oci"
	"steer/deliver/registry"
)

// window reads ?n= and ?last=.
func window(r *http.Request) (after string, n int, err error) {
	query := r.URL.Query()
	n = page
	if text := query.Get("n"); text != "" {
		if n, err = strconv.Atoi(text); err != nil || n < 0 {
			return "", 0, fault.New(fault.Invalid, "list: n=%.100s is no number", text)
		}
	}
	return query.Get("last"), min(n, page), nil
}

// list answers with at most n names, and where there are more.
func list(w http.ResponseWriter, r *http.Request, n int, names []string, answer func([]string) any) error {
	if len(names) > n {
		names = names[:n]
		if n > 0 {
			next(w, r, url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer(names))
}

// next says where the list goes on (RFC 8288).
func next(w http.ResponseWriter, r *http.Request, query url.Values) {
	w.Header().Set("Link", "<"+r.URL.Path+"?"+query.Encode()+`>; rel="next"`)
}

func (h *handler) catalog(w http.ResponseWriter, r *http.Request) error {
	after, n, err := window(r)
	if err != nil {
		return err
	}
	names, err := h.r.Names(r.Context(), after, n+1)
	if err != nil {
		return err
	}
	return list(w, r, n, names, func(names []string) any {
		// Services whose names no registry may have are kept, and not shown.
		names = slices.DeleteFunc(names, func(name string) bool { return registry.CheckName(name) != nil })
		return map[string]any{"repositories": names}
	})
}

func (h *handler) tags(w http.ResponseWriter, r *http.Request, name string) error {
	after, n, err := window(r)
	if err != nil {
		return err
	}
	tags, err := h.r.Tags(r.Context(), name, after, n+1)
	if err != nil {
		return err
	}
	return list(w, r, n, tags, func(tags []string) any { return map[string]any{"name": name, "tags": tags} })
}

func (h *handler) referrers(w http.ResponseWriter, r *http.Request, name, digest string) error {
	d, err := registry.ParseDigest(digest)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	kind := query.Get("artifactType")
	all, more, err := h.r.Referrers(r.Context(), name, d, kind, registry.Digest(query.Get("last")))
	if err != nil {
		return err
	}
	if kind != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if more {
		q := url.Values{"last": {string(all[len(all)-1].Digest)}}
		if kind != "" {
			q.Set("artifactType", kind)
		}
		next(w, r, q)
	}
	w.Header().Set("Content-Type", oci.TypeIndex)
	return json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": all})
}
