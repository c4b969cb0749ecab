// Package api is Steer over HTTP: /api/v1 (described by OpenAPI, one file per
// noun), and the places where the protocols of others are mounted: Graphite,
// Umpire, Git, the web UI.
package api

import (
	"bytes"
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"steer/api/graphite"
	"steer/base/access"
	"steer/base/definitions"
	"steer/base/git"
	"steer/base/journal"
	"steer/catalog"
	"steer/deliver/artifact"
	"steer/deliver/deploy"
	"steer/deliver/pipeline"
	images "steer/deliver/registry"
	"steer/deliver/source"
	"steer/improve/flow"
	"steer/improve/followup"
	"steer/improve/signs"
	"steer/infra/agent"
	"steer/listen/timeline"
	"steer/monitor/state"
)

const (
	viewer    = access.Viewer
	developer = access.Developer
	operator  = access.Operator
	admin     = access.Admin
)

// Options is everything that the API shows. Handlers of other protocols come
// ready made.
type Options struct {
	Version     string
	Access      *access.Access
	Journal     *journal.Journal
	Definitions *definitions.Definitions
	Recipient   string // public key that secrets are encrypted for
	Catalog     func() *catalog.Catalog
	Pipelines   *pipeline.Pipeline
	Deploys     *deploy.Deployer
	Artifacts   *artifact.Repository
	Images      *images.Registry
	Sources     *source.Source
	Checks      *state.Engine
	Timeline    *timeline.Timeline
	Flow        *flow.Flow
	Followups   *followup.Followups
	Signs       *signs.Measure
	Agents      *agent.Registry
	Backup      BeginBackup
	Store       Store // nil when metrics are not on disk
	Fleet       Fleet

	Graphite http.Handler // /render, /metrics/find, …
	Umpire   http.Handler // /check
	Packages http.Handler // /debian/ and /rpm/
	Git      http.Handler // /git/NAME.git/…; the caller's role is checked before
	Web      http.Handler // everything else
	Metrics  http.Handler // /metrics: Steer's own figures as text
	Temp     string       // folder for uploads under way

	Anonymous bool            // clients on this machine may read Graphite's API and packages without a token
	Secure    bool            // cookies only over TLS
	Ready     func() error    // nil once everything listens
	Stopping  <-chan struct{} // closed when the server begins to stop: streams end
	Log       *slog.Logger
}

// API is an http.Handler.
type API struct {
	o       Options
	huma    huma.API
	handler http.Handler
	mounted []string // patterns of all handlers but huma's
	streams atomic.Int64
	uploads chan struct{} // as many as may be under way
	trees   chan struct{} // of Whisper files, likewise
	fetches chan struct{} // of the program by hosts, likewise

	bodyTime, fileTime time.Duration // shorter in tests
}

// New builds the handler.
func New(o Options) *API {
	o.Log = cmp.Or(o.Log, slog.Default())
	a := &API{o: o, uploads: make(chan struct{}, mostUploads), trees: make(chan struct{}, mostTrees), fetches: make(chan struct{}, mostFetches), bodyTime: bodyTime, fileTime: fileTime}

	// All of /api/v1 needs a login, but for logging in.
	v1 := http.NewServeMux()
	a.describe(v1)
	a.handle(v1, "GET /api/v1/events/stream", a.require(viewer, false, http.HandlerFunc(a.stream)))
	a.handle(v1, "GET /api/v1/runs/{id}/stages/{stage}/log", a.require(viewer, false, http.HandlerFunc(a.stageLog)))
	a.handle(v1, "POST /api/v1/services/{service}/local", a.somewhere(developer, http.HandlerFunc(a.upload)))
	a.handle(v1, "POST /api/v1/store/whisper", a.require(operator, false, http.HandlerFunc(a.importWhisper)))
	a.handle(v1, "GET /api/v1/store/whisper", a.require(viewer, false, http.HandlerFunc(a.exportWhisper)))
	a.handle(v1, "GET /api/v1/nodes/{id}/log", a.require(viewer, false, http.HandlerFunc(a.nodeLog)))
	a.handle(v1, "GET /api/v1/artifacts/{service}/{version}/{file}", a.require(viewer, false, http.HandlerFunc(a.artifactFile)))
	a.handle(v1, "GET /api/v1/backup", a.require(admin, false, http.HandlerFunc(a.backup)))

	mux := http.NewServeMux()
	a.session(mux)
	a.handle(mux, "/api/", a.require(viewer, false, a.known(v1)))
	for _, path := range graphite.Paths() {
		a.handle(mux, path, a.graphite())
	}
	a.handle(mux, "GET /check", a.umpire())
	a.handle(mux, "/git/", a.git())
	a.handle(mux, "/v2/", a.distribution())
	a.handle(mux, "/debian/", a.packages())
	a.handle(mux, "/rpm/", a.packages())
	a.handle(mux, "GET /metrics", a.require(viewer, true, o.Metrics))
	a.handle(mux, "GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) }))
	a.handle(mux, "GET /readyz", http.HandlerFunc(a.readyz))
	a.handle(mux, "/", o.Web)

	// Cookies are sent by browsers on their own, so requests from other sites are
	// refused; Git and API clients send no Origin.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, crossOrigin(r))
	}))
	a.handler = guard.Handler(a.forAgents(a.authenticate(mux)))
	return a
}

