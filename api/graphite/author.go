package graphite

import (
	"context"
	"net/http"
	"strings"

	"steer/base/fault"
	"steer/base/id"
)

// IsWrite tells whether a request changes something, or would in Graphite: it adds
// an event, or it is about which series are known.
func IsWrite(r *http.Request) (events, tags bool) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return false, false
	}
	switch strings.TrimSuffix(r.URL.Path, "/") {
	case "/events":
		return true, false
	case "/tags/tagSeries", "/tags/tagMultiSeries", "/tags/delSeries":
		return false, true
	}
	return false, false
}

type authorKey struct{}

// As is a context for requests that somebody may make who is known.
func As(ctx context.Context, author id.Person) context.Context {
	return context.WithValue(ctx, authorKey{}, author)
}

// author is who makes a change.
func author(r *http.Request) (id.Person, error) {
	if who, ok := r.Context().Value(authorKey{}).(id.Person); ok && who != "" {
		return who, nil
	}
	return "", fault.New(fault.Anonymous, "%s %s: this is a change, and nobody is named as its author", r.Method, r.URL.Path)
}
