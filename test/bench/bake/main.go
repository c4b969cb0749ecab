// Command bake measures how long Steer and Docker take to make an image of the same base
// and the same steps: when nothing changed, when the last step did, one in the middle,
// and the first. The report, in Markdown, goes to standard output, progress to standard
// error.
//
// Steps change to what they never were, so that no cache has them. Both take turns, and the
// median of all runs counts. Steer writes its image as a layout in a folder, Docker keeps
// it in the engine; rows with a file are those of steer bake --out FILE.tar, and docker
// build with docker save. As a deploy means: stored as an artifact, and run by the driver
// for containers. After each run the image is asked whether it has what changed.
// CPU time is that of the command and its children: that of the engine is not in it.
//
// It needs root and an engine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"steer/test/bench/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	b := &bench{progress: progress}
	var dir string
	f := flag.NewFlagSet("bake", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&b.steer, "steer", "bin/steer", "the steer to measure")
	f.StringVar(&b.from, "from", "bookworm", "base: a tar of a root file system, or a suite of Debian to make one of")
	f.IntVar(&b.files, "files", 2000, "files that the step in the middle makes")
	f.IntVar(&b.runs, "runs", 5, "runs of each kind, of which the median counts")
	f.StringVar(&dir, "dir", os.TempDir(), "folder to make a folder in")
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.files < 1 || b.runs < 1 {
		return errors.New("-files and -runs are at least 1")
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can bake (run it as root)")
	}
	if text, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("there is no engine to compare with: %w: %s", err, text)
	}
	if b.steer, err = filepath.Abs(b.steer); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(dir, "steer-bench-bake-"); err != nil {
		return err
	}
	b.image = filepath.Base(b.dir)
	defer func() { err = errors.Join(err, b.remove()) }() // also after an interrupt
	fmt.Fprintln(out, server.Machine())
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.write(out)
	return nil
}
