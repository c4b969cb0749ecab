package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

type eventQuery struct {
	After       int64     `query:"after" doc:"Only events behind this position in the journal."`
	Before      int64     `query:"before" doc:"Only events before this position; 0 is the end."`
	Since       time.Time `query:"since" doc:"Only events at or after this time."`
	Until       time.Time `query:"until" doc:"Only events before this time."`
	Subject     string    `query:"subject" doc:"Exactly this subject: deploy/12."`
	Type        []string  `query:"type,explode" doc:"Any of these types."`
	Service     string    `query:"service" doc:"Only events of this service."`
	Environment string    `query:"environment" doc:"Only events of this environment."`
	Version     string    `query:"version" doc:"Only events of this version."`
	Chain       string    `query:"chain" doc:"Only events of this chain."`
	Oldest      bool      `query:"oldest" doc:"Oldest first instead of newest first."`
	Limit       int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many."`
}

func (q eventQuery) journal() journal.Query {
	return journal.Query{
		After: q.After, Before: q.Before, Since: q.Since, Until: q.Until, Subject: q.Subject, Types: q.Type,
		Service: id.Service(q.Service), Environment: id.Environment(q.Environment), Version: id.Version(q.Version),
		Chain: q.Chain, Newest: !q.Oldest, Limit: q.Limit,
	}
}

func (a *API) events() {
	operation(a, http.MethodGet, "/events", "list-events", "What happened, from the journal", viewer,
		func(ctx context.Context, in *eventQuery) ([]event.Event, error) {
			events, err := a.o.Journal.Read(ctx, in.journal())
			if events == nil {
				events = []event.Event{}
			}
			return events, err
		})
}

// heartbeat keeps idle streams open through proxies.
const heartbeat = 15 * time.Second

// stream sends every new event as a server-sent event whose id is its position
// in the journal; a client that comes back with Last-Event-ID misses none.
func (a *API) stream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel, err := a.attend(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer cancel()
	after, err := a.o.Journal.Last(ctx)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if s := cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")); s != "" {
		position, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			a.refuse(w, r, fault.New(fault.Invalid, "follow events: %q (Last-Event-ID or after) is no position in the journal", s))
			return
		}
		after = min(after, position) // a position of another journal must not silence this one
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	fmt.Fprintf(w, "retry: 1000\n\n")
	out.Flush()

	events := make(chan event.Event)
	go func() {
		defer close(events)
		a.o.Journal.Subscribe(ctx, after, func(e event.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		out.SetWriteDeadline(time.Now().Add(heartbeat + stalled))
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			fmt.Fprint(w, ": still here\n\n")
		case e, ok := <-events:
			if !ok {
				return
			}
			data, err := json.Marshal(e)
			if err != nil {
				a.o.Log.Error("encode event", "seq", e.Seq, "error", err)
				return
			}
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Seq, data)
		}
		if out.Flush() != nil {
			return
		}
	}
}
