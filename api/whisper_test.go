package api

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/whisper"
)

// shelf is a store of one archive that breaks at a series.
type shelf struct {
	names  []string
	broken atomic.Value // of a string
	wrote  chan string
}

func (*shelf) Retention(string) store.Retention {
	return store.Retention{Archives: []store.Archive{{Step: 60, Keep: 600}}}
}

func (s *shelf) WriteArchive(_ context.Context, _ int64, points []metric.Point) (int, error) {
	s.wrote <- string(points[0].Name)
	return len(points), nil
}

func (*shelf) Sync(context.Context) error { return nil }

func (*shelf) Usage(context.Context, string) (store.Usage, error) { return store.Usage{}, nil }

func (s *shelf) Find(context.Context, string, int) (all []metric.Match, _ error) {
	for _, n := range s.names {
		all = append(all, metric.Match{Path: n, Leaf: true})
	}
	return all, nil
}

func (s *shelf) Fetch(_ context.Context, r store.Request) ([]metric.Series, error) {
	if s.broken.Load() == r.Names[0] {
		return nil, fault.New(fault.Internal, "the disk is broken")
	}
	return []metric.Series{{Name: r.Names[0], Start: r.Until / 60 * 60, Step: 60, Values: []float64{1}}}, nil
}

// trees is a server that moves Whisper files for everybody.
func trees(t *testing.T, s *shelf) (*API, *httptest.Server) {
	t.Helper()
	j, err := journal.New(t.Context(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(reached)
	a := New(Options{Web: h, Graphite: h, Metrics: h, Git: h, Umpire: h, Store: s, Journal: j, Log: slog.New(slog.DiscardHandler)})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", a.importWhisper)
	mux.HandleFunc("GET /", a.exportWhisper)
	server := httptest.NewServer(mux)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(server.Close)
	return a, server
}

// file is the entry of a Whisper file with one value in a tar stream.
func file(t *testing.T, name string) []byte {
	t.Helper()
	var b, data bytes.Buffer
	now := metric.Series{Step: 60, Start: time.Now().Unix() / 60 * 60, Values: []float64{1}}
	if err := whisper.Encode(&data, (*shelf)(nil).Retention(""), []metric.Series{now}); err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(data.Len())}); err != nil {
		t.Fatal(err)
	}
	w.Write(data.Bytes())
	w.Flush()
	return b.Bytes()
}

// A tree may take as long as it likes, but each file has to come in time.
func TestEachFileOfATreeMustCome(t *testing.T) {
	s := &shelf{wrote: make(chan string, 1)}
	a, server := trees(t, s)
	a.fileTime = 500 * time.Millisecond
	in, out := io.Pipe()
	defer out.Close()
	answer := make(chan string, 1)
	go func() {
		res, err := server.Client().Post(server.URL, "application/x-tar", in)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- fmt.Sprint(res.StatusCode, string(b))
	}()
	files := 0
	for start := time.Now(); time.Since(start) < 3*a.fileTime; files++ {
		if _, err := out.Write(file(t, "a.wsp")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.wrote:
		case got := <-answer:
			t.Fatalf("after %d files: %s", files, got)
		}
	}
	select {
	case got := <-answer:
		if !strings.HasPrefix(got, "400") || !strings.Contains(got, fmt.Sprintf("after %d files", files)) || !strings.Contains(got, "timeout") {
			t.Error(got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server still waits for a file")
	}
	events, err := a.o.Journal.Read(t.Context(), journal.Query{})
	if err != nil || len(events) != 2 || events[0].Type != event.ImportStarted || events[1].Type != event.ImportFinished || events[0].Chain != events[1].Chain {
		t.Fatal(events, err)
	}
	var data imported
	if err := json.Unmarshal(events[1].Data, &data); err != nil || data.Counts.Files != files || !strings.Contains(data.Error, "timeout") || !strings.Contains(events[1].Summary, "ended early") {
		t.Errorf("%v %+v", err, events[1])
	}
	if len(a.trees) > 0 {
		t.Error("the import still holds its place")
	}
}

// Half a tree is no answer.
func TestAnExportThatBreaksIsNoAnswer(t *testing.T) {
	s := &shelf{names: []string{"a", "b", "c"}}
	a, server := trees(t, s)
	get := func() (*http.Response, []byte, error) {
		res, err := server.Client().Get(server.URL + "?query=*")
		if err != nil {
			return nil, nil, err // it broke before anything was sent
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res, b, err
	}
	res, b, err := get()
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-tar" {
		t.Fatal(res, err)
	}
	in := tar.NewReader(bytes.NewReader(b))
	for _, name := range s.names {
		if h, err := in.Next(); err != nil || h.Name != name+".wsp" {
			t.Fatal(h, err)
		}
	}
	s.broken.Store("c")
	if _, b, err := get(); err == nil {
		t.Errorf("%d bytes without an error", len(b))
	}
	s.broken.Store("a")
	if res, b, err := get(); err != nil || res.StatusCode != 500 || !strings.Contains(string(b), "export a: ") && !strings.Contains(string(b), "log says why") {
		t.Errorf("%v %s", err, b)
	}
	if len(a.trees) > 0 {
		t.Error("the export still holds its place")
	}
	for range mostTrees {
		a.trees <- struct{}{}
	}
	if res, b, err := get(); err != nil || res.StatusCode != http.StatusTooManyRequests || !strings.Contains(string(b), "try again later") {
		t.Errorf("%v %s", err, b)
	}
}
