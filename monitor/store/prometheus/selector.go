package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"steer/base/fault"
	"steer/monitor/store"
)

// selector is a list of PromQL matchers.
type selector []string

func (s *Store) series(matchers ...string) selector {
	return append(selector{matcher(nameLabel, "=", s.metric)}, matchers...)
}

// with adds matchers to a copy.
func (m selector) with(more ...string) selector {
	return append(append(selector{}, m...), more...)
}

func (m selector) String() string { return "{" + strings.Join(m, ",") + "}" }

func matcher(label, operator, text string) string { return label + operator + quote(text) }

// quote writes a text as PromQL and Go do, but leaves letters of all kinds as
// they are: a query may not be long.
func quote(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return strconv.Quote(s)
	}
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}

// tagMatcher says the same as a tag expression.
func tagMatcher(m store.TagMatch) string {
	operator, text := "=", toValue(m.Value)
	if m.Match != nil {
		operator, text = "=~", "(?:"+m.Value+").*" // PromQL anchors at both ends
	}
	if m.Not {
		operator = "!" + strings.TrimPrefix(operator, "=")
		if m.Match == nil {
			operator = "!="
		}
	}
	return matcher(toLabel(m.Tag), operator, text)
}

// span is the time in which series are looked for: as long as any is kept.
func (s *Store) span(form url.Values) url.Values {
	now := s.now().Unix()
	form.Set("start", strconv.FormatInt(now-s.grids.Load().Longest(), 10))
	form.Set("end", strconv.FormatInt(now+s.ahead, 10))
	return form
}

// shortened is where VictoriaMetrics ends a list of values without a word
// (-search.maxTagValues).
const shortened = 100_000

// values hands every value of a label that the series have to take.
func (s *Store) values(ctx context.Context, label string, of selector, take func(string) error) error {
	form, n := s.span(url.Values{"match[]": {of.String()}}), 0
	if err := s.client.ask(ctx, http.MethodGet, "/api/v1/label/"+label+"/values", form, func(r io.Reader) error {
		return list(r, func(value string) error {
			n++
			return take(fromValue(value))
		})
	}); err != nil {
		return err
	}
	if n == shortened {
		return fault.New(fault.TooMuch, "list the values of %s: just %d came, where VictoriaMetrics leaves out the rest (ask for less, or raise its -search.maxTagValues)", of, n)
	}
	return nil
}

// names hands the names of the series that match to take: those without tags
// unless a tag is asked for, and those with some.
func (s *Store) names(ctx context.Context, plain, tagged selector, take func(string) error) error {
	if plain != nil {
		if err := s.values(ctx, pathLabel, plain.with(matcher(wholeLabel, "=", "")), take); err != nil {
			return err
		}
	}
	return s.values(ctx, wholeLabel, tagged.with(matcher(wholeLabel, "!=", "")), take)
}

// list reads an answer whose data is a list, element by element.
func list[T any](r io.Reader, take func(T) error) error {
	d := json.NewDecoder(r)
	return answer(d, func() error { return elements(d, take) })
}

// answer reads the frame around every answer of the API; data reads what is
// in it, from the value on.
func answer(d *json.Decoder, data func() error) error {
	err := object(d, func(key string) error {
		switch key {
		case "data":
			return data()
		case "error":
			var text string
			if err := d.Decode(&text); err != nil {
				return err
			}
			return fault.New(fault.Unavailable, "it answers with an error: %s", text)
		}
		return skip(d)
	})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Unavailable, "its answer ends in the middle")
	}
	return err
}

// object reads an object, field by field.
func object(d *json.Decoder, field func(key string) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if err := field(name); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

// elements reads an array, which may be null.
func elements[T any](d *json.Decoder, take func(T) error) error {
	switch t, err := d.Token(); {
	case err != nil:
		return err
	case t == nil:
		return nil
	case t != json.Delim('['):
		return fmt.Errorf("its answer has %v where a list belongs", t)
	}
	for d.More() {
		var e T
		if err := d.Decode(&e); err != nil {
			return err
		}
		if err := take(e); err != nil {
			return err
		}
	}
	return delim(d, ']')
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err == nil && t != want {
		err = fmt.Errorf("its answer has %v where %v belongs", t, want)
	}
	return err
}

func skip(d *json.Decoder) error {
	var ignored json.RawMessage
	return d.Decode(&ignored)
}

// labelNames hands every label that the series have to take.
func (s *Store) labelNames(ctx context.Context, of selector, take func(string) error) error {
	return s.client.ask(ctx, http.MethodPost, "/api/v1/labels", s.span(url.Values{"match[]": {of.String()}}), func(r io.Reader) error {
		return list(r, take)
	})
}
