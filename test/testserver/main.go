// Command testserver is the service that the tests deploy: it says which version
// it is, and does what a test asks of it.
//
//	/healthz  200, once the file named by $HOLD exists (at once without $HOLD)
//	/         the version: content of the file "version" beside the program
//	/slow     the same after $SLOW (default 1s); makes the file named by $MARK first
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
}

func serve() error {
	version, err := os.ReadFile("version")
	if err != nil {
		return err
	}
	slow := time.Second
	if s := os.Getenv("SLOW"); s != "" {
		if slow, err = time.ParseDuration(s); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if hold := os.Getenv("HOLD"); hold != "" {
			if _, err := os.Stat(hold); err != nil {
				http.Error(w, "held back until "+hold+" exists", http.StatusServiceUnavailable)
			}
		}
	})
	answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.TrimSpace(string(version))) }
	mux.HandleFunc("/{$}", answer)
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		if mark := os.Getenv("MARK"); mark != "" {
			os.WriteFile(mark, nil, 0o644)
		}
		time.Sleep(slow)
		answer(w, r)
	})
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drained <- server.Shutdown(context.Background())
	}()
	fmt.Println("version", strings.TrimSpace(string(version)), "listens on", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}
