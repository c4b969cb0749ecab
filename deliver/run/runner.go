package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// Config is what operators may set.
type Config struct {
	Parallel    int               `yaml:"parallel" doc:"Commands of pipeline stages that run at the same time." default:"2"`
	Nice        int               `yaml:"nice" doc:"Scheduling priority of commands, 0 (as Steer itself) to 19 (lowest)." default:"0"`
	MaxMemoryMB int               `yaml:"max_memory_mb" doc:"Address space that each process of a command may use, in MiB; 0: no limit." default:"0"`
	MaxLogMB    int               `yaml:"max_log_mb" doc:"Log kept of one stage, in MiB; the rest is left out." default:"50"`
	Grace       config.Duration   `yaml:"grace" doc:"Time between SIGTERM and SIGKILL for a command that is stopped." default:"10s"`
	Env         map[string]string `yaml:"env" doc:"Environment variables that every command gets, like GOPROXY or https_proxy. Steer's own environment is not passed on, except for PATH."`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	switch {
	case c.Parallel < 1:
		return fault.New(fault.Invalid, "parallel is %d, at least 1 command must be able to run", c.Parallel)
	case c.Nice < 0 || c.Nice > 19:
		return fault.New(fault.Invalid, "nice is %d, use 0 to 19", c.Nice)
	case c.MaxMemoryMB < 0:
		return fault.New(fault.Invalid, "max_memory_mb is %d, use 0 for no limit", c.MaxMemoryMB)
	case c.MaxLogMB < 1:
		return fault.New(fault.Invalid, "max_log_mb is %d, use at least 1", c.MaxLogMB)
	case c.Grace < 0:
		return fault.New(fault.Invalid, "grace is %s, use 0s or more", c.Grace)
	}
	return nil
}

// Options are what a runner needs.
type Options struct {
	Config
	Logs  string // folder with all logs that jobs will name; searched once for what a killed Steer left running
	Cache string // folder for the home folders of services, where tools keep their caches
	Log   *slog.Logger
}

// Runner executes jobs. It is safe for concurrent use.
type Runner struct {
	Options
	slots chan struct{}
}

// Job is one command.
type Job struct {
	Service id.Service
	Version id.Version
	Commit  string
	Stage   string
	Command string                    // for /bin/sh -e -c
	Dir     string                    // where it runs
	Temp    string                    // its TMPDIR; made when absent
	Log     string                    // file that its output is appended to; its folder is made when absent
	Env     []string                  // NAME=value, after everything else
	Timeout time.Duration             // 0: none
	Mask    func(io.Writer) io.Writer // hides secrets in the log; nil: there are none
}

// Result says how a command ended.
type Result struct {
	ExitCode int    // 128 + number of the signal that ended it
	Signal   string // "SIGKILL", if a signal ended it
	TimedOut bool
	Reason   string // what a reader needs first; empty when ExitCode is 0
	Tests    *Tests // nil when the output shows none
	Took     time.Duration
}

// New checks the configuration and ends processes that jobs of a killed Steer
// left behind.
func New(o Options) (*Runner, error) {
	if o.Logs == "" || o.Cache == "" {
		return nil, errors.New("BUG: run.New needs Logs and Cache")
	}
	o.Parallel, o.MaxLogMB = cmp.Or(o.Parallel, 2), cmp.Or(o.MaxLogMB, 50)
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("pipeline commands: %w", err)
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	r := &Runner{o, make(chan struct{}, o.Parallel)}
	left, err := filepath.Glob(filepath.Join(o.Logs, "*", "*"+recordSuffix))
	if err != nil {
		return nil, fmt.Errorf("look for leftover commands: %w", err)
	}
	for _, f := range left {
		if err := r.endStale(f); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Slot takes one of the slots for parallel jobs without waiting, or returns
// false. The caller gives it back with release.
func (r *Runner) Slot() (release func(), ok bool) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, true
	default:
		return nil, false
	}
}

// Execute runs a job to its end. An error means that it could not be run, or
// that ctx ended first and the command was stopped; a command that fails is a
// Result. The caller holds a Slot.
func (r *Runner) Execute(ctx context.Context, j Job) (Result, error) {
	fail := func(err error) (Result, error) {
		return Result{}, fmt.Errorf("run stage %s of %s %s: %w", j.Stage, j.Service, j.Version, err)
	}
	if err := r.endStale(j.Log + recordSuffix); err != nil {
		return fail(err)
	}
	home := filepath.Join(r.Cache, string(j.Service))
	for _, dir := range []string{home, j.Temp, filepath.Dir(j.Log)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fail(err)
		}
	}
	log, err := openLog(j.Log, int64(r.MaxLogMB)<<20)
	if err != nil {
		return fail(err)
	}
	defer log.Close()
	seen := &scanner{}
	var out io.Writer = io.MultiWriter(log, seen)
	if j.Mask != nil {
		out = j.Mask(out)
	}
	fmt.Fprintf(out, "$ %s\n", j.Command)
	seen.reset()

	mark := id.New()
	start := time.Now()
	p := process{command: j.Command, dir: j.Dir, env: r.environment(j, home, mark), mark: mark, record: j.Log + recordSuffix, config: r.Config}
	end, err := p.run(ctx, out, j.Timeout)
	if c, ok := out.(io.Closer); ok && j.Mask != nil { // a mask holds back what may become a secret
		c.Close()
	}
	seen.finish()
	res := Result{ExitCode: end.code, Signal: end.signal, TimedOut: end.timedOut, Tests: seen.tests(), Took: time.Since(start)}
	if err != nil {
		fmt.Fprintf(log, "[stopped: %v]\n", err)
		return fail(err)
	}
	took := res.Took.Round(10 * time.Millisecond)
	switch {
	case res.TimedOut:
		res.Reason = fmt.Sprintf("timed out after %s", config.Duration(j.Timeout))
		if what := seen.reason(j.Dir); what != "" {
			res.Reason += "; its output says: " + what
		}
		fmt.Fprintf(log, "[timed out after %s]\n", config.Duration(j.Timeout))
	case res.Signal != "":
		res.Reason = "ended by " + res.Signal
		if res.Signal == "SIGKILL" {
			res.Reason += " (nobody asked for it; out of memory?)"
		}
		fmt.Fprintf(log, "[ended by %s after %s]\n", res.Signal, took)
	case res.ExitCode != 0:
		res.Reason = cmp.Or(seen.reason(j.Dir), fmt.Sprintf("exit code %d without output", res.ExitCode))
		fmt.Fprintf(log, "[exit code %d after %s]\n", res.ExitCode, took)
	default:
		fmt.Fprintf(log, "[done after %s]\n", took)
	}
	return res, nil
}

// environment is what the command sees: nothing of Steer's own environment but
// PATH, so that it does not depend on how Steer was started.
func (r *Runner) environment(j Job, home, mark string) []string {
	env := []string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
		"HOME=" + home,
		"LANG=C.UTF-8",
		"TMPDIR=" + j.Temp,
		"CI=true",
		"STEER_SERVICE=" + string(j.Service),
		"STEER_VERSION=" + string(j.Version),
		"STEER_COMMIT=" + j.Commit,
		"STEER_STAGE=" + j.Stage,
		markName + "=" + mark,
	}
	for k, v := range r.Env {
		env = append(env, k+"="+v)
	}
	slices.Sort(env[len(env)-len(r.Env):])
	return append(env, j.Env...)
}
