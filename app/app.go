// Package app is the only place that knows all areas: it builds each from its
// part of the configuration and joins them. monitor.go, deliver.go and learn.go
// read in the order in which data flows.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"steer/api"
	"steer/base/access"
	"steer/base/backup"
	"steer/base/config"
	"steer/base/database"
	"steer/base/definitions"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/lifecycle"
	"steer/base/secret"
	"steer/base/stream"
	"steer/base/work"
	"steer/catalog"
	"steer/infra/agent"
	"steer/web"
)

// Options is what main hands in.
type Options struct {
	Config
	Data    string   // folder with all state
	Version string   // of the program
	Program string   // file of the program, which hosts run too; "": this one
	Hook    []string // command that Git runs before it takes a push of definitions
	WebDir  string   // folder to serve the UI from instead of the binary; empty in production
	Out     io.Writer
	Log     *slog.Logger
}

// App is one server.
type App struct {
	o     Options
	log   *slog.Logger
	group lifecycle.Group

	lock        *os.File
	instance    string
	db          *database.DB
	journal     *journal.Journal
	work        *work.Queue
	stream      *stream.Stream
	secrets     *secret.Keyring
	access      *access.Access
	definitions *definitions.Definitions
	catalog     atomic.Pointer[catalog.Catalog]

	known   []catalog.Check // the checks of the last round
	monitor monitor
	deliver deliver
	learn   learn
	agents  *agent.Registry
	keeper  *keeper

	hostCounts atomic.Pointer[map[string]float64] // see countHosts

	listener net.Listener
	server   *http.Server
	ready    atomic.Bool
	complete chan struct{} // closed when New has opened everything
	stopping chan struct{}
	backups  sync.Mutex // held by the one under way
}

// New opens everything that a server needs; after it, all addresses are known.
func New(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{o: o, log: cmp.Or(o.Log, slog.Default()), complete: make(chan struct{}), stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			a.group.Abandon()
		}
	}()
	// Each step opens what the next ones need, and adds its end to the group.
	for _, step := range []func(context.Context) error{
		a.openFolder, a.openRecords, a.openMechanisms, a.openLearn, a.openMonitor, a.openDeliver, a.openAgents, a.openFleet, a.watchState, a.openFollowups, a.openHTTP,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	close(a.complete)
	return a, nil
}

// noFolder says what to do about a data folder that cannot be used.
func (a *App) noFolder(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, "open data folder %s: %w (choose a folder of yours with --data or STEER_DATA, or run as its owner)", a.o.Data, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fault.New(fault.Invalid, "open data folder %s: %w (choose a folder with --data or STEER_DATA)", a.o.Data, err)
	}
	return fmt.Errorf("open data folder %s: %w", a.o.Data, err)
}

// openFolder takes the data folder for this process alone.
func (a *App) openFolder(context.Context) error {
	if err := os.MkdirAll(a.o.Data, 0o700); err != nil {
		return a.noFolder(err)
	}
	abs, err := filepath.Abs(a.o.Data)
	if err != nil {
		return a.noFolder(err)
	}
	a.o.Data = abs
	if err := backup.Interrupted(a.o.Data); err != nil {
		return err
	}
	path := a.path("lock")
	a.lock, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return a.noFolder(err)
	}
	if err := syscall.Flock(int(a.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		a.lock.Close()
		return fault.New(fault.Conflict, "data folder %s is in use by another steer, process %s (stop it, or choose another folder with --data)", a.o.Data, cmp.Or(strings.TrimSpace(string(holder)), "unknown"))
	}
	a.group.Close("data folder", a.lock.Close)
	a.lock.Truncate(0)
	a.lock.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)

	// Uploads and backups that a crash cut short.
	if err := os.RemoveAll(a.path("tmp")); err != nil {
		return a.noFolder(err)
	}

	// The instance names this folder where several servers share a database.
	path = a.path("instance")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = []byte(id.New() + "\n")
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return a.noFolder(err)
	}
	a.instance = strings.TrimSpace(string(b))
	return nil
}

