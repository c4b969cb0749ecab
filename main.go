// Steer carries the whole loop of running a web service: commit, build, artifact,
// deploy, run, measure, compare, act, learn.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // tz= in requests must not depend on what the machine has installed

	"steer/api"
	"steer/app"
	"steer/base/backup"
	"steer/catalog"
	"steer/cli"
	"steer/examples"
)

// version is set by the linker.
var version = "dev"

func main() {
	// The first signal ends in good order; a second one ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := cli.Main(ctx, cli.Program{
		Version:       version,
		Serve:         serve,
		Template:      catalog.Template,
		Validate:      app.Validate,
		Pack:          app.Pack,
		ConfigDefault: app.Default,
		ConfigCheck: func(s cli.ServeArgs) error {
			_, err := app.Load(arguments(s))
			return err
		},
		ResetToken: func(ctx context.Context, s cli.ServeArgs) (string, error) {
			return app.ResetToken(ctx, arguments(s))
		},
		Restore:   backup.Restore,
		Hook:      app.Hook,
		Reference: func() (map[string][]byte, error) { return app.Reference(api.OpenAPIYAML) },
		Examples:  examples.Files,
		Infra:     app.Infra(),
		Stdin:     os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Getenv,
	}, os.Args[1:])
	os.Exit(code)
}

func arguments(s cli.ServeArgs) app.Args {
	return app.Args{Data: s.Data, File: s.File, Set: s.Set, Env: s.Env}
}

func serve(ctx context.Context, s cli.ServeArgs) error {
	config, err := app.Load(arguments(s))
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// Most of the heap is points, which hold no pointers: collecting it more often
		// costs little and halves what lies around.
		debug.SetGCPercent(50)
	}
	log := app.Logger(config.Log, os.Stderr)
	slog.SetDefault(log)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var out io.Writer = s.Out
	a, err := app.New(ctx, app.Options{
		Config: config, Data: s.Data, Version: version, Hook: []string{self, "hook"}, WebDir: os.Getenv("STEER_WEB"), Out: out, Log: log,
	})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
