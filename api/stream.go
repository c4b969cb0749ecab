package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"steer/base/fault"
)

// Bounds on answers that go on: server-sent events and logs that are followed.
const (
	mostStreams = 500              // at the same time
	recheck     = 5 * time.Second  // how often the caller must still be allowed to see them
	stalled     = 30 * time.Second // a client that takes nothing for so long is gone
)

// attend begins an answer that goes on. The context ends when the client goes, when
// the server stops, and when the caller's token is revoked or the session ends.
func (a *API) attend(r *http.Request) (context.Context, context.CancelFunc, error) {
	if a.streams.Add(1) > mostStreams {
		a.streams.Add(-1)
		return nil, nil, fault.New(fault.TooMuch, "%s: %d streams are open already (close some browser windows)", r.URL.Path, mostStreams)
	}
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		defer a.streams.Add(-1)
		defer cancel()
		again := time.NewTicker(recheck)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-a.o.Stopping:
				return
			case <-again.C:
				// A database that does not answer for once ends nothing.
				if _, known, err := a.identify(r); !known && (err == nil || fault.Of(err) != fault.Internal) {
					return
				}
			}
		}
	}()
	return ctx, cancel, nil
}

// text sends a log as it grows, with ?follow=1 until its end.
func (a *API) text(w http.ResponseWriter, r *http.Request, open func(ctx context.Context, follow bool) (io.ReadCloser, error)) {
	ctx, cancel, err := a.attend(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer cancel()
	log, err := open(ctx, r.URL.Query().Get("follow") != "")
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	out.Flush() // the answer begins, even if nothing was printed yet
	buf := make([]byte, 32<<10)
	for {
		n, err := log.Read(buf)
		if n > 0 {
			out.SetWriteDeadline(time.Now().Add(stalled))
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			out.Flush()
		}
		if err != nil {
			return
		}
	}
}
