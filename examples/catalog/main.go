// Catalog serves what a small shop sells.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "catalog:", err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	environment := cmp.Or(os.Getenv("STEER_ENVIRONMENT"), "local")
	version := cmp.Or(os.Getenv("STEER_VERSION"), "local")
	metrics, err := dial(os.Getenv("STATSD_HOST"), os.Getenv("STATSD_PORT"), "catalog."+environment+".")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), cmp.Or(os.Getenv("PORT"), "8080")))
	if err != nil {
		return err
	}
	fmt.Printf("catalog %s in %s listens on %s\n", version, environment, listener.Addr())

	server := &http.Server{Handler: shop(version, environment, metrics), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Println("catalog stops: finishing open requests")
	drain, cancel := context.WithTimeout(context.Background(), 9*time.Second)
	defer cancel()
	if err := server.Shutdown(drain); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("finish open requests: %w", err)
	}
	fmt.Println("catalog stopped")
	return nil
}
