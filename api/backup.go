package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// Backup is a backup that has begun: what can be refused was not.
type Backup interface {
	// Write sends the archive, see package backup.
	Write(ctx context.Context, to io.Writer) error
	// Close lets go of everything that it needed.
	Close()
}

// BeginBackup begins a backup for a person. While one is under way, the error is
// fault.Conflict.
type BeginBackup func(ctx context.Context, who id.Person) (Backup, error)

// backup sends the whole data folder as a tar stream. One that breaks off ends the
// connection, and has no manifest.
func (a *API) backup(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		a.refuse(w, r, fault.New(fault.Invalid, "backup: %s does not say enough (use GET)", r.Method))
		return
	}
	ctx, cancel, err := a.attend(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer cancel()
	b, err := a.o.Backup(ctx, person(r.Context()))
	control := http.NewResponseController(w)
	control.SetWriteDeadline(time.Now().Add(stalled)) // copying the database may have taken long
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer b.Close()
	// When the server stops, it does not wait for a client that takes nothing.
	defer context.AfterFunc(ctx, func() { control.SetWriteDeadline(time.Now()) })()
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="steer-`+time.Now().UTC().Format("20060102T150405Z")+`.tar"`)
	w.Header().Set("Cache-Control", "no-store")
	if err := b.Write(ctx, &steady{ctx, w, control}); err != nil {
		a.o.Log.Warn("backup ended early", "person", person(r.Context()), "error", err)
		panic(http.ErrAbortHandler) // half an archive must not look like a whole one
	}
}

// steady gives the client time for each piece, however many there are, and ends
// with the context.
type steady struct {
	ctx     context.Context
	to      io.Writer
	control *http.ResponseController
}

func (s *steady) Write(p []byte) (int, error) {
	s.control.SetWriteDeadline(time.Now().Add(stalled))
	if err := s.ctx.Err(); err != nil { // asked after the deadline is set: its end sets another
		return 0, err
	}
	return s.to.Write(p)
}
