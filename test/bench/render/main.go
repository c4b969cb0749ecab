// Command render measures how fast Steer and its peers answer Graphite's
// /render, all in one run on this machine: every system gets the same points,
// answers the same queries, and its answers are compared with what they must be
// before anything is timed. The report, in Markdown, goes to standard output,
// progress to standard error.
//
// The points are a day of 1,000 series at 10 s (and the ten minutes before, see
// below), named servers.dcN.web-NNN.cpu.usage, with the values of a CPU's usage
// in percent. All but the last ten minutes are sent, then the system is stopped
// cleanly and started again, then the rest is sent: old points are where old
// points are, new ones where new ones are.
//
//	one       one series over 24 h
//	sum       sumSeries of all over 1 h
//	average   averageSeries of all over 24 h
//	moving    groupByNode of movingAverage(all,'5min') over 6 h, into five sums
//
// No answer comes from a cache: every request asks for another range (its ends
// move by up to ten minutes, in steps of 10 s) and says noCache. The systems
// take turns, so that other work on the machine is in everybody's figures.
//
// Latency is from the request until the answer is read to its end. CPU time is
// user and system time of the server process over its requests; memory is the
// highest VmHWM while they ran. A share of Steer's figures in those of another
// stands behind them.
//
// Hostile requests come at the end: some clients send targets that must be
// refused or are as expensive as a request may be, while others ask for one
// series and for the sum.
//
// Peers are VictoriaMetrics (-victoria; its /render is not in Debian's version,
// go install github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.148.9
// makes one that has it), graphite-web on Whisper files (-python names a Python
// that can import graphite, if need be with PYTHONPATH), and any system that runs already
// (-other NAME,http://HOST:PORT,HOST:PORT: where it answers and where it takes
// lines), as carbonapi over go-carbon. One that is missing is skipped with a
// message.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	f := flag.NewFlagSet("render", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&b.steer, "steer", "bin/steer", "the steer to measure")
	f.StringVar(&b.victoria, "victoria", "victoria-metrics", "the VictoriaMetrics to measure")
	f.StringVar(&b.python, "python", "python3", "a Python that has graphite-web")
	f.StringVar(&b.other, "other", "", "a system that runs already: NAME,http://HOST:PORT,HOST:PORT")
	f.StringVar(&b.only, "only", "steer,victoria,graphite-web,other", "systems to measure")
	f.StringVar(&b.queries, "query", "one,sum,average,moving,hostile", "queries, in this order")
	f.StringVar(&b.clients, "clients", "1,4", "clients at once, in this order")
	f.IntVar(&b.series, "series", 1000, "series")
	f.IntVar(&b.points, "points", 8640, "points per series, without the ten minutes that ranges move by")
	f.DurationVar(&b.time, "time", 10*time.Second, "time that each system gets for a query and a number of clients")
	f.Uint64Var(&b.seed, "seed", 1, "of the values")
	f.StringVar(&b.dir, "dir", os.TempDir(), "folder to make a folder for data in")
	f.BoolVar(&b.keep, "keep", false, "keep that folder")
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.series < groups || b.points < 2*window {
		return fmt.Errorf("-series %d -points %d: it takes at least %d series of %d points", b.series, b.points, groups, 2*window)
	}
	if b.dir, err = os.MkdirTemp(b.dir, "steer-bench-render-"); err != nil {
		return err
	}
	defer func() {
		if !b.keep && err == nil { // else the logs of the servers are of use
			os.RemoveAll(b.dir)
		}
	}()
	fmt.Fprintln(out, server.Machine())
	return b.run(ctx)
}
