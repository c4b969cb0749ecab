package graphite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/listen/annotate"
	"steer/monitor/query"
)

// eventHandlers mounts Graphite's event list. Where Graphite has pages for people,
// here is JSON; people have the journal.
func (s *server) eventHandlers(mux *http.ServeMux) {
	for _, method := range [...]string{"GET ", "POST "} {
		mux.HandleFunc(method+"/events/get_data", s.checked(s.findEvents))
		mux.HandleFunc(method+"/events/get_data/{$}", s.checked(s.findEvents))
	}
	mux.HandleFunc("GET /events", s.checked(s.findEvents))
	mux.HandleFunc("GET /events/{$}", s.checked(s.findEvents))
	mux.HandleFunc("GET /events/{number}", s.checked(s.event))
	mux.HandleFunc("GET /events/{number}/{$}", s.checked(s.event))
	add := func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := s.addEvent(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
	mux.HandleFunc("POST /events", add)
	mux.HandleFunc("POST /events/{$}", add)
}

// findEvents lists events, oldest first: those with all of the tags, or with
// set=union any of them, from from until until, both included.
func (s *server) findEvents(w http.ResponseWriter, r *http.Request, p parameters) error {
	q := annotate.Query{Tags: strings.Fields(p.Get("tags")), Until: s.Now().Unix()}
	switch set := p.Get("set"); set {
	case "union":
		q.Any = true
	case "", "intersection":
	default:
		return fault.New(fault.Invalid, "find events: set is %q; it is union or intersection", set)
	}
	for _, end := range [...]struct {
		name string
		into *int64
	}{{"from", &q.From}, {"until", &q.Until}} {
		if text := p.Get(end.name); text != "" {
			at, err := query.ParseTime(text, s.Now().In(s.zone(p)), s.zone(p))
			if err != nil {
				return fmt.Errorf("find events: parameter %s: %w", end.name, err)
			}
			*end.into = at.Unix()
		}
	}
	events, err := s.Events.Find(r.Context(), q)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-cache")
	out, err := open(w, p)
	if err != nil {
		return err
	}
	out.put("[")
	for i, e := range events {
		if i > 0 {
			out.put(", ")
		}
		out.put(`{"when": `)
		out.integer(e.When)
		out.event(e)
		out.put("}")
	}
	out.put("]")
	return out.end()
}

func (w *writer) event(e annotate.Event) {
	w.put(`, "what": `)
	w.text(e.What)
	w.put(`, "data": `)
	w.text(e.Data)
	w.put(`, "tags": `)
	w.list(e.Tags)
	w.put(`, "id": `)
	w.integer(e.ID)
}

// event is one of them; as in Graphite its time is a text here.
func (s *server) event(w http.ResponseWriter, r *http.Request, p parameters) error {
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil {
		return fault.New(fault.NotFound, "read event %q: events have numbers", r.PathValue("number"))
	}
	e, err := s.Events.Get(r.Context(), number)
	if err != nil {
		return err
	}
	return plain(w, p, func(out *writer) {
		out.put(`{"when": `)
		out.text(time.Unix(e.When, 0).UTC().Format(time.RFC3339))
		out.event(e)
		out.put("}")
	})
}

// addEvent takes an event in JSON, whatever the request calls the type of its body:
// what, and perhaps when, tags (a list, or words) and data.
func (s *server) addEvent(w http.ResponseWriter, r *http.Request) error {
	who, err := author(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return fault.New(fault.Invalid, "add event: it is larger than %d bytes", maxBody)
	} else if err != nil {
		return fault.New(fault.Invalid, "add event: read it: %w", err)
	}
	var given struct {
		What string          `json:"what"`
		When *json.Number    `json:"when"`
		Tags json.RawMessage `json:"tags"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &given); err != nil {
		return fault.New(fault.Invalid, `add event: %w (send JSON like {"what": "deploy of 1.2", "tags": ["deploy"]})`, err)
	}
	e := annotate.Event{What: given.What, When: s.Now().Unix()}
	if given.When != nil {
		at, err := given.When.Float64()
		if err != nil || !(at >= 1 && at < math.MaxInt64) {
			return fault.New(fault.Invalid, `add event %.50q: "when" is %s; give seconds since 1970`, e.What, *given.When)
		}
		e.When = int64(at)
	}
	var words string
	if tags := given.Tags; len(tags) > 0 && json.Unmarshal(tags, &words) == nil {
		e.Tags = strings.Fields(words)
	} else if len(tags) > 0 && json.Unmarshal(tags, &e.Tags) != nil {
		return fault.New(fault.Invalid, `add event %.50q: "tags" is neither a list of texts nor a text of words`, e.What)
	}
	if data := given.Data; len(data) > 0 && json.Unmarshal(data, &e.Data) != nil {
		var short bytes.Buffer // anything else is kept as it is written
		if err := json.Compact(&short, data); err != nil {
			return err
		}
		e.Data = short.String()
	}
	if _, err := s.Events.Add(r.Context(), who, e); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
