// Command store measures Steer's metric store and its peers, each as users run
// it, one after the other on this machine: it sends the same Graphite lines
// over TCP, waits until all can be queried, stops the server cleanly, starts it
// again and compares every point with what was sent. The report, in Markdown,
// goes to standard output, progress to standard error.
//
//	a        many new series: 100,000 x 60 points at 10 s, the last ten minutes
//	b        days of data: 1,000 x 8,640 points at 10 s, the last day
//
// A peer that isn't installed is skipped with a message.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the whole.
type bench struct {
	dir      string // for data, lines and logs
	keep     bool
	progress io.Writer
	out      io.Writer
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func start(ctx context.Context, args []string, out, progress io.Writer) error {
	f := flag.NewFlagSet("store", flag.ContinueOnError)
	f.SetOutput(progress)
	var (
		program   = f.String("steer", "bin/steer", "the steer to measure")
		only      = f.String("only", "steer,steer-default,victoria", "systems to measure, in this order")
		workloads = f.String("workload", "a,b", "workloads to run")
		series    = f.Int("series", 0, "series, instead of what the workload has")
		points    = f.Int("points", 0, "points per series, instead of what the workload has")
		seed      = f.Uint64("seed", 1, "of the values")
		dir       = f.String("dir", "", "folder for data; default: a temporary one")
		keep      = f.Bool("keep", false, "keep the data folders")
	)
	if err := f.Parse(args); err != nil {
		return err
	}
	b := &bench{dir: *dir, keep: *keep, progress: progress, out: out}
	var err error
	if b.dir, err = os.MkdirTemp(*dir, "steer-bench-store-"); err != nil {
		return err
	}
	if !*keep {
		defer os.RemoveAll(b.dir)
	}
	fmt.Fprintln(out, machine())
	peers := []peer{&steer{program: *program}, &steer{program: *program, defaults: true}, &victoria{}}
	var chosen []peer
	versions := map[string]string{}
	for _, name := range strings.Split(*only, ",") {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.Name() == name })
		if i < 0 {
			return fmt.Errorf("-only: unknown system %q", name)
		}
		v, err := peers[i].Find()
		if err != nil {
			b.say("%s is skipped: %v", name, err)
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", name, v)
		versions[name] = v
		chosen = append(chosen, peers[i])
	}
	for _, name := range strings.Split(*workloads, ",") {
		w := &workload{name: name, step: 10, seed: *seed, conns: 4}
		switch name {
		case "a":
			w.series, w.points = 100_000, 60
		case "b":
			w.series, w.points = 1000, 8640
		default:
			return fmt.Errorf("-workload: unknown workload %q", name)
		}
		if *series > 0 {
			w.series = *series
		}
		if *points > 0 {
			w.points = *points
		}
		now := time.Now().Unix()
		w.start = now - now%w.step - int64(w.points-1)*w.step
		l, err := writeLines(b.dir, w, w.begin(), 0, w.points)
		if err != nil {
			return err
		}
		b.say("workload %s: %d series, %d points, %.1f bytes per line", name, w.series, w.total(), float64(l.bytes)/float64(w.total()))
		var results []*result
		for _, p := range chosen {
			before := load()
			r, err := b.measure(ctx, p, versions[p.Name()], w, l)
			if err != nil {
				return err
			}
			b.say("%s: load before %s", p.Name(), before)
			results = append(results, r)
		}
		l.remove()
		fmt.Fprintf(out, "\nworkload %s, %.1f bytes per line\n\n", name, float64(l.bytes)/float64(w.total()))
		report(out, figures(), results)
	}
	return nil
}