func (a *App) path(elem ...string) string {
	return filepath.Join(append([]string{a.o.Data}, elem...)...)
}

// openRecords opens the database, and the two that every way into it needs.
func (a *App) openRecords(ctx context.Context) (err error) {
	url := a.o.Database
	if url == "" {
		url = "sqlite:" + a.path("steer.db")
	}
	if a.db, err = database.Open(ctx, url); err != nil {
		return err
	}
	a.group.Close("database", a.db.Close)
	if a.journal, err = journal.New(ctx, a.db); err != nil {
		return err
	}
	a.access, err = access.New(ctx, access.Options{DB: a.db, Journal: a.journal.Append, Idle: a.o.Access.Session.Std()})
	return err
}

// openMechanisms opens what all areas share.
func (a *App) openMechanisms(ctx context.Context) (err error) {
	if a.work, err = work.New(ctx, work.Options{DB: a.db, Instance: a.instance, Log: a.log}); err != nil {
		return err
	}
	if a.stream, err = stream.Open(ctx, stream.Options{Dir: a.path("stream"), URL: a.o.Stream.URL, Listen: a.o.Stream.Listen, Token: a.o.Stream.Token, Log: a.log}); err != nil {
		return err
	}
	a.group.Close("stream", a.stream.Close)
	relay, err := stream.NewRelay(ctx, stream.RelayOptions{Stream: a.stream, Journal: a.journal, Log: a.log})
	if err != nil {
		return err
	}
	a.group.Go("stream relay", relay.Run)
	if a.secrets, err = secret.Open(a.path("secret.key")); err != nil {
		return err
	}
	if a.definitions, err = definitions.New(ctx, definitions.Options{
		Dir: a.path("git", "definitions.git"), Check: CheckDefinitions, Template: catalog.Template(), Journal: a.journal, Log: a.log,
	}); err != nil {
		return err
	}
	if err := a.take(a.definitions.Current()); err != nil {
		return err
	}
	a.definitions.OnChange(func(sha string, files fs.FS) {
		if err := a.take(sha, files); err != nil {
			a.log.Error("definitions", "error", err)
			return
		}
		a.retain(files)
	})
	a.group.Go("definitions", a.definitions.Run)
	return nil
}

// take makes checked definitions the ones in force.
func (a *App) take(sha string, files fs.FS) error {
	c, err := loadDefinitions(files)
	if err != nil {
		return fmt.Errorf("definitions %.8s: %w", sha, err)
	}
	a.catalog.Store(c)
	return nil
}

// URL is where people reach this server.
func (a *App) URL() string {
	if a.o.URL != "" {
		return strings.TrimRight(a.o.URL, "/")
	}
	return a.local()
}

