package api

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"

	distribution "steer/api/registry"
	"steer/base/access"
	"steer/base/fault"
)

const cookieName = "steer_session"

// askPassword tells programs like Git and Docker how to log in.
const askPassword = `Basic realm="Steer: any name, a token as password"`

// authenticate finds out who sent the request: a bearer token, the password of
// basic authentication (Git, Umpire clients) or the session cookie of a browser.
// A wrong one is refused at once; none at all is left to the handlers.
func (a *API) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known, err := a.identify(r)
		if err != nil {
			if fault.Of(err) == fault.Anonymous && asksForPassword(r.URL.Path) {
				w.Header().Set("WWW-Authenticate", askPassword)
			}
			a.refuse(w, r, err)
			return
		}
		if known {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
		}
		next.ServeHTTP(w, r)
	})
}

// asksForPassword tells whether programs ask that know basic authentication only.
func asksForPassword(path string) bool {
	return strings.HasPrefix(path, "/git/") || strings.HasPrefix(path, "/v2/") ||
		strings.HasPrefix(path, "/debian/") || strings.HasPrefix(path, "/rpm/")
}

func (a *API) identify(r *http.Request) (access.Identity, bool, error) {
	ctx := r.Context()
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, ok := strings.Cut(header, " ")
		if ok = ok && strings.EqualFold(scheme, "Bearer"); !ok {
			_, token, ok = r.BasicAuth()
		}
		if !ok {
			return access.Identity{}, false, fault.New(fault.Anonymous, "the Authorization header is neither \"Bearer TOKEN\" nor basic authentication with the token as password")
		}
		who, err := a.verify(r, strings.TrimSpace(token))
		return who, err == nil, err
	}
	if c, err := r.Cookie(cookieName); err == nil {
		who, err := a.o.Access.Session(ctx, c.Value)
		if err != nil && fault.Of(err) == fault.Anonymous {
			return access.Identity{}, false, nil // an old cookie is the same as none
		}
		return who, err == nil, err
	}
	return access.Identity{}, false, nil
}

// verify checks a token, and slows down a client that guesses.
func (a *API) verify(r *http.Request, token string) (access.Identity, error) {
	return a.o.Access.VerifyFrom(r.Context(), clientHost(r), token)
}

func clientHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// proxied are the headers by which proxies tell that they are one.
var proxied = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// local tells whether the request certainly comes from a program on this machine
// that addressed it as such: not through a proxy, not from a web page of another
// site in a browser here (a script's address needs no permission, and JSONP is
// one), and not from one whose host name was pointed here (DNS rebinding).
func local(r *http.Request) bool {
	ip, err := netip.ParseAddr(clientHost(r))
	if err != nil || !ip.Unmap().IsLoopback() {
		return false
	}
	for _, h := range proxied {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// somewhere lets a request pass when its sender has the role in some environment.
func (a *API) somewhere(role access.Role, next http.Handler) http.Handler {
	return a.require(viewer, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, _ := caller(r.Context()); who.MaySomewhere(role) != nil {
			a.refuse(w, r, who.MaySomewhere(role))
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// require lets a request pass when its sender has the role; readers on this
// machine pass without logging in where anonymous is set.
func (a *API) require(role access.Role, anonymous bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := caller(r.Context())
		switch {
		case !ok && anonymous && a.o.Anonymous && local(r):
		case !ok:
			a.refuse(w, r, fault.New(fault.Anonymous, "%s %s: log in, or send a token as \"Authorization: Bearer …\"", r.Method, r.URL.Path))
			return
		default:
			if err := who.May(role, ""); err != nil {
				a.refuse(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers with an error outside of huma, in the same form (RFC 9457).
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	kind := fault.Of(err)
	text := err.Error()
	if kind == fault.Internal && r.Context().Err() == nil {
		a.o.Log.Error("request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if _, known := caller(r.Context()); kind == fault.Internal && !known {
		text = "Steer cannot answer now: its log says why" // which may be nothing for strangers
	}
	if strings.HasPrefix(r.URL.Path, "/v2/") { // clients of registries know another form
		distribution.WriteError(w, err, text)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(kind.Status())
	json.NewEncoder(w).Encode(map[string]any{"status": kind.Status(), "title": http.StatusText(kind.Status()), "detail": text})
}
