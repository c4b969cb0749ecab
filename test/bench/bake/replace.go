package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
	"steer/catalog"
	"steer/deliver/artifact"
	"steer/deliver/deploy"
	"steer/deliver/deploy/docker"
)

// replacer runs a container of the newest image the way that a deploy does.
type replacer struct {
	dir       string
	db        *database.DB
	artifacts *artifact.Repository
	driver    *docker.Driver
	stop      func() // ends Run of the driver
	version   int64
	node      string // that runs
}

func (b *bench) openReplacer(ctx context.Context) (_ *replacer, err error) {
	r := &replacer{dir: b.dir}
	if r.db, err = database.Open(ctx, "sqlite:"+filepath.Join(b.dir, "steer.db")); err != nil {
		return nil, err
	}
	if r.artifacts, err = artifact.New(ctx, artifact.Options{
		Dir: filepath.Join(b.dir, "artifacts"), Key: filepath.Join(b.dir, "key"), DB: r.db, Log: slog.New(slog.DiscardHandler),
		Journal:  func(context.Context, *sql.Tx, *event.Event) error { return nil },
		Manifest: func(string, []byte) (catalog.Manifest, error) { return catalog.Manifest{}, errors.New("there is none") },
	}); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	if r.driver, err = docker.New(docker.Options{
		Dir: filepath.Join(b.dir, "containers"), Instance: id.New(), Log: slog.New(slog.DiscardHandler),
		Archive: r.artifacts.Archive, Image: r.artifacts.Image,
	}); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.driver.Run(ctx) //nolint:errcheck // it returns none
	}()
	r.stop = func() { cancel(); <-done }
	return r, nil
}

// replace stores the image in the folder layout, as a build does, and runs it instead of
// the one before, as a deploy does.
func (r *replacer) replace(ctx context.Context) error {
	r.version++
	v := id.Build(r.version)
	m := catalog.Manifest{Service: "bench", Artifact: catalog.Artifact{Kind: catalog.KindImage}}
	a, err := r.artifacts.Put(ctx, artifact.Meta{Service: "bench", Version: v, Manifest: &m, Created: time.Now()}, r.dir, []string{"layout"})
	if err != nil {
		return err
	}
	node := fmt.Sprint("bench-", r.version)
	if _, err := r.driver.Start(ctx, deploy.Spec{
		ID: node, Environment: "bench", Service: "bench", Version: v, Digest: a.Digest, Index: 1, Kind: catalog.KindImage, Driver: deploy.DriverDocker,
		Command: "trap exit TERM; sleep 1000 & wait", Grace: time.Second, Created: time.Now(),
	}); err != nil {
		return err
	}
	for running := false; !running; time.Sleep(2 * time.Millisecond) {
		all, err := r.driver.List(ctx)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		for _, i := range all {
			running = running || i.ID == node && i.Running
		}
	}
	old := r.node
	if r.node = node; old == "" {
		return nil
	}
	return r.driver.Stop(ctx, old)
}

// close ends the container; its image goes with all others.
func (r *replacer) close() error {
	err := r.driver.Stop(context.Background(), r.node)
	r.stop()
	return errors.Join(err, r.db.Close())
}