// handle mounts a handler, and notes where.
func (a *API) handle(mux *http.ServeMux, pattern string, h http.Handler) {
	a.mounted = append(a.mounted, pattern)
	mux.Handle(pattern, h)
}

// describe registers the operations of /api/v1 with their description.
func (a *API) describe(mux *http.ServeMux) {
	config := huma.DefaultConfig("Steer", a.o.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/api/v1/openapi", "", "/api/v1/schemas"
	config.CreateHooks = nil // no $schema links inside of answers
	config.Components.Schemas = registry()
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token made with 'steer token create', or the first one in DATA/admin.token."},
	}
	a.huma = humago.New(mux, config)
	a.now()
	a.services()
	a.runs()
	a.deploys()
	a.artifacts()
	a.incidents()
	a.followups()
	a.events()
	a.definitions()
	a.dashboards()
	a.secrets()
	a.tokens()
	a.store()
	a.agents()
	a.fleet()
	a.images()
}

func (a *API) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := a.o.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ready\n"))
}

// umpire lets programs on this machine pass, and answers others without a token
// in Umpire's own words.
func (a *API) umpire() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := caller(r.Context()); !ok && !(a.o.Anonymous && local(r)) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("WWW-Authenticate", askPassword)
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte("{\"error\":\"not authorized\"}\n"))
			return
		}
		a.o.Umpire.ServeHTTP(w, r)
	})
}

// graphite lets programs on this machine read without a login. Developers may add
// events, which belong to no environment; the list of series is an operator's.
func (a *API) graphite() http.Handler {
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := caller(r.Context())
		a.o.Graphite.ServeHTTP(w, r.WithContext(graphite.As(r.Context(), who.Name)))
	})
	read := a.require(viewer, true, a.o.Graphite)
	note, register := a.somewhere(developer, named), a.require(operator, false, named)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch events, tags := graphite.IsWrite(r); {
		case events:
			note.ServeHTTP(w, r)
		case tags:
			register.ServeHTTP(w, r)
		default:
			read.ServeHTTP(w, r)
		}
	})
}

// git asks for a login and for the role that the repository needs: developers
// push services, operators push definitions, everyone known reads.
func (a *API) git() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role := viewer
		if git.IsPush(r) {
			role = developer
			if strings.HasPrefix(r.URL.Path, "/git/definitions.git/") {
				role = operator
			}
		}
		if _, ok := caller(r.Context()); !ok {
			w.Header().Set("WWW-Authenticate", askPassword)
		}
		a.require(role, false, a.o.Git).ServeHTTP(w, r)
	})
}

// OpenAPIYAML is the description of /api/v1, without a server.
func OpenAPIYAML(version string) ([]byte, error) {
	a := &API{o: Options{Version: version}}
	a.describe(http.NewServeMux())
	b, err := a.huma.OpenAPI().YAML()
	return bytes.TrimSpace(b), err
}
