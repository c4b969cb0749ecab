package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/monitor/store"
	"steer/monitor/store/whisper"
)

// Store is the metric store on disk, for moving Whisper files in and out, and for
// what series take up.
type Store interface {
	whisper.Target
	whisper.Source
	Usage(ctx context.Context, query string) (store.Usage, error)
}

// mostTrees is how many imports and exports of Whisper files may be under way:
// each has a file in memory.
const mostTrees = 2

// imported is the data of the events of an import.
type imported struct {
	Prefix string          `json:"prefix,omitempty"`
	Counts *whisper.Counts `json:"counts,omitempty"` // at its end
	Error  string          `json:"error,omitempty"`  // why it ended before the last file
}

// attendTree begins an import or export; done ends it.
func (a *API) attendTree(w http.ResponseWriter, r *http.Request) (ctx context.Context, next, done func(), err error) {
	if a.o.Store == nil {
		return nil, nil, nil, fault.New(fault.Conflict, "%s: the metrics are in a cluster, and only Steer's own engine has archives as Whisper files do (store.driver: disk)", r.URL.Path)
	}
	select {
	case a.trees <- struct{}{}:
	default:
		return nil, nil, nil, fault.New(fault.TooMuch, "%s: %d imports and exports are under way already (try again later)", r.URL.Path, mostTrees)
	}
	ctx, cancel, err := a.attend(r)
	if err != nil {
		<-a.trees
		return nil, nil, nil, err
	}
	control := http.NewResponseController(w)
	next = func() {
		if r.Body != http.NoBody {
			control.SetReadDeadline(time.Now().Add(a.fileTime))
		}
		control.SetWriteDeadline(time.Now().Add(a.fileTime + bodyTime))
	}
	next()
	return ctx, next, func() { cancel(); <-a.trees }, nil
}

// importWhisper takes a tar stream of Whisper files and answers with what became
// of them. The stream may be of any length, but each file has to come in time.
func (a *API) importWhisper(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	dry, err := strconv.ParseBool(cmp.Or(query.Get("dry_run"), "false"))
	if err != nil {
		a.refuse(w, r, fault.New(fault.Invalid, "import: dry_run=%s is neither true nor false", query.Get("dry_run")))
		return
	}
	if t := r.Header.Get("Content-Type"); t != "application/x-tar" {
		a.refuse(w, r, fault.New(fault.Invalid, "import: the body is %q instead of application/x-tar (send a tar of Carbon's data folder with this Content-Type, or use 'steer import whisper DIR')", t))
		return
	}
	ctx, next, done, err := a.attendTree(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer done()
	prefix := query.Get("prefix")
	note := func(e event.Event, data imported) error {
		if dry {
			return nil
		}
		e.Source, e.Subject, e.Actor = "/steer/store", "store/whisper", person(r.Context())
		e.Data, _ = json.Marshal(data)
		_, err := a.o.Journal.Record(context.WithoutCancel(r.Context()), e)
		return err
	}
	chain := id.New()
	if err := note(event.Event{Type: event.ImportStarted, Summary: "import of Whisper files started", Chain: chain}, imported{Prefix: prefix}); err != nil {
		a.refuse(w, r, err)
		return
	}
	sum, failure := whisper.Import(ctx, whisper.ImportOptions{Store: a.o.Store, Prefix: prefix, DryRun: dry, Next: next}, r.Body)
	end := imported{Prefix: prefix, Counts: &sum.Counts}
	text := "import of Whisper files finished: " + sum.String()
	if failure != nil {
		end.Error = failure.Error()
		text = "import of Whisper files ended early: " + sum.String()
	}
	if err := note(event.Event{Type: event.ImportFinished, Summary: text, Chain: chain}, end); err != nil && failure == nil {
		failure = err
	}
	if failure != nil {
		a.refuse(w, r, failure)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(sum)
}

// exportWhisper sends the series that a glob matches as a tar stream of Whisper
// files.
func (a *API) exportWhisper(w http.ResponseWriter, r *http.Request) {
	glob := r.URL.Query().Get("query")
	if glob == "" {
		a.refuse(w, r, fault.New(fault.Invalid, "export: the parameter query is missing; for example query=servers.**"))
		return
	}
	ctx, next, done, err := a.attendTree(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer done()
	export, err := whisper.NewExport(ctx, a.o.Store, glob)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	out := &tarWriter{ResponseWriter: w}
	if err := export.Write(ctx, out, next); err != nil {
		if !out.begun {
			a.refuse(w, r, err)
			return
		}
		if r.Context().Err() == nil {
			a.o.Log.Warn("export of Whisper files ended early", "query", glob, "person", person(r.Context()), "error", err)
		}
		panic(http.ErrAbortHandler) // half a tree must not look like a whole one
	}
}

// tarWriter begins the answer with the first bytes of the stream.
type tarWriter struct {
	http.ResponseWriter
	begun bool
}

func (w *tarWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.Header().Set("Content-Type", "application/x-tar")
		w.Header().Set("Content-Disposition", `attachment; filename="whisper.tar"`)
	}
	return w.ResponseWriter.Write(b)
}
