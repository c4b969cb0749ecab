package prometheus

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
)

const (
	// mostValues is how many values one Fetch may return.
	mostValues = 1 << 27

	// One request asks for at most so many names, with so many bytes of query (16
	// KiB is VictoriaMetrics' limit) and so many values. Up to 100 alternatives
	// VictoriaMetrics looks each one up; above it goes through all values.
	mostNames = 100
	mostQuery = 12 << 10
	mostAsked = 1 << 20

	// atOnce is how many requests of one Fetch are under way.
	atOnce = 4
)

// column is a series on the way.
type column struct {
	name   string
	window window
	values []float64 // nil: not known yet
	given  bool
}

// window is the grid and the part of it that is asked for.
type window struct {
	store.Grid
	slot, size int64
}

// Fetch returns columns, as store.Driver says.
func (s *Store) Fetch(ctx context.Context, r store.Request) ([]metric.Series, error) {
	if r.Until < r.From {
		return nil, fault.New(fault.Invalid, "fetch from %d until %d: the range ends before it starts", r.From, r.Until)
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	columns := map[string]*column{}
	var all []*column
	most := int64(mostValues)
	if r.Most > 0 {
		most = min(most, int64(r.Most))
	}
	total := int64(0)
	for _, name := range r.Names {
		if columns[name] != nil || !store.Proper([]byte(name)) {
			continue
		}
		c := &column{name: name, window: s.window(name, r.From, r.Until)}
		if total += c.window.size; total > most {
			return nil, fault.New(fault.TooMuch, "fetch of %d series from %d until %d: more than %d values (ask for fewer series or a shorter time)", len(r.Names), r.From, r.Until, most)
		}
		columns[name] = c
		all = append(all, c)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, part := range parts(all) {
		group.Go(func() error { return s.fill(ctx, part) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := make([]metric.Series, 0, len(r.Names))
	for _, name := range r.Names {
		c := columns[name]
		if c == nil || c.values == nil {
			continue
		}
		values := c.values
		if c.given {
			values = slices.Clone(values) // who asks twice gets two
		}
		c.given = true
		out = append(out, metric.Series{Name: name, Start: c.window.slot * c.window.Step, Step: c.window.Step, Keep: c.window.Keep, Values: values})
	}
	return out, nil
}

func (s *Store) window(name string, from, until int64) window {
	w := window{Grid: s.grids.Load().Of(name)}
	now := s.now().Unix()
	from = max(from, now-w.Keep)
	until = max(min(until, now+24*3600), from)
	w.slot = floor(from, w.Step) + 1
	w.size = max(floor(until, w.Step)-w.slot+1, 1)
	return w
}

// floor is t / step rounded down.
func floor(t, step int64) int64 {
	q := t / step
	if t < 0 && q*step != t {
		q--
	}
	return q
}

// parts divides columns into requests: each has one window, and only names with
// tags or only such without.
func parts(all []*column) [][]*column {
	type kind struct {
		window window
		tagged bool
	}
	at := map[kind]int{} // number of the part that still has room
	var parts [][]*column
	var bytes []int
	for _, c := range all {
		k := kind{c.window, strings.Contains(c.name, ";")}
		i, open := at[k]
		size := len(quote(exactly(c.name)))
		if !open || len(parts[i]) == mostNames || bytes[i]+size > mostQuery || int64(len(parts[i])+1)*c.window.size > mostAsked {
			i = len(parts)
			at[k] = i
			parts, bytes = append(parts, nil), append(bytes, 0)
		}
		parts[i] = append(parts[i], c)
		bytes[i] += size
	}
	return parts
}

// fill asks for the values of one part.
func (s *Store) fill(ctx context.Context, part []*column) error {
	w := part[0].window
	known := map[string]*column{}
	for _, c := range part {
		known[c.name] = c
	}
	of := s.exact(part)
	// The end of a range counts, its start does in some versions only.
	form := url.Values{
		"query":   {of.String() + "[" + strconv.FormatInt(w.size*w.Step, 10) + "s]"},
		"time":    {strconv.FormatInt((w.slot+w.size)*w.Step-1, 10)},
		"nocache": {"1"}, // VictoriaMetrics else keeps the newest seconds to itself
	}
	missing := len(part)
	if err := s.client.ask(ctx, http.MethodPost, "/api/v1/query", form, func(r io.Reader) error {
		return matrix(r, func(e element) error {
			c := known[e.name()]
			if c == nil {
				return nil
			}
			if c.values == nil {
				c.make()
				missing--
			}
			c.put(e.Values)
			return nil
		})
	}); err != nil {
		return err
	}
	if missing == 0 {
		return nil
	}
	// A series without a value at this time is another thing than none.
	return s.client.ask(ctx, http.MethodPost, "/api/v1/series", s.span(url.Values{"match[]": {of.String()}}), func(r io.Reader) error {
		return list(r, func(labels map[string]string) error {
			if c := known[element{Metric: labels}.name()]; c != nil && c.values == nil {
				c.make()
			}
			return nil
		})
	})
}

// exact selects the series of a part.
func (s *Store) exact(part []*column) selector {
	label := pathLabel
	of := s.series()
	if strings.Contains(part[0].name, ";") {
		label = wholeLabel
	} else {
		of = append(of, matcher(wholeLabel, "=", ""))
	}
	if len(part) == 1 {
		return append(of, matcher(label, "=", toValue(part[0].name)))
	}
	names := make([]string, len(part))
	for i, c := range part {
		names[i] = exactly(c.name)
	}
	return append(of, matcher(label, "=~", strings.Join(names, "|")))
}

func (c *column) make() {
	c.values = make([]float64, c.window.size)
	for i := range c.values {
		c.values[i] = math.NaN()
	}
}

// put places samples on the grid. They come in the order of time, so that the
// latest in a slot counts.
func (c *column) put(samples samples) {
	for _, v := range samples {
		if i := floor(floor(v.time, 1000), c.window.Step) - c.window.slot; i >= 0 && i < c.window.size {
			c.values[i] = v.value
		}
	}
}

// element is one series of an answer.
type element struct {
	Metric map[string]string `json:"metric"`
	Values samples           `json:"values"`
}

func (e element) name() string {
	if whole := e.Metric[wholeLabel]; whole != "" {
		return fromValue(whole)
	}
	return fromValue(e.Metric[pathLabel])
}

// matrix reads the answer to a query whose result is a range of samples.
func matrix(r io.Reader, take func(element) error) error {
	d := json.NewDecoder(r)
	return answer(d, func() error {
		return object(d, func(key string) error {
			if key != "result" {
				return skip(d)
			}
			return elements(d, take)
		})
	})
}
