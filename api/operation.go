package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"steer/base/access"
	"steer/base/fault"
	"steer/base/id"
)

// Output wraps a body as huma wants it.
type output[T any] struct{ Body T }

// none is the input of an operation without parameters.
type none struct{}

// operation registers one endpoint of /api/v1 that needs a role everywhere.
func operation[I, O any](a *API, method, path, name, summary string, role access.Role, f func(context.Context, *I) (O, error)) {
	register(a, method, path, name, summary, func(who access.Identity) error { return who.May(role, "") }, f)
}

// placed registers an endpoint that acts on one environment. It lets pass who has
// the role in any; f must ask may for the one in question.
func placed[I, O any](a *API, method, path, name, summary string, role access.Role, f func(context.Context, *I) (O, error)) {
	register(a, method, path, name, summary, func(who access.Identity) error { return who.MaySomewhere(role) }, f)
}

func register[I, O any](a *API, method, path, name, summary string, pass func(access.Identity) error, f func(context.Context, *I) (O, error)) {
	huma.Register(a.huma, huma.Operation{
		OperationID: name, Method: method, Path: "/api/v1" + path, Summary: summary,
		DefaultStatus: http.StatusOK, MaxBodyBytes: 1 << 20, BodyReadTimeout: bodyTime,
		Security: []map[string][]string{{"token": {}}},
		Tags:     []string{tag(path)},
	}, func(ctx context.Context, in *I) (*output[O], error) {
		who, ok := caller(ctx)
		if !ok {
			return nil, a.failure(ctx, name, fault.New(fault.Anonymous, "%s: log in, or send a token as \"Authorization: Bearer …\"", name))
		}
		if err := pass(who); err != nil {
			return nil, a.failure(ctx, name, denied(name, err))
		}
		body, err := f(ctx, in)
		if err != nil {
			return nil, a.failure(ctx, name, denied(name, err))
		}
		return &output[O]{body}, nil
	})
}

// denied puts the action before what access says about roles, which does not know
// what it is asked for.
func denied(name string, err error) error {
	if fault.Of(err) != fault.Denied || !strings.HasPrefix(err.Error(), "this needs ") {
		return err
	}
	return fault.New(fault.Denied, "%s: %w", strings.ReplaceAll(name, "-", " "), err)
}

// tag groups the endpoints of the reference by their first path element.
func tag(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			return path[1:i]
		}
	}
	return path[1:]
}

// failure maps an error to its HTTP status, once for all operations. Internal
// errors keep their text: whoever operates Steer needs it, and callers are
// logged in. They are logged too, since the caller may be a program.
func (a *API) failure(ctx context.Context, name string, err error) error {
	if fault.Of(err) == fault.Internal && ctx.Err() == nil {
		a.o.Log.Error("request", "operation", name, "person", person(ctx), "error", err)
	}
	return huma.NewError(fault.Of(err).Status(), err.Error())
}

// callerKey finds the caller's identity in a request's context.
type callerKey struct{}

// caller is who sent the request.
func caller(ctx context.Context) (access.Identity, bool) {
	who, ok := ctx.Value(callerKey{}).(access.Identity)
	return who, ok
}

// Caller is the name of who sent a request that this package lets through.
func Caller(ctx context.Context) id.Person { return person(ctx) }

// person is the caller's name for the journal.
func person(ctx context.Context) id.Person {
	who, _ := caller(ctx)
	return who.Name
}

// may asks whether the caller has a role in an environment.
func may(ctx context.Context, role access.Role, env id.Environment) error {
	who, ok := caller(ctx)
	if !ok {
		return fault.New(fault.Anonymous, "log in first")
	}
	return who.May(role, env)
}
