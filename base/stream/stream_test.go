package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
	"steer/base/stream"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t *testing.T, o stream.Options) *stream.Stream {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet
	}
	s, err := stream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newJournal(t *testing.T) *journal.Journal {
	t.Helper()
	j, err := journal.New(t.Context(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func record(t *testing.T, j *journal.Journal, n int) {
	t.Helper()
	for range n {
		if _, err := j.Record(context.Background(), event.Event{Type: event.Deployed, Subject: "deploy/1", Summary: "x <y>"}); err != nil {
			t.Error(err)
		}
	}
}

// relay runs a relay until stop is called.
func relay(t *testing.T, s *stream.Stream, j stream.Journal) (stop func()) {
	t.Helper()
	r, err := stream.NewRelay(t.Context(), stream.RelayOptions{Stream: s, Journal: j, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// await waits until the stream holds n messages.
func await(t *testing.T, s *stream.Stream, n uint64) {
	t.Helper()
	events, err := s.JetStream().Stream(t.Context(), stream.EventsName)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		info, err := events.Info(t.Context())
		if err == nil && info.State.Msgs >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stream has not reached %d messages: %+v, %v", n, info, err)
		}
	}
}

// seqs reads the place in the journal of each message in the stream.
func seqs(t *testing.T, s *stream.Stream) (got []string) {
	t.Helper()
	events, err := s.JetStream().Stream(t.Context(), stream.EventsName)
	if err != nil {
		t.Fatal(err)
	}
	info, err := events.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := info.State.FirstSeq; n <= info.State.LastSeq && n > 0; n++ {
		m, err := events.GetMsg(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Header.Get(stream.SeqHeader))
	}
	return got
}

func oneTo(n int) (want []string) {
	for i := range n {
		want = append(want, fmt.Sprint(i+1))
	}
	return want
}

func TestRelayedEventIsACloudEvent(t *testing.T) {
	s, j := open(t, stream.Options{Dir: t.TempDir()}), newJournal(t)
	relay(t, s, j)
	e, err := j.Record(t.Context(), event.Event{
		Type: event.Deployed, Subject: "deploy/1", Summary: "catalog <b1> serves", Service: "catalog", Data: json.RawMessage(`{"nodes":2}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, 1)
	events, err := s.JetStream().Stream(t.Context(), stream.EventsName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := events.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "steer.events."+event.Deployed || m.Header.Get(nats.MsgIdHdr) != e.ID || m.Header.Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("subject %s, header %v", m.Subject, m.Header)
	}
	var got map[string]any
	if err := json.Unmarshal(m.Data, &got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"specversion": "1.0", "id": e.ID, "type": event.Deployed, "source": "/steer", "subject": "deploy/1", "service": "catalog",
		"summary": "catalog <b1> serves", "actor": "steer", "data": "map[nodes:2]", "seq": "1",
	} {
		if fmt.Sprint(got[k]) != want {
			t.Errorf("%s is %v, want %s", k, got[k], want)
		}
	}
}

func TestRelayGoesOnAfterRestartEachEventOnceInOrder(t *testing.T) {
	dir, j := t.TempDir(), newJournal(t)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			record(t, j, 5)
		}
	})
	for round := range uint64(4) {
		s := open(t, stream.Options{Dir: dir})
		stop := relay(t, s, j)
		await(t, s, 40*(round+1))
		if round%2 == 0 {
			stop()
			s.Close()
		} else { // the stream goes away under the relay
			s.Close()
			stop()
		}
	}
	cancel()
	writer.Wait()
	total, err := j.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, stream.Options{Dir: dir})
	relay(t, s, j)
	await(t, s, uint64(total))
	if got, want := fmt.Sprint(seqs(t, s)), fmt.Sprint(oneTo(int(total))); got != want {
		t.Errorf("relayed %s, want %s", got, want)
	}
}

func TestTwoRelaysRelayEachEventOnce(t *testing.T) {
	s, j := open(t, stream.Options{Dir: t.TempDir()}), newJournal(t)
	relay(t, s, j)
	relay(t, s, j)
	record(t, j, 50)
	await(t, s, 50)
	if got, want := fmt.Sprint(seqs(t, s)), fmt.Sprint(oneTo(50)); got != want {
		t.Errorf("relayed %s, want %s", got, want)
	}
}

func TestRelayAfterJournalWasRestored(t *testing.T) {
	s, lost := open(t, stream.Options{Dir: t.TempDir()}), newJournal(t)
	stop := relay(t, s, lost)
	record(t, lost, 5)
	await(t, s, 5)
	stop()
	// As if from a backup that had the first three events, with one more since.
	restored := newJournal(t)
	events, err := lost.Read(t.Context(), journal.Query{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if _, err := restored.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	record(t, restored, 1)
	relay(t, s, restored)
	await(t, s, 6)
	if got := fmt.Sprint(seqs(t, s)); got != "[1 2 3 4 5 4]" {
		t.Errorf("relayed %s", got)
	}
}

func TestOddTypeDoesNotStopTheRelay(t *testing.T) {
	s, j := open(t, stream.Options{Dir: t.TempDir()}), newJournal(t)
	relay(t, s, j)
	for _, typ := range []string{"a b", ".", "*.>", strings.Repeat("x.", 40)} {
		if _, err := j.Record(t.Context(), event.Event{Type: typ, Subject: "s/1", Summary: "x", Data: json.RawMessage(`"` + strings.Repeat("<", 255<<10) + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	await(t, s, 4)
}

func TestStreamKeepsWhatWasStored(t *testing.T) {
	dir := t.TempDir()
	began := time.Now()
	s := open(t, stream.Options{Dir: dir})
	ready := time.Since(began)
	if _, err := s.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "X", Subjects: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JetStream().Publish(t.Context(), "x", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if s.Address() != "" {
		t.Errorf("it listens at %s without being told to", s.Address())
	}
	began = time.Now()
	s.Close()
	closed := time.Since(began)
	s.Close()
	s = open(t, stream.Options{Dir: dir})
	x, err := s.JetStream().Stream(t.Context(), "X")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := x.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
		t.Errorf("%v, %v", m, err)
	}
	t.Logf("ready after %s, closed after %s", ready, closed)
	if ready > 5*time.Second {
		t.Errorf("ready after %s", ready)
	}
}

func TestExternalByURL(t *testing.T) {
	first := open(t, stream.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: "secret"})
	url := "nats://" + first.Address()
	second := open(t, stream.Options{URL: url, Token: "secret"})
	j := newJournal(t)
	relay(t, second, j)
	record(t, j, 3)
	await(t, first, 3)
	if _, err := stream.Open(t.Context(), stream.Options{URL: url, Token: "wrong", Log: quiet}); fault.Of(err) != fault.Unavailable {
		t.Errorf("wrong token: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]stream.Options{
		"neither a folder nor a URL":       {},
		"use HOST:PORT":                    {Dir: t.TempDir(), Listen: "4222"},
		"is not a number up to 65535":      {Dir: t.TempDir(), Listen: "127.0.0.1:http"},
		"set a token or use 127.0.0.1":     {Dir: t.TempDir(), Listen: "0.0.0.0:4222"},
		"not a directory":                  {Dir: file + "/stream"},
		"connect to stream at nats://127.": {URL: "nats://127.0.0.1:1"},
	} {
		o.Log = quiet
		s, err := stream.Open(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
		if s != nil {
			s.Close()
		}
	}
}

// A journal that fails now and then, as a database that is away does.
type flaky struct {
	*journal.Journal
	mu    sync.Mutex
	calls int
}

func (f *flaky) Get(ctx context.Context, id string) (event.Event, error) {
	f.mu.Lock()
	f.calls++
	n := f.calls
	f.mu.Unlock()
	if n == 1 {
		return event.Event{}, errors.New("the database is away")
	}
	return f.Journal.Get(ctx, id)
}

func TestRelayTriesAgain(t *testing.T) {
	s, j := open(t, stream.Options{Dir: t.TempDir()}), newJournal(t)
	stop := relay(t, s, j)
	record(t, j, 1)
	await(t, s, 1)
	stop()
	relay(t, s, &flaky{Journal: j})
	record(t, j, 1)
	await(t, s, 2)
}
