// Command store measures Steer's metric store and its peers, each as users run
// it, one after the other on this machine: it sends the same Graphite lines
// over TCP, waits until all can be queried, stops the server cleanly, starts it
// again and compares every point with what was sent. The report, in Markdown,
// goes to standard output, progress to standard error.
//
//	a        many new series: 100,000 x 60 points at 10 s, the last ten minutes
//	b        days of data: 1,000 x 8,640 points at 10 s, the last day
//	million  1,000,000 series, a point a minute: some rounds back to back, then
//	         some at their own pace, a kill -9, a clean stop
//
// What the values are like stands at kind. CPU time is user and system time of
// the server process, from the first byte until the process has ended after
// SIGTERM, so writing to the place on disk where points stay is in it for
// every system, and merges that come later are not. Memory is what
// /proc/PID/status says, growth of VmRSS for a series and VmHWM for the peak;
// disk is blocks in use after the clean stop. Files that were just written are
// in the page cache when a system starts again.
//
// Steer runs twice: keeping each point for 30 days, as the peers do, and with
// its default retentions. Peers are VictoriaMetrics and carbon (Debian's
// victoria-metrics and graphite-carbon) and go-carbon; one that isn't on PATH
// is skipped with a message. carbon and go-carbon get fewer series, since they
// need so much more time, and count as done when all is in their files.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

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
	b := &bench{out: out, progress: progress}
	f := flag.NewFlagSet("store", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&b.steer, "steer", "bin/steer", "the steer to measure")
	f.StringVar(&b.only, "only", "steer,steer-default,victoria,carbon,go-carbon", "systems to measure, in this order")
	f.StringVar(&b.workloads, "workload", "a,b,million", "workloads, in this order")
	f.IntVar(&b.series, "series", 0, "series, instead of what the workload has")
	f.IntVar(&b.points, "points", 0, "points per series of a and b, instead of what they have")
	f.IntVar(&b.fewer, "carbon-points", 1_000_000, "points that carbon and go-carbon get at most")
	f.IntVar(&b.rounds, "rounds", 5, "rounds of million back to back")
	f.IntVar(&b.paced, "paced", 3, "rounds of million at their own pace, the first of which isn't measured")
	f.DurationVar(&b.pace, "pace", time.Minute, "time that a paced round takes")
	f.Uint64Var(&b.seed, "seed", 1, "of the values")
	f.StringVar(&b.dir, "dir", os.TempDir(), "folder to make a folder for data in, on the disk that is to be measured")
	f.BoolVar(&b.keep, "keep", false, "keep that folder")
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.rounds < 1 || b.paced < 0 {
		return fmt.Errorf("-rounds %d -paced %d: at least one round is sent back to back", b.rounds, b.paced)
	}
	var chosen []*workload
	for name := range strings.SplitSeq(b.workloads, ",") {
		w, err := b.named(name)
		if err != nil {
			return err
		}
		chosen = append(chosen, w)
	}
	if b.dir, err = os.MkdirTemp(b.dir, "steer-bench-store-"); err != nil {
		return err
	}
	if !b.keep {
		defer os.RemoveAll(b.dir)
	}
	fmt.Fprintln(out, server.Machine())
	peers, err := b.peers()
	if err != nil {
		return err
	}
	for _, w := range chosen {
		err = errors.Join(err, b.workload(ctx, w, peers))
	}
	return err
}
