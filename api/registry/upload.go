package registry

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steer/deliver/registry"
)

// begin starts an upload. With ?digest= the whole blob comes at once, with ?mount= it
// is there already, in whatever repository.
func (h *handler) begin(w http.ResponseWriter, r *http.Request, name string) error {
	if err := registry.CheckName(name); err != nil {
		return err
	}
	query := r.URL.Query()
	if mount := query.Get("mount"); mount != "" {
		d, err := registry.ParseDigest(mount)
		if err != nil {
			return err
		}
		if _, err := h.r.HasBlob(d); err == nil {
			created(w, name, "blobs", d)
			return nil
		}
	}
	var d registry.Digest
	if digest := query.Get("digest"); digest != "" {
		var err error
		if d, err = registry.ParseDigest(digest); err != nil {
			return err
		}
	}
	upload, err := h.r.Begin()
	if err != nil {
		return err
	}
	if d == "" {
		where(w, name, upload, 0)
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	if err := h.r.Finish(upload, chunk(w, r, -1), d); err != nil {
		_ = h.r.Cancel(upload) // nobody knows its id
		return err
	}
	created(w, name, "blobs", d)
	return nil
}

// where tells where an upload goes on.
func where(w http.ResponseWriter, name, upload string, size int64) {
	head := w.Header()
	head.Set("Location", "/v2/"+name+"/blobs/uploads/"+upload)
	head.Set("Docker-Upload-UUID", upload)
	head.Set("Range", "0-"+strconv.FormatInt(max(0, size-1), 10))
}

// upload answers for an upload under way.
func (h *handler) upload(w http.ResponseWriter, r *http.Request, name, upload string) error {
	if err := registry.CheckName(name); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet:
		size, err := h.r.Uploaded(upload)
		if err != nil {
			return err
		}
		where(w, name, upload, size)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		if err := h.r.Cancel(upload); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPatch:
		start, err := begins(r)
		if err != nil {
			return err
		}
		size, err := h.r.Append(upload, chunk(w, r, start))
		if err != nil {
			return h.outOfOrder(w, name, upload, err)
		}
		where(w, name, upload, size)
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		d, err := registry.ParseDigest(r.URL.Query().Get("digest"))
		if err != nil {
			return err
		}
		start, err := begins(r)
		if err != nil {
			return err
		}
		if err := h.r.Finish(upload, chunk(w, r, start), d); err != nil {
			return h.outOfOrder(w, name, upload, err)
		}
		created(w, name, "blobs", d)
	default:
		return wrongMethod(r)
	}
	return nil
}

// outOfOrder says with a piece that does not fit which would.
func (h *handler) outOfOrder(w http.ResponseWriter, name, upload string, err error) error {
	if _, status := registry.Failure(err); status == http.StatusRequestedRangeNotSatisfiable {
		if size, e := h.r.Uploaded(upload); e == nil {
			where(w, name, upload, size)
		}
	}
	return err
}

// begins reads Content-Range, which here is "FIRST-LAST" without a unit; -1 if there
// is none.
func begins(r *http.Request) (int64, error) {
	text := r.Header.Get("Content-Range")
	if text == "" {
		return -1, nil
	}
	a, b, ok := strings.Cut(text, "-")
	first, err := strconv.ParseInt(a, 10, 63)
	last, err2 := strconv.ParseInt(b, 10, 63)
	if !ok || err != nil || err2 != nil || first < 0 || last < first {
		return 0, registry.Fail(registry.BlobUploadInvalid, http.StatusBadRequest, "upload: Content-Range %.100q is not FIRST-LAST", text)
	}
	if r.ContentLength >= 0 && r.ContentLength != last-first+1 {
		return 0, registry.Fail(registry.BlobUploadInvalid, http.StatusBadRequest, "upload: Content-Range %s names %d bytes, and %d are sent", text, last-first+1, r.ContentLength)
	}
	return first, nil
}

// chunk is the body of a request.
func chunk(w http.ResponseWriter, r *http.Request, start int64) registry.Chunk {
	return registry.Chunk{Start: start, Size: r.ContentLength, Reader: &patient{r.Body, http.NewResponseController(w)}}
}

// patient gives the client time for each piece of a body, however many there are.
type patient struct {
	io.Reader
	control *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	p.control.SetReadDeadline(time.Now().Add(pause))
	p.control.SetWriteDeadline(time.Now().Add(2 * pause)) // for the answer after the last
	return p.Reader.Read(b)
}
