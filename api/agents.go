package api

import (
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra/agent"
)

// InviteRequest names a host that may join.
type InviteRequest struct {
	Host string `json:"host" minLength:"1" doc:"Name that it gets."`
	For  string `json:"for,omitempty" doc:"How long the invitation is good, like 24h; empty: 1h."`
}

func (a *API) agents() {
	operation(a, http.MethodGet, "/hosts/agents", "list-agents", "Hosts that come by themselves", viewer,
		func(ctx context.Context, _ *none) ([]agent.Info, error) {
			all, err := a.o.Agents.List(ctx)
			return list(all), err
		})
	operation(a, http.MethodPost, "/hosts/invitations", "invite-host", "Let a host join, once", operator,
		func(ctx context.Context, in *struct{ Body InviteRequest }) (agent.Invitation, error) {
			var lasts time.Duration
			if in.Body.For != "" {
				var err error
				if lasts, err = time.ParseDuration(in.Body.For); err != nil || lasts <= 0 {
					return agent.Invitation{}, fault.New(fault.Invalid, "for: %q is no time (write it like 24h)", in.Body.For)
				}
			}
			return a.o.Agents.Invite(ctx, person(ctx), id.Host(in.Body.Host), lasts)
		})
	operation(a, http.MethodDelete, "/hosts/agents/{name}", "revoke-host", "End the identity of a host that joined", operator,
		func(ctx context.Context, in *struct {
			Name string `path:"name" doc:"Name of the host."`
		}) (Done, error) {
			return Done{true}, a.o.Agents.Revoke(ctx, person(ctx), id.Host(in.Name), "")
		})
}

// forAgents answers hosts, who are no persons and may do nothing else, at addresses
// of their own.
func (a *API) forAgents(people http.Handler) http.Handler {
	mux := http.NewServeMux()
	a.handle(mux, "POST /api/v1/hosts/join", http.HandlerFunc(a.join))
	a.handle(mux, "GET /api/v1/hosts/agent", a.asHost(a.attach))
	a.handle(mux, "DELETE /api/v1/hosts/agent", a.asHost(a.leave))
	a.handle(mux, "GET /api/v1/hosts/program", a.asHost(a.program))
	a.handle(mux, "POST /api/v1/hosts/drift", a.asHost(a.drift))
	a.handle(mux, "POST /api/v1/hosts/metrics", a.asHost(a.figures))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, pattern := mux.Handler(r); pattern != "" {
			h.ServeHTTP(w, r)
			return
		}
		people.ServeHTTP(w, r)
	})
}

func bearer(r *http.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", fault.New(fault.Anonymous, "%s %s: this is for hosts (steer agent join)", r.Method, r.URL.Path)
	}
	return strings.TrimSpace(token), nil
}

func (a *API) asHost(f func(http.ResponseWriter, *http.Request, id.Host)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credential, err := bearer(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		host, err := a.o.Agents.Verify(r.Context(), credential)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		f(w, r, host)
	})
}

// answer writes JSON outside of huma.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client went
}

func (a *API) join(w http.ResponseWriter, r *http.Request) {
	token, err := bearer(r)
	var in struct{ Machine string }
	if err == nil {
		if err = json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			err = fault.New(fault.Invalid, "join: read the request: %w", err)
		}
	}
	var j agent.Joined
	if err == nil {
		j, err = a.o.Agents.Join(r.Context(), token, in.Machine)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	answer(w, j)
}

func (a *API) leave(w http.ResponseWriter, r *http.Request, host id.Host) {
	if err := a.o.Agents.Revoke(r.Context(), "", host, "it left by itself"); err != nil {
		a.refuse(w, r, err)
		return
	}
	answer(w, Done{true})
}

// attach upgrades the connection of a host, and leaves it to the registry.
func (a *API) attach(w http.ResponseWriter, r *http.Request, host id.Host) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), agent.Protocol) {
		w.Header().Set("Upgrade", agent.Protocol)
		a.refuse(w, r, fault.New(fault.Invalid, "connect %s: ask for an upgrade to %s", host, agent.Protocol))
		return
	}
	credential, _ := bearer(r)
	hello := agent.Hello{Credential: credential, Machine: r.Header.Get("Steer-Machine"), Version: r.Header.Get("Steer-Version")}
	hello.Version = hello.Version[:min(len(hello.Version), 64)]
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.refuse(w, r, fault.New(fault.Invalid, "connect %s: this connection cannot be upgraded: %w (use HTTP/1.1)", host, err))
		return
	}
	conn.SetDeadline(time.Now().Add(stalled))
	if _, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+agent.Protocol+"\r\n\r\n"); err == nil {
		err = conn.SetDeadline(time.Time{}) // pulses say from now on whether the host is there
	}
	if err != nil {
		conn.Close()
		return
	}
	a.o.Agents.Attach(context.WithoutCancel(r.Context()), host, hello, conn, in.Reader)
}

// mostFetches bounds how many hosts get the program at a time; others come again.
const mostFetches = 8

func (a *API) program(w http.ResponseWriter, r *http.Request, host id.Host) {
	select {
	case a.fetches <- struct{}{}:
		defer func() { <-a.fetches }()
	default:
		a.refuse(w, r, fault.New(fault.TooMuch, "get the program for %s: %d other hosts do that now", host, mostFetches))
		return
	}
	f, err := a.o.Agents.Program(r.URL.Query().Get("digest"))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	out := io.Writer(&steady{r.Context(), w, http.NewResponseController(w)})
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(out, gzip.BestSpeed)
		_, err = io.Copy(z, f)
		err = cmp.Or(err, z.Close())
	} else {
		_, err = io.Copy(out, f)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // half a program must not look like a whole one
	}
}

// told reads what a host tells, and answers.
func told[T any](a *API, w http.ResponseWriter, r *http.Request, take func(T) error) {
	var in T
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in)
	if err != nil {
		err = fault.New(fault.Invalid, "%s %s: read the request: %w", r.Method, r.URL.Path, err)
	} else {
		err = take(in)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	answer(w, Done{true})
}

func (a *API) drift(w http.ResponseWriter, r *http.Request, host id.Host) {
	told(a, w, r, func(in struct{ Reports []agent.Report }) error {
		return a.o.Agents.Report(r.Context(), host, in.Reports)
	})
}

func (a *API) figures(w http.ResponseWriter, r *http.Request, host id.Host) {
	told(a, w, r, func(in struct{ Figures []agent.Figure }) error { return a.o.Agents.Figures(host, in.Figures) })
}
