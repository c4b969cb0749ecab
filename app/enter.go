package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"steer/api"
	"steer/base/access"
	"steer/base/fault"
	"steer/infra/fleet"
	"steer/infra/host"
)

// Bounds of a command on a host that nobody can log in to. The time is below that which
// an answer of the server may take.
const (
	enterWithin = 4 * time.Minute
	mostEntered = 1 << 20 // bytes of what it writes that are shown, of each stream
)

// EnterHost runs a command on a host that nobody can log in to, by what made it.
func (s lender) EnterHost(ctx context.Context, who access.Identity, e fleet.Entry) (out api.Entered, err error) {
	d, err := s.newest(ctx)
	if err != nil {
		return out, err
	}
	h, ok := d.host(e.Host)
	if !ok {
		return out, fault.New(fault.NotFound, "enter %s: hosts.yaml has no such host", e.Host)
	}
	if err := who.May(access.Operator, h.Environment); err != nil {
		return out, err
	}
	if h, err = located(ctx, h); err != nil {
		return out, err
	}
	address := host.Backdoor(h)
	if address == "" && h.NoLogin() {
		return out, fault.New(fault.Conflict, "enter %s: it comes to the server by itself, and Steer knows no way in (use that of whoever runs the machine, then steer fleet visit %[1]s --kind rebuild)", e.Host)
	}
	stdout, stderr := &lastOf{}, &lastOf{}
	err = s.Enter(ctx, e, func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, enterWithin)
		defer cancel()
		conn, err := host.Dial(ctx, address)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		err = conn.Run(ctx, host.Call{Args: e.Command, Stdout: stdout, Stderr: stderr})
		if exit := (*host.Exit)(nil); errors.As(err, &exit) {
			out.Code, err = exit.Code, nil
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fault.New(fault.Unavailable, "enter %s: the command does not end within %s, and nobody waits for it any more (let it go on by itself: setsid … &)", e.Host, enterWithin)
		}
		return out.Code, err
	})
	out.Stdout, out.Stderr = stdout.text(), stderr.text()
	return out, err
}

// lastOf keeps the end of what is written to it.
type lastOf struct{ b []byte }

func (l *lastOf) Write(p []byte) (int, error) {
	if l.b = append(l.b, p...); len(l.b) > 2*mostEntered {
		l.b = bytes.Clone(l.b[len(l.b)-mostEntered:])
	}
	return len(p), nil
}

func (l *lastOf) text() string {
	return strings.ToValidUTF8(string(l.b[max(0, len(l.b)-mostEntered):]), "?")
}
