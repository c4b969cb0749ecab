package graphite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Differ says how an answer differs from graphite-web's, or nothing. Numbers may
// differ by a few roundings, since sums add up in another order; of errors only
// counts that they are some.
func Differ(want, got Golden) string {
	if want.Type == "text/javascript" && got.Type == want.Type {
		want, got = unwrapped(want), unwrapped(got)
	}
	switch {
	case want.Status >= 400 && got.Status >= 400:
		return ""
	case want.Status != got.Status:
		return fmt.Sprintf("status %d instead of %d: %.300s", got.Status, want.Status, got.Body)
	case want.Type != got.Type:
		return fmt.Sprintf("type %q instead of %q", got.Type, want.Type)
	}
	gotBody, err := Plain(got.Ask, got.Body)
	if err != nil {
		return err.Error()
	}
	a, err := decode(want.Body)
	b, err2 := decode(gotBody)
	if err := errors.Join(err, err2); err != nil {
		return err.Error()
	}
	return differ("", a, b)
}

// unwrapped is an answer without the call around it that jsonp asked for.
func unwrapped(g Golden) Golden {
	var text string
	if json.Unmarshal(g.Body, &text) != nil {
		return g
	}
	name, inner, _ := strings.Cut(text, "(")
	if inner, ok := strings.CutSuffix(inner, ")"); ok && json.Valid([]byte(inner)) {
		g.Type, g.Body = name, json.RawMessage(inner)
	}
	return g
}

const ownGroup = "Forecast"

// Plain leaves out what is each program's own: descriptions of functions, their
// Python modules and signatures, Steer's group of functions, the times that a file
// of Whisper covers, and row numbers of tags.
func Plain(ask string, body json.RawMessage) (json.RawMessage, error) {
	var own []string
	switch path, _, _ := strings.Cut(ask, "?"); {
	case strings.HasPrefix(path, "/functions"):
		own = []string{"description", "module", "function"}
	case strings.HasPrefix(path, "/metrics/find"):
		own = []string{"intervals"}
	case strings.HasPrefix(path, "/tags"):
		own = []string{"id"}
	default:
		return body, nil
	}
	v, err := decode(body)
	if err != nil {
		return nil, err
	}
	drop(v, own)
	if all, ok := v.(map[string]any); ok && own[0] == "description" {
		delete(all, ownGroup)
		maps.DeleteFunc(all, func(_ string, v any) bool {
			f, ok := v.(map[string]any)
			return ok && f["group"] == ownGroup
		})
	}
	return json.Marshal(v)
}

func decode(body json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// drop removes keys at any depth.
func drop(v any, keys []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range keys {
			if _, nested := v[k].(map[string]any); !nested {
				delete(v, k)
			}
		}
		for _, inner := range v {
			drop(inner, keys)
		}
	case []any:
		for _, inner := range v {
			drop(inner, keys)
		}
	}
}

func differ(at string, want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if _, ok := g[k]; !ok {
				return fmt.Sprintf("%s.%s is missing (%s)", at, k, brief(w[k]))
			}
			if d := differ(at+"."+k, w[k], g[k]); d != "" {
				return d
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, ok := w[k]; !ok {
				return fmt.Sprintf("%s.%s is too much (%s)", at, k, brief(g[k]))
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			break
		}
		for i := range min(len(w), len(g)) {
			if d := differ(at+"["+strconv.Itoa(i)+"]", w[i], g[i]); d != "" {
				return d
			}
		}
		if len(w) != len(g) {
			return fmt.Sprintf("%s has %d elements instead of %d: %s instead of %s", at, len(g), len(w), brief(got), brief(want))
		}
		return ""
	case json.Number:
		if g, ok := got.(json.Number); ok && same(w.String(), g.String()) {
			return ""
		}
	case string:
		g, ok := got.(string)
		if !ok {
			break
		}
		if at != "" && w == g || at == "" && sameText(w, g) {
			return ""
		}
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%s is %s instead of %s", at, brief(got), brief(want))
}

func brief(v any) string {
	text, _ := json.Marshal(v)
	if len(text) > 400 {
		return string(text[:400]) + "…"
	}
	return string(text)
}

// same compares numbers, with a billionth for rounding.
func same(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := number(a)
	y, errY := number(b)
	if errX != nil || errY != nil {
		return false
	}
	return x == y || math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y))
}

// number reads numbers too large for a float64 as infinite, as JSON's readers do
// with Graphite's 1e9999.
func number(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return v, err
}

// sameText compares texts number by number, and all else letter by letter.
func sameText(a, b string) bool {
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",|\r\n", r) })
	}
	x, y := split(a), split(b)
	return strings.Count(a, "\n") == strings.Count(b, "\n") && slices.EqualFunc(x, y, same)
}
