package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"steer/base/fault"
)

const (
	probeGap   = 100 * time.Millisecond
	lookGap    = 500 * time.Millisecond // at which a waiting deploy looks whether it was ended
	maxDeaths  = 3                      // of a new node, then waiting makes no sense
	failureLog = 20                     // lines
	maxLine    = 500                    // bytes
)

// wait returns nil when all desired nodes are healthy, or when one is gone and a
// new plan is needed.
func (d *Deployer) wait(ctx context.Context, p place, want Desired, y *Deploy) error {
	looked := time.Now()
	within := y.release.Run.Health.Within.Std()
	if within <= 0 {
		within = 30 * time.Second
	}
	before, since := map[string]int{}, map[string]time.Time{}
	for {
		nodes, err := d.nodes(ctx, p)
		if err != nil {
			return err
		}
		chosen := choose(want, d.actual(p, nodes))
		if len(chosen) < want.Number {
			return nil
		}
		var ours []Instance
		for _, n := range nodes {
			if chosen[n.Index].ID == n.ID {
				ours = append(ours, n)
			}
		}
		d.probeAll(ctx, ours)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		healthy, waiting := true, ""
		for _, n := range ours {
			ill := d.ill(n)
			if ill == nil {
				continue
			}
			healthy = false
			if _, ok := before[n.ID]; !ok {
				before[n.ID] = n.Restarts
			}
			if n.Waiting != "" && n.Started.IsZero() && n.LastExit == "" && n.Unsure == "" {
				waiting = fmt.Sprintf("node %d of %s waits: %s", n.Index, n.Version, n.Waiting)
				continue // the driver tells when that takes too long
			}
			if since[n.ID].IsZero() {
				since[n.ID] = time.Now()
			}
			deaths := n.Restarts - before[n.ID]
			if !n.Running {
				deaths++
			}
			name := fmt.Sprintf("node %d of %s", n.Index, n.Version)
			switch {
			case !n.Running && n.Started.IsZero() && n.LastExit != "":
				return d.sick(n, fmt.Sprintf("%s: %s", name, n.LastExit))
			case deaths >= maxDeaths:
				return d.sick(n, fmt.Sprintf("%s ended %d times before it was healthy (%s)", name, deaths, n.LastExit))
			case time.Since(since[n.ID]) > within && n.Unsure != "":
				return fault.New(fault.Unavailable, "%s: %s", name, n.Unsure) // the job is tried again
			case time.Since(since[n.ID]) > within:
				return d.sick(n, fmt.Sprintf("%s was not healthy within %s: %s: %v", name, within, probing(n), ill))
			}
		}
		if healthy {
			return nil
		}
		if waiting != "" && waiting != y.Step {
			y.Step = waiting
			if err := d.save(ctx, y); err != nil {
				return err
			}
		}
		if time.Since(looked) > lookGap {
			looked = time.Now()
			if now, err := d.Get(ctx, y.ID); err != nil {
				return err
			} else if now.Finished != nil {
				return errOver
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(probeGap):
		}
	}
}

// sick ends a deploy because of a node, with what that wrote last.
func (d *Deployer) sick(n Instance, message string) error {
	return &stopped{Failure{Message: message, Probe: probing(n), Node: n.ID, Log: d.lastLines(n)}}
}

// lastLines are the last lines of a node's log, without the secrets it was given.
func (d *Deployer) lastLines(n Instance) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	lines := []string{}
	r, err := d.o.Driver.Logs(ctx, n.ID, failureLog, false)
	if err != nil {
		return append(lines, fmt.Sprintf("(no log: %v)", err))
	}
	defer r.Close()
	b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	return append(lines, d.clean(n.Spec, b, failureLog)...)
}

// clean is the end of what a node or task wrote, as lines without the secrets it
// was given.
func (d *Deployer) clean(s Spec, b []byte, most int) (lines []string) {
	b = bytes.ReplaceAll(bytes.ToValidUTF8(b, []byte("\uFFFD")), []byte("\x00"), nil)
	text := strings.TrimRight(string(b), "\n")
	for _, v := range s.Env {
		name, ok := strings.CutPrefix(v, secretPrefix)
		if !ok || d.o.Secret == nil {
			continue
		}
		if plain, err := d.o.Secret(s.Environment, name); err == nil && len(plain) > 3 {
			text = strings.ReplaceAll(text, plain, "(sensitive)")
		}
	}
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > maxLine {
			line = strings.ToValidUTF8(line[:maxLine], "") + "…"
		}
		lines = append(lines, line)
	}
	return lines[max(0, len(lines)-most):]
}
