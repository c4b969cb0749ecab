package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steer/api/client"
	"steer/base/fault"
)

// Options is what the tour needs.
type Options struct {
	Program  string // path of the steer that is shown
	Examples fs.FS  // catalog/…: the sample service; catalog-slow/…: its slow change
	Out      io.Writer
	Terminal bool // Out is one
	Colour   bool
	Stay     bool // leave it running until ctx ends
	Keep     bool // leave the data folder
}

const (
	deadline    = 150 * time.Second
	usualRate   = 40               // requests a second of all customers together
	gentleRate  = 5                // while it stays up
	usual       = 12 * time.Second // of business before the slow change
	tailLines   = 30
	sampleName  = "catalog"
	environment = "production"
)

// tour is one tour under way.
type tour struct {
	Options
	*screen
	shell *shell

	root     string // temporary folder of everything
	server   *server
	receiver *receiver
	admin    *client.Client
	ada      *client.Client

	address   string // of the sample service in production, http://host:port
	customers *traffic
	commits   []string // pushed so far
	incident  int64
}

// Run takes the tour. It returns an error unless every step was verified.
func Run(ctx context.Context, o Options) error {
	if err := tools("git", "go"); err != nil {
		return fault.New(fault.Unavailable, "%w", err)
	}
	root, err := os.MkdirTemp("", "steer-tour-")
	if err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	t := &tour{Options: o, screen: newScreen(o.Out, o.Terminal, o.Colour), root: root}
	t.shell = &shell{screen: t.screen, program: o.Program, env: commandEnv(t.path("data")), folder: root}
	defer t.clean()
	drawing, still := context.WithCancel(ctx)
	defer still()
	go t.animate(drawing)

	if err := t.drive(ctx); err != nil {
		if ctx.Err() != nil {
			t.badf("stopped")
			return fault.New(fault.Internal, "the tour was stopped at step %d", t.step)
		}
		t.explain(err)
		return fault.New(fault.Internal, "step %d of the tour was not verified", t.step)
	}
	if o.Stay {
		t.stay(ctx)
	}
	return nil
}

func (t *tour) path(elem ...string) string {
	return filepath.Join(append([]string{t.root}, elem...)...)
}

// drive takes the steps, one after the other, within the deadline.
func (t *tour) drive(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("the tour took longer than %s", deadline))
	defer cancel()
	t.intro()
	for _, step := range []func(context.Context) error{
		t.serve, t.define, t.firstCommit, t.openShop, t.slowCommit, t.trouble, t.recovery, t.figures,
	} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
				err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
			}
			return err
		}
	}
	return nil
}

func (t *tour) intro() {
	t.say(t.paint(bold, "One change, all the way round") + "\n" +
		"Commit, build, deploy, traffic, measure, fault, incident, rollback, recovery, figures.\n" +
		"All of it is real and on this machine; the commands are those you would type.")
}

// explain shows what somebody needs to understand a failure.
func (t *tour) explain(err error) {
	t.badf("%s", err)
	if t.server != nil {
		t.say("\nThe last lines of the server's log:")
		t.output(t.server.tail(tailLines))
	}
}

// stay leaves everything running until ctx ends.
func (t *tour) stay(ctx context.Context) {
	t.customers.setRate(gentleRate)
	t.say("\n" + t.paint(bold, "It stays up") + fmt.Sprintf(", with %d requests a second, until Ctrl-C:\n", gentleRate))
	for _, line := range [][2]string{
		{"UI", t.server.url}, {"Token", t.server.token}, {"Shop", t.address}, {"Data", t.server.data},
		{"Graphite", t.server.address("Graphite TCP")}, {"StatsD", t.server.address("StatsD UDP")},
	} {
		t.say(fmt.Sprintf("  %-9s %s", line[0], line[1]))
	}
	t.say(fmt.Sprintf("\nTry it from another terminal:\n  export STEER_DATA=%s\n  steer status\n  steer deploy artifact=catalog environment=ci version=b1\n  echo my.first 42 $(date +%%s) >/dev/tcp/%s",
		t.server.data, strings.Replace(t.server.address("Graphite TCP"), ":", "/", 1)))
	select {
	case <-ctx.Done():
	case <-t.server.gone:
		t.badf("the server ended: %v\n%s", t.server.ended(), t.server.tail(tailLines))
	}
}

// clean ends whatever the tour has started.
func (t *tour) clean() {
	if t.server != nil || t.customers != nil {
		t.waitf("stopping")
	}
	if t.customers != nil {
		t.customers.end()
	}
	if t.server != nil {
		if err := t.server.stop(); err != nil {
			t.badf("stop the server: %v", err)
		}
	}
	if t.receiver != nil {
		t.receiver.close()
	}
	sweep(t.root)
	t.waitf("")
	if t.Keep {
		t.say(fmt.Sprintf("\nIts folder stays: %s\nServe it again with: steer serve --data %s", t.root, t.path("data")))
		return
	}
	if err := os.RemoveAll(t.root); err != nil {
		t.badf("remove %s: %v", t.root, err)
	}
}

// look is how often the tour asks how far something is.
const look = 150 * time.Millisecond

// until asks again and again until done says so. An error of done ends the tour.
func (t *tour) until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	t.waitf("waiting for %s", what)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if ok, err := done(ctx); err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("while waiting for %s: %w", what, context.Cause(ctx))
		case <-t.server.gone:
			return fmt.Errorf("while waiting for %s: the server ended: %w", what, t.server.ended())
		case <-tick.C:
		}
	}
}
