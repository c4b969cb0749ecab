package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// bare is an API whose web pages are h.
func bare(t *testing.T, h http.HandlerFunc) (*API, *httptest.Server) {
	t.Helper()
	nothing := http.HandlerFunc(reached)
	a := New(Options{Web: h, Graphite: nothing, Metrics: nothing, Git: nothing, Umpire: nothing})
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, server
}

func TestABodyMustCome(t *testing.T) {
	got := make(chan error, 1)
	a, server := bare(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		got <- err
	})
	a.bodyTime = 50 * time.Millisecond
	in, out := io.Pipe()
	defer out.Close()
	go func() {
		if res, err := server.Client().Post(server.URL, "text/plain", in); err == nil {
			res.Body.Close()
		}
	}()
	out.Write([]byte("begins"))
	select {
	case err := <-got:
		if err == nil {
			t.Error("a body that does not end was read to its end")
		}
	case <-time.After(10 * time.Second):
		t.Error("the server still waits for the body")
	}
}

// The time to send a body is no time limit for the answer.
func TestAnswersMayTakeLongerThanBodies(t *testing.T) {
	const short = 30 * time.Millisecond
	a, server := bare(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		ctx, cancel := context.WithTimeout(r.Context(), 10*short)
		defer cancel()
		<-ctx.Done()
		if r.Context().Err() != nil {
			http.Error(w, "canceled", http.StatusInternalServerError)
		}
	})
	a.bodyTime = short
	for _, body := range []io.Reader{strings.NewReader("all of it"), io.MultiReader(strings.NewReader("in "), strings.NewReader("chunks"))} {
		res, err := server.Client().Post(server.URL, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	}
}
