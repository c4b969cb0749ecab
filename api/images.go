package api

import (
	"context"
	"net/http"

	distribution "steer/api/registry"
	images "steer/deliver/registry"
)

// Repositories are those of the registry.
type Repositories struct {
	Repositories []images.Repository `json:"repositories"`
}

// ImageTags are the tags of a repository.
type ImageTags struct {
	Tags []images.Tag `json:"tags"`
}

func (a *API) images() {
	operation(a, http.MethodGet, "/registry/repositories", "registry-repositories", "Repositories of the registry of images (/v2/ speaks the protocol of the Open Container Initiative)", viewer,
		func(ctx context.Context, _ *none) (out Repositories, err error) {
			out.Repositories, err = a.o.Images.Repositories(ctx)
			return out, err
		})
	operation(a, http.MethodGet, "/registry/tags", "registry-tags", "Tags of a repository, newest first", viewer,
		func(ctx context.Context, in *struct {
			Repository string `query:"repository" required:"true" maxLength:"255" doc:"Its name, like base/debian."`
			Limit      int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
		}) (out ImageTags, err error) {
			out.Tags, err = a.o.Images.Detail(ctx, in.Repository, in.Limit)
			return out, err
		})
}

// distribution asks for a login and for the role: everyone known pulls, developers
// push and delete.
func (a *API) distribution() http.Handler {
	handler := distribution.Handler(distribution.Options{Registry: a.o.Images, Log: a.o.Log})
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(distribution.As(r.Context(), person(r.Context()))))
	})
	read, write := a.require(viewer, false, named), a.require(developer, false, named)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := caller(r.Context()); !ok {
			w.Header().Set("WWW-Authenticate", askPassword)
		}
		if distribution.IsWrite(r) {
			write.ServeHTTP(w, r)
		} else {
			read.ServeHTTP(w, r)
		}
	})
}
