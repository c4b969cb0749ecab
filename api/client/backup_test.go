package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/api"
	"steer/api/client"
	"steer/base/access"
	"steer/base/backup"
	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

// vault is a backup that a test writes.
type vault struct {
	write  func(ctx context.Context, to io.Writer) error
	closed chan bool
}

func (v *vault) Write(ctx context.Context, to io.Writer) error { return v.write(ctx, to) }
func (v *vault) Close()                                        { close(v.closed) }

// whole writes an archive of one file.
func whole(_ context.Context, to io.Writer) error {
	w, err := backup.NewWriter(to, "", backup.Info{Steer: "v1"})
	if err != nil {
		return err
	}
	if err := w.Bytes("instance", []byte(strings.Repeat("here", 50_000))); err != nil {
		return err
	}
	_, err = w.Close()
	return err
}

// taking is a server whose backups are begun so, as an admin sees it.
func taking(t *testing.T, stopping chan struct{}, begin api.BeginBackup) *client.Client {
	t.Helper()
	db := databasetest.SQLite(t)
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	people, err := access.New(t.Context(), access.Options{DB: db, Journal: j.Append})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if _, err := people.First(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := http.NotFoundHandler()
	server := httptest.NewServer(api.New(api.Options{
		Access: people, Web: h, Graphite: h, Metrics: h, Git: h, Umpire: h, Backup: begin, Stopping: stopping, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, strings.TrimSpace(string(token)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBackupIsCheckedOnTheWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(ctx context.Context, to io.Writer) error
		kind  fault.Kind
		want  string // of the error; "": none
	}{
		{"whole", whole, 0, ""},
		{"broken off", func(ctx context.Context, to io.Writer) error {
			whole(ctx, &limit{to, 100_000})
			return errors.New("the disk is broken")
		}, fault.Unavailable, "the server broke the backup off"},
		{"broken off at the start", func(context.Context, io.Writer) error { return errors.New("the disk is broken") }, fault.Unavailable, ""},
		{"changed on the way", func(ctx context.Context, to io.Writer) error { return whole(ctx, &garble{to, 10_000}) }, fault.Invalid, "instance has another checksum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vault{c.write, make(chan bool)}
			server := taking(t, nil, func(context.Context, id.Person) (api.Backup, error) { return v, nil })
			var out strings.Builder
			sum, err := server.Backup(t.Context(), &out, nil)
			<-v.closed
			if c.kind == 0 {
				if err != nil || sum.Files != 1 || sum.Info.Steer != "v1" {
					t.Fatalf("%+v %v", sum, err)
				}
				if again, err := backup.Verify(strings.NewReader(out.String()), nil); err != nil || again.Bytes != sum.Bytes {
					t.Errorf("what was written is another: %+v %v", again, err)
				}
				return
			}
			if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v (%v), want %v %s", err, fault.Of(err), c.kind, c.want)
			}
		})
	}
}

// limit takes so many bytes and no more.
type limit struct {
	to   io.Writer
	left int
}

func (l *limit) Write(p []byte) (int, error) {
	n, _ := l.to.Write(p[:min(len(p), l.left)])
	if l.left -= n; n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// garble changes one byte.
type garble struct {
	to io.Writer
	at int
}

func (g *garble) Write(p []byte) (int, error) {
	if g.at >= 0 && g.at < len(p) {
		p = append([]byte(nil), p...)
		p[g.at] ^= 1
	}
	g.at -= len(p)
	return g.to.Write(p)
}

func TestBackupThatCannotBegin(t *testing.T) {
	c := taking(t, nil, func(context.Context, id.Person) (api.Backup, error) {
		return nil, fault.New(fault.Conflict, "take backup: one is being taken already")
	})
	if _, err := c.Backup(t.Context(), io.Discard, nil); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "one is being taken") {
		t.Errorf("%v", err)
	}
	full := errors.New("the disk here is full")
	v := &vault{whole, make(chan bool)}
	c = taking(t, nil, func(context.Context, id.Person) (api.Backup, error) { return v, nil })
	if _, err := c.Backup(t.Context(), failing{full}, nil); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	<-v.closed
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A server that stops does not wait for the end of a backup.
func TestBackupEndsWithTheServer(t *testing.T) {
	stopping := make(chan struct{})
	begun := make(chan bool)
	v := &vault{func(ctx context.Context, to io.Writer) error {
		close(begun)
		for {
			if _, err := to.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
	}, make(chan bool)}
	c := taking(t, stopping, func(context.Context, id.Person) (api.Backup, error) { return v, nil })
	ended := make(chan error, 1)
	go func() {
		_, err := c.Backup(t.Context(), io.Discard, nil)
		ended <- err
	}()
	<-begun
	close(stopping)
	<-v.closed
	if err := <-ended; err == nil {
		t.Error("it counts as whole")
	}
}
