package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"

	"steer/test/bench/server"
)

// peer is a system that answers /render.
type peer interface {
	// Name is how -only calls it.
	Name() string
	// Find says which version it is, or why it can't run here.
	Find() (version string, err error)
	// Command starts it on a folder of its own.
	Command(ctx context.Context, dir string, a server.Addresses) (*exec.Cmd, error)
	// Ready says whether it answers.
	Ready(ctx context.Context, base string) error
}

// filer is a peer that is given files instead of lines.
type filer interface {
	Write(dir string, d *data) error
}

// steer is Steer, keeping each point for a month, as the others do.
type steer struct{ program string }

func (steer) Name() string { return "steer" }

func (s steer) Find() (string, error) {
	out, err := exec.Command(s.program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w (build it with make bin/steer, or name it with -steer)", s.program, err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first, nil
}

func (s steer) Command(ctx context.Context, dir string, a server.Addresses) (*exec.Cmd, error) {
	schemas, err := writeFile(dir, "schemas.conf", "[all]\npattern = .*\nretentions = 10s:30d\n")
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--data", dir}
	for _, k := range []string{
		"listen=" + a.HTTP, "receive.graphite.tcp=" + a.Graphite, "receive.graphite.udp=off", "receive.statsd.udp=off",
		"agent.enabled=false", "log.level=warn", "store.schemas=" + schemas,
	} {
		args = append(args, "--set", k)
	}
	return exec.CommandContext(ctx, s.program, args...), nil
}

func (steer) Ready(ctx context.Context, base string) error {
	return server.Healthy(ctx, base+"/readyz")
}

// victoria is VictoriaMetrics, the single server.
type victoria struct{ program string }

func (victoria) Name() string { return "victoria" }

func (v victoria) Find() (string, error) {
	help, err := exec.Command(v.program, "-help").CombinedOutput()
	if len(help) == 0 && err != nil {
		return "", fmt.Errorf("%s: %w", v.program, err)
	}
	if !strings.Contains(string(help), "-search.maxGraphiteSeries") {
		return "", fmt.Errorf("%s has no /render, as before 1.90 in the open version; name a newer one with -victoria", v.program)
	}
	out, err := exec.Command("go", "version", "-m", v.program).Output()
	if path, e := exec.LookPath(v.program); e == nil {
		out, err = exec.Command("go", "version", "-m", path).Output()
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); err == nil && len(f) > 2 && f[0] == "mod" {
			return f[2], nil
		}
	}
	return "version unknown", nil
}

func (v victoria) Command(ctx context.Context, dir string, a server.Addresses) (*exec.Cmd, error) {
	return exec.CommandContext(ctx, v.program, "-storageDataPath="+dir, "-retentionPeriod=30d",
		"-httpListenAddr="+a.HTTP, "-graphiteListenAddr="+a.Graphite), nil
}

func (victoria) Ready(ctx context.Context, base string) error {
	return server.Healthy(ctx, base+"/health")
}

// other is a system that somebody else started.
type other struct{ name, base, lines string }

func parseOther(text string) (other, error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return other{}, fmt.Errorf("-other %q: it is NAME,http://HOST:PORT,HOST:PORT", text)
	}
	if u, err := url.Parse(parts[1]); err != nil || u.Host == "" {
		return other{}, fmt.Errorf("-other %q: %q is no address of a server", text, parts[1])
	}
	return other{parts[0], strings.TrimSuffix(parts[1], "/"), parts[2]}, nil
}

func (other) Name() string { return "other" }

func (o other) Find() (string, error) {
	if o.base == "" {
		return "", errors.New("no -other is given")
	}
	return o.name + " at " + o.base, nil
}

func (o other) Command(context.Context, string, server.Addresses) (*exec.Cmd, error) { return nil, nil }

func (o other) Ready(ctx context.Context, base string) error {
	return server.Healthy(ctx, base+"/render?format=json&target="+url.QueryEscape("no.such.name"))
}
