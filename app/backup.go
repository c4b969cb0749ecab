package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"steer/api"
	"steer/base/backup"
	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
)

// leftOut are the parts of the data folder that a backup does without.
func leftOut() []backup.LeftOut {
	return []backup.LeftOut{
		{Path: "nodes", Why: "processes of this machine and their logs: a restored server starts its services anew from their artifacts"},
		{Path: "containers", Why: "what the containers of this machine are: a restored server starts its services anew from their artifacts"},
		{Path: "pods", Why: "what the pods of this server are: a restored server starts its services anew from their artifacts"},
		{Path: "kubernetes.token", Why: "what clusters pull images with: a restored server makes another"},
		{Path: "stream", Why: "a carrier: the journal has every event, and fills an empty stream again"},
		{Path: "cache", Why: "what builds keep to be faster"},
		{Path: "spool", Why: "points on their way to a metrics cluster: this server sends them"},
		{Path: "tmp", Why: "uploads and backups under way"},
		{Path: "lock", Why: "says which process uses the folder"},
		{Path: "server.url", Why: "says where that process listens"},
	}
}

// taken is the data of the events of a backup.
type taken struct {
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`
	Seconds float64  `json:"seconds"`
	Notes   []string `json:"notes,omitempty"`
}

// backing is a backup under way.
type backing struct {
	a       *App
	who     id.Person
	temp    string
	marked  []string // of the definitions
	created time.Time
	close   func()
}

// Backup begins a backup: it copies the database. Write then sends all else as
// it is by then.
//
// The order makes that whole. Rows of the database name commits, artifacts and
// logs, and those are there before the row is, and never change afterwards. So
// with the database copied first, everything that it names is in what is copied
// later. What came in between is there too, and is dealt with as after a crash:
// a commit that no row knows is seen as new, an artifact is recorded. The one
// thing that goes the other way, how far the journal knows the definitions, is
// read before the database. Points come last, so that their blocks are not held
// longer than it takes to send them.
func (a *App) Backup(ctx context.Context, who id.Person) (_ api.Backup, err error) {
	if !a.backups.TryLock() {
		return nil, fault.New(fault.Conflict, "take backup: one is being taken already (wait until it has ended)")
	}
	b := &backing{a: a, who: who, created: time.Now().UTC()}
	// What is deleted from now on is still named by the copy of the database.
	release := a.deliver.registry.Hold()
	b.close = sync.OnceFunc(func() {
		os.RemoveAll(b.temp)
		release()
		a.backups.Unlock()
	})
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if err := os.MkdirAll(a.path("tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("take backup: %w", err)
	}
	if b.temp, err = os.MkdirTemp(a.path("tmp"), "backup-"); err != nil {
		return nil, fmt.Errorf("take backup: %w", err)
	}
	if b.marked, err = a.definitions.Repo().Marks(ctx); err != nil {
		return nil, fmt.Errorf("take backup: %w", err)
	}
	if a.db.Dialect() == database.SQLite {
		if err := a.db.Copy(ctx, b.database()); err != nil {
			return nil, fmt.Errorf("take backup: %w", err)
		}
	}
	return b, nil
}

func (b *backing) database() string { return filepath.Join(b.temp, "steer.db") }

// Close removes what the backup needed and lets the next one begin.
func (b *backing) Close() { b.close() }

// Write sends the archive and tells the journal, also of one that was broken off:
// by then the key of the secrets may have left the house.
func (b *backing) Write(ctx context.Context, to io.Writer) error {
	out := bufio.NewWriterSize(to, 256<<10)
	info := backup.Info{Steer: b.a.o.Version, Created: b.created, Instance: b.a.instance, LeftOut: leftOut()}
	w, err := backup.NewWriter(out, b.temp, info)
	if err != nil {
		return err
	}
	defer w.Abandon()
	err = b.write(ctx, w)
	sum := w.Written()
	if err == nil {
		sum, err = w.Close()
	}
	if err == nil {
		err = out.Flush()
	}
	data, _ := json.Marshal(taken{sum.Files, sum.Bytes, time.Since(b.created).Seconds(), sum.Notes})
	e := event.Event{
		Source: "/steer/backup", Type: event.BackupTaken, Subject: "backup", Actor: b.who, Data: data,
		Summary: fmt.Sprintf("%s took a backup: %s, %s", b.who, count(sum.Files, "file"), size(sum.Bytes)),
	}
	if err != nil {
		e.Type, e.Reason = event.BackupFailed, err.Error()
		e.Summary = fmt.Sprintf("A backup that %s took ended early, after %s, %s", b.who, count(sum.Files, "file"), size(sum.Bytes))
	}
	if _, e := b.a.journal.Record(context.WithoutCancel(ctx), e); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

// write adds the files, in the order that Backup explains.
func (b *backing) write(ctx context.Context, w *backup.Writer) error {
	db, err := b.writeDatabase(w)
	if err != nil {
		return err
	}
	for _, dir := range []string{"git", "mirror"} {
		if err := b.writeRepositories(ctx, w, dir); err != nil {
			return err
		}
	}
	if err := b.writeRest(w, db); err != nil {
		return err
	}
	return b.writeMetrics(ctx, w)
}

// writeDatabase returns the name of the database below the data folder.
func (b *backing) writeDatabase(w *backup.Writer) (name string, err error) {
	name = "steer.db"
	if b.a.db.Dialect() != database.SQLite {
		w.Note("the database is PostgreSQL and not in here: dump it with pg_dump before each backup, and restore that dump too")
		return name, nil
	}
	if path, ok := strings.CutPrefix(b.a.o.Database, "sqlite:"); ok {
		if path, err = filepath.Abs(path); err != nil {
			return "", fmt.Errorf("take backup: %w", err)
		}
		if rel, err := filepath.Rel(b.a.o.Data, path); err == nil && filepath.IsLocal(rel) {
			name = filepath.ToSlash(rel)
		} else {
			w.Note("the database is outside of the data folder, at %s: in here it is %s; move it there before the start", path, name)
		}
	}
	if err := w.Copy(name, b.database()); err != nil {
		return "", err
	}
	return name, os.Remove(b.database()) // its space may be needed
}

func (b *backing) writeRepositories(ctx context.Context, w *backup.Writer, dir string) error {
	entries, err := os.ReadDir(b.a.path(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take backup: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // one that is being made
		}
		repo, err := git.Open(b.a.path(dir, e.Name()))
		if fault.Of(err) == fault.NotFound {
			w.Note("%s/%s is left out: it is no Git repository", dir, e.Name())
			continue
		}
		var marked []string
		if err == nil && repo.Dir() == b.a.definitions.Repo().Dir() {
			marked = b.marked
		}
		if err == nil {
			err = repo.Copy(ctx, w, dir+"/"+e.Name(), marked)
		}
		if err != nil {
			return fmt.Errorf("take backup: %w", err)
		}
	}
	return nil
}

// writeRest adds whatever else lies in the data folder: artifacts, logs of runs,
// keys, tokens, configuration, and what people put there. In each folder files
// come before folders, and so the index of the artifacts before what it lists.
func (b *backing) writeRest(w *backup.Writer, db string) error {
	skip := map[string]bool{
		"git": true, "mirror": true, "metrics": b.a.monitor.disk != nil, "metrics/LOCK": true, db: true, db + "-wal": true, db + "-shm": true, db + "-journal": true,
		"artifacts/tmp": true, "artifacts/uploads": true, "artifacts/trash": true, "lost+found": true,
	}
	for _, l := range leftOut() {
		skip[l.Path] = true
	}
	passed := func(name string) bool {
		return skip[name] || strings.HasPrefix(name, "runs/") && (strings.HasSuffix(name, ".job") || strings.Count(name, "/") == 2 && strings.HasSuffix(name, "/work"))
	}
	entries, err := os.ReadDir(b.a.o.Data)
	if err != nil {
		return fmt.Errorf("take backup: %w", err)
	}
	for _, e := range entries {
		name, path := e.Name(), b.a.path(e.Name())
		if passed(name) {
			continue
		}
		info, err := os.Stat(path) // a link here leads to another disk, or to /etc
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		switch {
		case err != nil:
		case info.IsDir():
			if err = w.Dir(name); err == nil {
				err = w.Tree(path, name, passed)
			}
		case info.Mode().IsRegular():
			err = w.Copy(name, path)
		default:
			w.Note("%q is left out: it is no file and no folder", name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take backup: %w", err)
		}
	}
	return nil
}

// writeMetrics adds the points. A damaged block is no reason to have no backup.
func (b *backing) writeMetrics(ctx context.Context, w *backup.Writer) error {
	if b.a.monitor.disk == nil {
		w.Note("the metrics are in a cluster and not in here: back that up with tools of its own")
		return nil
	}
	snap, err := b.a.monitor.disk.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("take backup: %w", err)
	}
	defer snap.Close()
	for _, f := range snap.Files {
		name := "metrics/" + f.Name
		if f.Damaged {
			w.Note("%s is damaged, here and in the data folder: what can be read of it is served", name)
		}
		if err := w.Salvage(name, f.Size, f); err != nil {
			return fmt.Errorf("take backup: %w", err)
		}
	}
	return nil
}

// size is a number of bytes in words.
func size(n int64) string {
	const units = "KMGT"
	unit := -1
	f := float64(n)
	for f >= 1000 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	if unit < 0 {
		return count(int(n), "byte")
	}
	return fmt.Sprintf("%.1f %ciB", f, units[unit])
}
