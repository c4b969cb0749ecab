package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
	"steer/cli"
	"steer/infra"
	"steer/infra/agent"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/watch"
	measure "steer/monitor/agent"
)

// hostAgent is what the commands of a host that comes by itself work with.
func hostAgent() cli.Agent {
	return cli.Agent{
		Dir:  host.Folder,
		Join: joinServer,
		Run:  runAgent,
		Status: func(dir string) (cli.AgentStatus, error) {
			if _, err := agent.ReadIdentity(dir); err != nil {
				return cli.AgentStatus{}, err
			}
			s, err := agent.ReadStatus(dir)
			return cli.AgentStatus{Host: string(s.Host), Server: s.URL, Version: s.Version, Connected: s.Connected, Contact: s.Contact, Error: s.Error,
				Watch: s.Watch, Paused: s.Paused, Alone: s.Alone}, err
		},
		Leave: func(ctx context.Context, dir string, force bool) error {
			if _, err := agent.Leave(ctx, dir, force); err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(dir, converge.ManifestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("leave: %w", err)
			}
			return nil
		},
	}
}

func joinServer(ctx context.Context, j cli.JoinArgs) (cli.Joined, error) {
	self, err := os.Executable()
	if err != nil {
		return cli.Joined{}, fmt.Errorf("find this program: %w", err)
	}
	if j.Dir, err = filepath.Abs(j.Dir); err != nil {
		return cli.Joined{}, err
	}
	i, err := agent.Join(ctx, agent.JoinOptions{Dir: j.Dir, URL: j.URL, Token: j.Token, CA: j.CA})
	if err != nil {
		return cli.Joined{}, err
	}
	started, err := agent.Start(ctx, i, j.Dir, self, j.Dir == host.Folder)
	return cli.Joined{Host: string(i.Host), Server: i.URL, Program: agent.Program(j.Dir), Dir: j.Dir, Started: started}, err
}

func runAgent(ctx context.Context, dir, version string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil { // programs are started elsewhere
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	a, err := agent.NewAgent(agent.AgentOptions{
		Dir: dir, Version: version, Program: self, Log: log,
		Watch: func(ctx context.Context, drift func(infra.Drift), note func(string)) error {
			return watchHost(ctx, dir, watch.Options{Drift: drift, Note: note, Log: log})
		},
		Measure:  measureHost,
		Converge: func(ctx context.Context) (agent.Run, error) { return convergeAlone(ctx, dir, self) },
		Replace: func(program string) error {
			path := program
			if self == agent.Program(dir) { // the service starts it from there
				path = self
				if err := agent.Install(program, path); err != nil {
					return err
				}
			}
			log.Info("the server's program takes over", "program", program)
			return syscall.Exec(path, append([]string{path}, os.Args[1:]...), os.Environ())
		},
	})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// measureHost sends the same figures as a server does of its own host.
func measureHost(ctx context.Context, send func([]agent.Figure) error) error {
	var m *measure.Agent
	m, err := measure.New(measure.Options{Config: measure.Config{Enabled: true, Interval: config.Duration(10 * time.Second)}, Sink: func(points []metric.Point) error {
		all := make([]agent.Figure, 0, len(points))
		for _, p := range points {
			all = append(all, agent.Figure{Name: strings.TrimPrefix(string(p.Name), m.Prefix()), Time: p.Time, Value: p.Value})
		}
		return send(all)
	}})
	if err != nil {
		return err
	}
	return m.Run(ctx)
}

// keptManifest reads the manifest that the last run kept.
func keptManifest(dir string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, converge.ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "this host has not been converged since it joined")
	}
	if err != nil {
		return nil, fmt.Errorf("read what this host should be: %w", err)
	}
	return b, nil
}

// watchHost tells what drifts from the manifest that is kept.
func watchHost(ctx context.Context, dir string, o watch.Options) error {
	o.Busy = func() bool { return converge.Busy(dir) }
	w := watch.New(o)
	for ctx.Err() == nil {
		round, cancel := context.WithCancel(ctx)
		changed, err := watch.Changed(round, filepath.Join(dir, converge.ManifestFile))
		if err != nil {
			cancel()
			return err
		}
		var all []infra.Declared
		b, err := keptManifest(dir)
		if err == nil {
			all, err = infra.Decode(hostKinds(), b)
		}
		if err != nil && fault.Of(err) != fault.NotFound {
			o.Log.Error("drift is not watched", "error", err)
		}
		go func() {
			<-changed
			cancel()
		}()
		err = w.Run(round, all)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// convergeAlone makes this host what the kept manifest says. It is done by a process of
// its own, which finishes also when this one ends.
func convergeAlone(ctx context.Context, dir, self string) (r agent.Run, err error) {
	b, err := keptManifest(dir)
	if err != nil {
		return r, err
	}
	start := time.Now()
	s, err := host.Open(context.WithoutCancel(ctx), &host.Program{}, self)
	if err != nil {
		return r, err
	}
	defer s.Close()
	var report converge.Report
	err = s.Call(askConverge, toConverge{Resources: b, Unattended: true, By: "the host itself", Dir: dir}, nil, &report)
	r = agent.Run{Counts: map[string]int{}, Hash: report.Hash, Failed: report.Failed(), Took: time.Since(start)}
	for status, n := range report.Counts {
		r.Counts[string(status)] = n
	}
	return r, err
}
