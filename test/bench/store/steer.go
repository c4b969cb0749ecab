package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"steer/test/bench/server"
)

// steer is Steer itself: as a peer keeps points, each for a month, or with the
// retentions that it has when nobody says anything.
type steer struct {
	program  string
	defaults bool
}

func (s *steer) Name() string {
	if s.defaults {
		return "steer-default"
	}
	return "steer"
}

func (s *steer) Find() (string, error) {
	out, err := exec.Command(s.program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w (build it with make bin/steer, or name it with -steer)", s.program, err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first, nil
}

func (s *steer) Command(ctx context.Context, dir string, a server.Addresses, step int64) (*exec.Cmd, error) {
	set := []string{
		"listen=" + a.HTTP, "receive.graphite.tcp=" + a.Graphite, "receive.graphite.udp=off", "receive.statsd.udp=off",
		"agent.enabled=false", "log.level=warn",
	}
	if !s.defaults {
		schemas := filepath.Join(filepath.Dir(dir), "steer-schemas.conf")
		text := fmt.Sprintf("[all]\npattern = .*\nretentions = %ds:30d\n", step)
		if err := os.WriteFile(schemas, []byte(text), 0o644); err != nil {
			return nil, err
		}
		set = append(set, "store.schemas="+schemas)
	}
	args := []string{"serve", "--data", dir}
	for _, k := range set {
		args = append(args, "--set", k)
	}
	return exec.CommandContext(ctx, s.program, args...), nil
}

func (s *steer) Ready(ctx context.Context, a server.Addresses) error {
	return server.Healthy(ctx, "http://"+a.HTTP+"/readyz")
}

func (s *steer) Metrics(dir string) []string { return []string{filepath.Join(dir, "metrics")} }

// Fetch renders the host in Graphite's raw format: NAME,START,END,STEP|VALUES.
func (s *steer) Fetch(ctx context.Context, _ string, a server.Addresses, host string, t *table) error {
	q := url.Values{"target": {host + ".**"}, "format": {"raw"}, "from": {strconv.FormatInt(t.start-1, 10)}, "until": {strconv.FormatInt(t.end(), 10)}}
	body, err := server.Get(ctx, "http://"+a.HTTP+"/render?"+q.Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	for in := bufio.NewReader(body); ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if err := rawLine(bytes.TrimSuffix(line, []byte{'\n'}), t); err != nil {
			return err
		}
	}
}

func rawLine(line []byte, t *table) error {
	head, values, ok := bytes.Cut(line, []byte{'|'})
	parts := strings.Split(string(head), ",")
	if !ok || len(parts) != 4 {
		return fmt.Errorf("no line of the raw format: %.100q", line)
	}
	at, err1 := strconv.ParseInt(parts[1], 10, 64)
	step, err2 := strconv.ParseInt(parts[3], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	column := t.column(parts[0])
	for v := range bytes.SplitSeq(values, []byte{','}) {
		if string(v) != "None" {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				return err
			}
			t.put(column, at, f)
		}
		at += step
	}
	return nil
}

// Reach is how far back each point is kept as it came.
func (s *steer) Reach() time.Duration {
	if s.defaults {
		return 6 * time.Hour
	}
	return 30 * 24 * time.Hour
}
