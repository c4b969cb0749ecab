package api

import (
	"encoding/json"
	"net/http"
	"time"

	"steer/base/access"
	"steer/base/fault"
	"steer/base/id"
)

func crossOrigin(r *http.Request) error {
	return fault.New(fault.Denied, "%s %s: the request comes from another site (%s)", r.Method, r.URL.Path, r.Header.Get("Origin"))
}

// Session is what a browser knows of its login.
type Session struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`    // everywhere
	Version string    `json:"version"` // of the server, to notice an upgrade
	Until   time.Time `json:"until,omitzero"`

	Environments map[id.Environment]access.Role `json:"environments,omitempty"` // more than Role, there
}

// session mounts log in, log out and who am I.
func (a *API) session(mux *http.ServeMux) {
	answer := func(w http.ResponseWriter, who access.Identity, until time.Time) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(Session{Name: string(who.Name), Role: who.Role.String(), Version: a.o.Version, Until: until, Environments: who.Environments})
	}
	a.handle(mux, "GET /api/v1/session", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := caller(r.Context())
		if !ok {
			a.refuse(w, r, fault.New(fault.Anonymous, "not logged in"))
			return
		}
		answer(w, who, time.Time{})
	}))
	a.handle(mux, "POST /api/v1/session", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Token string `json:"token"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&in); err != nil {
			a.refuse(w, r, fault.New(fault.Invalid, "log in: the body is not {\"token\": \"…\"}: %w", err))
			return
		}
		who, err := a.verify(r, in.Token)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		value, until, err := a.o.Access.NewSession(r.Context(), who)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: value, Path: "/", Expires: until,
			HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: a.o.Secure})
		answer(w, who, until)
	}))
	a.handle(mux, "DELETE /api/v1/session", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(cookieName); err == nil {
			if err := a.o.Access.EndSession(r.Context(), c.Value); err != nil {
				a.refuse(w, r, err)
				return
			}
		}
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: a.o.Secure})
		w.WriteHeader(http.StatusNoContent)
	}))
}
