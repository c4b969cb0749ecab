package app

import (
	"context"
	"io"
	"net/http"

	"steer/base/definitions"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"

	"steer/api"
)

const definitionsName = "definitions"

// git serves the definitions repository, whose pushes are checked, and the
// repositories of services.
func (a *App) git() http.Handler {
	person := func(r *http.Request) id.Person { return api.Caller(r.Context()) }
	mux := http.NewServeMux()
	mux.Handle("/git/"+definitionsName+".git/", http.StripPrefix("/git", git.Handler(git.Options{
		Repo: func(name string, _ bool) (string, error) {
			if name != definitionsName {
				return "", fault.New(fault.NotFound, "repository %q: there is none", name)
			}
			return a.definitions.Repo().Dir(), nil
		},
		Hook: a.o.Hook, Person: person, Log: a.log,
		Pushed: func(string) { a.definitions.Notify() },
	})))
	mux.Handle("/git/", http.StripPrefix("/git", git.Handler(git.Options{
		Repo: a.deliver.sources.Repository, Pushed: a.deliver.sources.Pushed, Person: person, Log: a.log,
	})))
	return mux
}

// Hook is Git's pre-receive hook of the definitions repository.
func Hook(ctx context.Context, in io.Reader, out io.Writer) error {
	return definitions.CheckPush(ctx, in, out, CheckDefinitions)
}
