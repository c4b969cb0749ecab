package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"steer/test/bench/report"
)

// bench is one measurement of all systems.
type bench struct {
	work, steer string
	runs        int
	progress    io.Writer
	floor       cost // beside Steer
	results     []result
}

// cost is seconds.
type cost struct{ wall, cpu float64 }

type result struct {
	system      string
	resources   int
	plan, first cost
	again       cost // median of no-op runs
}

// run runs a command and returns what it cost and said.
func run(ctx context.Context, env []string, name string, args ...string) (cost, string, int, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	// A system that is ended in good order leaves no process that makes users later.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start).Seconds()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return cost{}, "", 0, ctx.Err()
	}
	if err != nil && !errors.As(err, &exit) {
		return cost{}, "", 0, err
	}
	p := cmd.ProcessState
	return cost{took, (p.UserTime() + p.SystemTime()).Seconds()}, string(out), p.ExitCode(), nil
}

// measure measures one system, from nothing to nothing.
func (b *bench) measure(ctx context.Context, s system, w *workload) (err error) {
	if err := b.declare(s, w); err != nil {
		return err
	}
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	r := result{system: s.name, resources: w.resources(), plan: cost{math.NaN(), math.NaN()}}
	once := func(what string, args []string) (cost, int, error) {
		c, out, code, err := run(ctx, s.env, s.program, args...)
		if err != nil {
			return c, 0, err
		}
		n, err := s.changes(out, code)
		fmt.Fprintf(b.progress, "%s %s: %.3f s, %.3f s of CPU, %d changes\n", s.name, what, c.wall, c.cpu, n)
		return c, n, err
	}
	var n int
	if r.first, n, err = once("first run", s.apply); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("the first run changed nothing")
	}
	if err := w.check(); err != nil {
		return err
	}
	var plans, again, floors []cost
	for range s.runs {
		for _, kind := range []struct {
			what string
			args []string
			to   *[]cost
		}{{"plan", s.plan, &plans}, {"no-op run", s.apply, &again}} {
			if kind.args == nil {
				continue
			}
			c, n, err := once(kind.what, kind.args)
			if err != nil {
				return err
			}
			if n != 0 {
				return fmt.Errorf("a run that has nothing to do changed %d", n)
			}
			*kind.to = append(*kind.to, c)
		}
		if s.name == "steer" { // in turns, so that both see the same machine
			c, err := b.bare(ctx, w)
			if err != nil {
				return err
			}
			floors = append(floors, c)
		}
	}
	if len(floors) > 0 {
		b.floor = median(floors)
	}
	if len(plans) > 0 {
		r.plan = median(plans)
	}
	r.again = median(again)
	b.results = append(b.results, r)
	return w.check()
}

// bare measures the floor.
func (b *bench) bare(ctx context.Context, w *workload) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	c, out, code, err := run(ctx, []string{asFloor + "=1"}, self, "-floor", "-dir", w.dir, "-files", strconv.Itoa(w.files), "-directories", strconv.Itoa(w.folders),
		"-users", strconv.Itoa(w.users), "-packages", strings.Join(w.packages, ","))
	if err == nil && code != 0 {
		err = fmt.Errorf("the floor: %s", out)
	}
	return c, err
}

// asFloor makes the program of the tests be the bench.
const asFloor = "STEER_BENCH_FLOOR"

func median(all []cost) cost {
	middle := func(of func(cost) float64) float64 {
		var v []float64
		for _, c := range all {
			v = append(v, of(c))
		}
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return cost{middle(func(c cost) float64 { return c.wall }), middle(func(c cost) float64 { return c.cpu })}
}

// write writes the report.
func (b *bench) write(out io.Writer) {
	nan := math.NaN()
	all := slices.Clone(b.results)
	if b.floor.wall > 0 {
		all = append(all, result{system: "floor", resources: all[slices.IndexFunc(all, func(r result) bool { return r.system == "steer" })].resources,
			plan: cost{nan, nan}, first: cost{nan, nan}, again: b.floor})
	}
	var systems []string
	rows := []report.Row{{Title: "resources", Format: "%.0f"}}
	for _, kind := range []string{"plan without changes", "first convergence", "no-op convergence"} {
		rows = append(rows, report.Row{Title: kind + ", s", Format: "%.4f"}, report.Row{Title: "· CPU s", Format: "%.4f"},
			report.Row{Title: "· ms per resource", Format: "%.3f", Ratio: true}, report.Row{Title: "· CPU ms per resource", Format: "%.3f", Ratio: true})
	}
	for _, r := range all {
		systems = append(systems, r.system)
		n := float64(r.resources)
		rows[0].Values = append(rows[0].Values, n)
		for i, c := range []cost{r.plan, r.first, r.again} {
			for j, v := range []float64{c.wall, c.cpu, c.wall / n * 1e3, c.cpu / n * 1e3} {
				rows[1+4*i+j].Values = append(rows[1+4*i+j].Values, v)
			}
		}
	}
	report.Table(out, systems, rows)
	fmt.Fprintln(out, "\nRatios are per resource: a system with fewer of them, like Ansible, spreads its start over fewer.")
	if b.floor.wall > 0 && all[0].system == "steer" {
		fmt.Fprintf(out, "A no-op run of Steer takes %.2f times the floor, and %.2f times its CPU time.\n", all[0].again.wall/b.floor.wall, all[0].again.cpu/b.floor.cpu)
	}
	for _, r := range all {
		if all[0].system == "steer" && r.system != "steer" && r.system != "floor" {
			scale := float64(all[0].resources) / float64(r.resources)
			fmt.Fprintf(out, "%s, scaled from %d to %d resources: no-op %.1f s, %.0f times Steer's; CPU %.1f s, %.0f times Steer's.\n", r.system, r.resources, all[0].resources,
				r.again.wall*scale, r.again.wall*scale/all[0].again.wall, r.again.cpu*scale, r.again.cpu*scale/all[0].again.cpu)
		}
	}
}
