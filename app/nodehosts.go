package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/artifact"
	"steer/deliver/deploy/hosts"
	"steer/deliver/deploy/process"
	"steer/infra/host"
)

// openNodeHosts opens the driver that runs nodes on the hosts of hosts.yaml.
func (a *App) openNodeHosts() (err error) {
	d := &a.deliver
	d.remote, err = hosts.New(hosts.Options{
		Config: a.o.Deploy.Hosts, Dir: a.path("remote"), Instance: a.instance, MaxMB: a.o.Artifact.MaxMB, MaxFiles: a.o.Artifact.MaxFiles,
		Archive: d.artifacts.Archive, Secret: a.secret, Stats: a.passStats, Log: a.log, Dial: a.dialNodes,
		Hosts: func(patterns []string) (names []string, err error) {
			all, err := a.inventory()
			if err == nil {
				all, err = host.Select(all, patterns)
			}
			for _, h := range all {
				names = append(names, h.Name)
			}
			return names, err
		},
	})
	return err
}

// inventory is the hosts of the definitions in force.
func (a *App) inventory() ([]host.Host, error) {
	_, files := a.definitions.Current()
	all, err := host.ReadInventory(files)
	return host.Lasting(all, time.Now()), err
}

// passStats hands a StatsD packet to the receiver.
func (a *App) passStats(packet []byte) {
	at, port := a.statsd()
	if port == "" {
		return
	}
	c, err := net.Dial("udp", net.JoinHostPort(at, port))
	if err != nil {
		return // as lost as a packet on the way
	}
	defer c.Close()
	c.Write(packet) //nolint:errcheck // see above
}

// dialNodes begins a conversation with the keeper of nodes on a host.
func (a *App) dialNodes(ctx context.Context, name string, s hosts.Settings) (_ io.ReadWriteCloser, address string, err error) {
	select {
	case <-a.complete: // the ways to hosts are there
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	all, err := a.inventory()
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all, func(h host.Host) bool { return h.Name == name })
	if i < 0 {
		return nil, "", fault.New(fault.NotFound, "it is not in hosts.yaml any more")
	}
	if address, err = reachedAt(all[i].Address); err != nil {
		return nil, "", err
	}
	// The conversation outlives ctx, which is that of its beginning.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	begun := context.AfterFunc(ctx, end)
	session, way, err := a.keeper.self.converse(life, all[i].Address, true)
	if err == nil {
		err = session.Call(askNodes, s, nil, nil)
	}
	if !begun() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		end()
		if way != nil {
			way.Close()
		}
		return nil, "", err
	}
	return &conversation{session.Stream(), way, end}, address, nil
}

// conversation closes all that it needs.
type conversation struct {
	io.ReadWriteCloser
	way io.Closer
	end context.CancelFunc
}

func (c *conversation) Close() error {
	defer c.end()
	return errors.Join(c.ReadWriteCloser.Close(), c.way.Close())
}

// reachedAt is where the load balancer reaches a host; "": where that says that it is.
func reachedAt(address string) (string, error) {
	kind, _, _ := strings.Cut(address, ":")
	switch kind {
	case "local":
		return "127.0.0.1", nil
	case "chroot":
		return "", fault.New(fault.Invalid, "nothing runs on a host that is a folder (%s)", address)
	case "ssh":
		u, err := url.Parse(address)
		if err != nil {
			return "", fault.New(fault.Invalid, "%q is no address for SSH", address)
		}
		// Behind a port that was passed on here, the host has another address.
		if ip := net.ParseIP(u.Hostname()); !ip.IsLoopback() && u.Hostname() != "localhost" {
			return u.Hostname(), nil
		}
	}
	return "", nil
}

// attachNodes makes the conversation with this host one with its keeper of nodes.
func attachNodes(ctx context.Context, s hosts.Settings) (host.Stream, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s.Program = self
	keeper, err := hosts.Attach(ctx, s)
	if err != nil {
		return nil, err
	}
	return func(in io.Reader, out io.Writer) error {
		defer keeper.Close()
		go func() {
			io.Copy(keeper, in) //nolint:errcheck // either end of the conversation ends it
			keeper.Close()
		}()
		io.Copy(out, keeper) //nolint:errcheck // see above
		return nil
	}, nil
}

// keepNodes is the keeper of nodes on a host.
func keepNodes(ctx context.Context, settings string) error {
	var s hosts.Settings
	if err := json.Unmarshal([]byte(settings), &s); err != nil {
		return fault.New(fault.Invalid, "this command is started by another Steer, and is not for people: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return hosts.Keep(ctx, hosts.KeeperOptions{
		Settings: s, Log: log,
		Nodes: func(dir string, unpack func(context.Context, string, string) error, secret func(id.Environment, string) (string, error)) (hosts.Nodes, error) {
			return process.New(process.Options{
				Config: process.Config{Ports: s.Ports, LogBytes: s.LogBytes, LogFiles: s.LogFiles, Retain: config.Duration(s.Retain)},
				Dir:    dir, Unpack: unpack, Secret: secret, User: nobody, Log: log,
			})
		},
		Extract: func(ctx context.Context, archive io.Reader, dir string) error {
			return artifact.Extract(ctx, archive, dir, artifact.Limits{MaxMB: s.MaxMB, MaxFiles: s.MaxFiles})
		},
	})
}

// nobody is who nodes are on hosts that name no user: unprivileged, as in containers.
const nobody = "65534:65534"