// local is the server's address for programs on this machine. With TLS it is the
// one that people use, if given: a certificate is for a name, not for 127.0.0.1.
func (a *App) local() string {
	scheme := "http"
	if a.o.TLS.Cert != "" {
		if a.o.URL != "" {
			return strings.TrimRight(a.o.URL, "/")
		}
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(a.listener.Addr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// openHTTP opens the port that everything is reached on.
func (a *App) openHTTP(context.Context) (err error) {
	if a.listener, err = net.Listen("tcp", a.o.Listen); err != nil {
		return fault.New(fault.Unavailable, "listen: %w (another program may use the port: choose one with --set listen=HOST:PORT)", err)
	}
	a.group.Close("HTTP port", func() error {
		if err := a.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	var disk api.Store
	if a.monitor.disk != nil {
		disk = a.monitor.disk
	}
	handler := api.New(api.Options{
		Version: a.o.Version, Access: a.access, Journal: a.journal, Definitions: a.definitions, Recipient: a.secrets.Recipient(), Catalog: a.catalog.Load,
		Pipelines: a.deliver.pipelines, Deploys: a.deliver.deploys, Artifacts: a.deliver.artifacts, Images: a.deliver.registry, Sources: a.deliver.sources,
		Checks: a.monitor.checks, Timeline: a.learn.timeline, Flow: a.learn.flow, Signs: a.learn.signs, Followups: a.learn.followups, Agents: a.agents, Store: disk, Fleet: lender{a.keeper.fleet, a.keeper},
		Graphite: a.monitor.graphite, Umpire: a.monitor.umpire, Git: a.git(), Packages: a.packages(), Web: web.Handler(a.o.WebDir), Metrics: http.HandlerFunc(a.metrics),
		Anonymous: a.o.Access.Anonymous, Secure: a.o.TLS.Cert != "", Temp: a.path("tmp"),
		Ready: func() error {
			if !a.ready.Load() {
				return fault.New(fault.Unavailable, "starting")
			}
			return nil
		},
		Backup: a.Backup, Stopping: a.stopping, Log: a.log,
	})
	a.server = &http.Server{
		// Streams, logs, pushes and uploads give themselves more time to write.
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.group.Go("HTTP", a.serveHTTP)
	return nil
}

func (a *App) serveHTTP(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		if a.o.TLS.Cert != "" {
			done <- a.server.ServeTLS(a.listener, a.o.TLS.Cert, a.o.TLS.Key)
		} else {
			done <- a.server.Serve(a.listener)
		}
	}()
	select {
	case err := <-done:
		return fmt.Errorf("HTTP: %w", err)
	case <-ctx.Done():
	}
	a.ready.Store(false)
	close(a.stopping) // streams end, so that Shutdown does not wait for them
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := a.server.Shutdown(drain); err != nil {
		return a.server.Close()
	}
	return nil
}

// Run serves until ctx ends.
func (a *App) Run(ctx context.Context) error {
	fresh, err := a.access.First(ctx, a.path("admin.token"))
	if err != nil {
		a.group.Abandon()
		return err
	}
	// Commands on this machine send their token to this address, so it must not
	// stay when another program may take the port.
	if err := os.WriteFile(a.path("server.url"), []byte(a.local()+"\n"), 0o644); err != nil {
		a.group.Abandon()
		return fmt.Errorf("write address: %w", err)
	}
	defer os.Remove(a.path("server.url"))
	if _, err := a.journal.Record(ctx, event.Event{Source: "/steer/server", Type: event.ServerStarted, Subject: "server", Summary: "Steer " + a.o.Version + " started"}); err != nil {
		a.group.Abandon()
		return err
	}
	a.group.Go("ready", func(ctx context.Context) error {
		a.ready.Store(true)
		a.announce(fresh)
		<-ctx.Done()
		a.ready.Store(false)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, err := a.journal.Record(last, event.Event{Source: "/steer/server", Type: event.ServerStopped, Subject: "server", Summary: "Steer stops"})
		return err
	})
	return a.group.Run(ctx)
}

// announce prints what somebody needs who just started the server.
func (a *App) announce(fresh bool) {
	out := a.o.Out
	if out == nil {
		return
	}
	fmt.Fprintf(out, "Steer %s serves at %s, data in %s\n", a.o.Version, a.URL(), a.o.Data)
	for _, l := range a.monitor.addresses() {
		fmt.Fprintf(out, "  %-15s %s\n", l[0], l[1])
	}
	if fresh {
		token, err := os.ReadFile(a.path("admin.token"))
		if err == nil {
			fmt.Fprintf(out, "First start: log in as admin with the token %s\n  (it is also in %s; shown only this once)\n", strings.TrimSpace(string(token)), a.path("admin.token"))
		}
	}
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Logger makes the logger that the configuration asks for.
func Logger(c Log, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: levels[c.Level]}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// Problem formats an error about files for people: one line per mistake.
func Problem(err error) string {
	if problems := config.Problems(err); len(problems) > 0 {
		var lines []string
		for _, p := range problems {
			lines = append(lines, p.Error())
		}
		return strings.Join(lines, "\n")
	}
	return err.Error()
}
