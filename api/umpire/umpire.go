// Package umpire answers GET /check as Umpire does: is a metric within bounds?
// Uptime monitors that know nothing of metrics turn its status into alarms.
//
//	200  in range; or no values, and empty_ok was given
//	400  wrong parameters
//	401  {"error":"not authorized"}: no key, or a wrong one
//	404  no such metric; or no values
//	500  out of range; also an error of the server
//	503  the metrics cannot be read now
//
// Umpire answers 500 both for a breach and for a crash. The header Steer-Check
// tells them apart: in-range, breach, no-data, not-found or error.
package umpire

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/monitor/query"
)

// budget is how long one check may take; monitors do not wait longer.
const budget = 5 * time.Second

// The longest range, ten years.
const maxRange = 10 * 365 * 86400

// Verdicts of the header Steer-Check.
const (
	Header   = "Steer-Check"
	InRange  = "in-range"
	Breach   = "breach"
	NoData   = "no-data"
	NotFound = "not-found"
	Failed   = "error"
)

// Options is what the application hands to New.
type Options struct {
	Engine *query.Engine
	// Authorized tells whether the password of basic authentication, the API key,
	// is good. nil lets everybody in, for when a handler around this one decides.
	Authorized func(password string) bool
	Now        func() time.Time // nil: the clock
	Log        *slog.Logger
}

// New makes the handler of /check, and of /health, which says that the server
// answers.
func New(o Options) http.Handler {
	s := &server{o}
	s.Log = cmp.Or(s.Log, slog.Default())
	if s.Now == nil {
		s.Now = time.Now
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /check", s.check)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{\"health\":\"ok\"}\n"))
	})
	return mux
}

// Unauthorized writes the answer to a request without a good key, for handlers
// that check keys before this one.
func Unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Restricted Area"`)
	answer(w, http.StatusUnauthorized, Failed, struct {
		Error string `json:"error"`
	}{"not authorized"})
}

type server struct{ Options }

// verdict is the body of an answer with a value.
type verdict struct {
	Value     float64  `json:"value"`
	Min       *float64 `json:"min"`
	Max       *float64 `json:"max"`
	Points    int      `json:"num_points"`
	RequestID string   `json:"request_id"`
}

// refusal is the body of an answer without one.
type refusal struct {
	Error     string `json:"error"`
	RequestID string `json:"request_id"`
}

func (s *server) check(w http.ResponseWriter, r *http.Request) {
	if s.Authorized != nil {
		_, password, _ := r.BasicAuth()
		if !s.Authorized(password) {
			Unauthorized(w)
			return
		}
	}
	id := requestID(r)
	refuse := func(status int, state, text string) { answer(w, status, state, refusal{text, id}) }
	q, problems := parse(r)
	if len(problems) > 0 {
		refuse(http.StatusBadRequest, Failed, strings.Join(problems, ", "))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), budget)
	defer cancel()
	now := s.Now().Unix()
	results, err := s.Engine.Eval(ctx, query.Request{Targets: []string{q.metric}, From: now - q.seconds, Until: now, Now: now})
	var mistake *query.TargetError
	switch {
	case errors.As(err, &mistake):
		refuse(http.StatusBadRequest, Failed, mistake.Summary())
		return
	case err != nil && (errors.Is(err, context.DeadlineExceeded) || fault.Of(err) != fault.Internal):
		s.Log.WarnContext(ctx, "check could not read its metric", "metric", q.metric, "request_id", id, "error", err)
		refuse(http.StatusServiceUnavailable, Failed, "connecting to backend metrics service failed with error '"+err.Error()+"'")
		return
	case err != nil:
		s.Log.ErrorContext(ctx, "check", "metric", q.metric, "request_id", id, "error", err)
		refuse(http.StatusInternalServerError, Failed, "internal server error")
		return
	case len(results) == 0:
		refuse(http.StatusNotFound, NotFound, "metric not found")
		return
	}
	value, points := q.value(results)
	switch {
	case points == 0 && q.emptyOK:
		refuse(http.StatusOK, NoData, "no values for metric in range")
		return
	case points == 0:
		refuse(http.StatusNotFound, NoData, "no values for metric in range")
		return
	case math.IsInf(value, 0):
		// JSON has no infinities; the nearest number compares the same.
		value = math.Copysign(math.MaxFloat64, value)
	}
	status, state := http.StatusOK, InRange
	if q.min != nil && value < *q.min || q.max != nil && value > *q.max {
		status, state = http.StatusInternalServerError, Breach
	}
	answer(w, status, state, verdict{value, q.min, q.max, points, id})
}

func answer(w http.ResponseWriter, status int, state string, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, state, b = http.StatusInternalServerError, Failed, []byte(`{"error":"internal server error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set(Header, state)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// requestID is that of the caller, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" {
		return id[:min(len(id), 200)]
	}
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// question is what is asked of a metric.
type question struct {
	metric    string
	seconds   int64
	min, max  *float64
	aggregate string
	emptyOK   bool
}

func parse(r *http.Request) (question, []string) {
	p := r.URL.Query()
	var problems []string
	q := question{metric: strings.TrimSpace(p.Get("metric")), aggregate: p.Get("aggregate")}
	if q.metric == "" {
		problems = append(problems, "metric is required")
	}
	if text := p.Get("range"); text == "" {
		problems = append(problems, "range is required")
	} else if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 1 || n > maxRange {
		problems = append(problems, "range must be a number of seconds from 1 to "+strconv.Itoa(maxRange))
	} else {
		q.seconds = n
	}
	for _, end := range [...]struct {
		name string
		into **float64
	}{{"min", &q.min}, {"max", &q.max}} {
		if text := p.Get(end.name); text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || n-n != 0 {
				problems = append(problems, end.name+" must be a number")
				continue
			}
			*end.into = &n
		}
	}
	if p.Get("min") == "" && p.Get("max") == "" {
		problems = append(problems, "one of min or max is required")
	}
	if text := p.Get("empty_ok"); text != "" {
		switch strings.ToLower(text) {
		case "yes", "y", "1", "true":
			q.emptyOK = true
		default:
			problems = append(problems, "empty_ok must be one of yes/y/1/true")
		}
	}
	for _, name := range [...]string{"compose", "from", "source", "resolution"} {
		if p.Get(name) != "" {
			problems = append(problems, name+" is for the backend librato, which is not supported")
		}
	}
	if b := p.Get("backend"); b != "" && b != "graphite" {
		problems = append(problems, "backend "+strconv.Quote(b)+" is not supported")
	}
	return q, problems
}

// value aggregates all known values of all series.
func (q question) value(results []query.Result) (value float64, points int) {
	total, low, high := 0.0, math.Inf(1), math.Inf(-1)
	for _, r := range results {
		for _, v := range r.Values {
			if v == v {
				total, low, high = total+v, min(low, v), max(high, v)
				points++
			}
		}
	}
	switch q.aggregate {
	case "sum":
		return total, points
	case "min":
		return low, points
	case "max":
		return high, points
	}
	return total / float64(max(points, 1)), points
}
