package docker

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"

	"steer/base/fault"
)

// gateway is the address of this machine in the engine's default network.
func (d *Driver) gateway(ctx context.Context) (string, error) {
	var n struct {
		IPAM struct{ Config []struct{ Gateway string } }
	}
	if err := d.engine.call(ctx, "GET", "/networks/bridge", nil, nil, &n); err != nil {
		return "", err
	}
	for _, c := range n.IPAM.Config {
		if ip := net.ParseIP(c.Gateway); ip.To4() != nil {
			return c.Gateway, nil
		}
	}
	return "", fault.New(fault.Invalid, "the Docker engine's network bridge has no gateway, so that containers could not send their StatsD metrics (set STATSD_HOST for them in config of the environment)")
}

// relay takes StatsD packets from containers, which cannot reach 127.0.0.1 of this
// machine, and passes them on to where Steer takes them.
type relay struct {
	mu     sync.Mutex
	at     string // address that was tried
	socket *net.UDPConn
}

// passStats opens the relay, on the port that Steer itself has on 127.0.0.1. If
// the port is taken there, Steer listens on all addresses and needs no relay.
func (d *Driver) passStats() {
	if d.o.Stats == nil {
		return
	}
	host, port := d.o.Stats()
	if port == "" || !net.ParseIP(host).IsLoopback() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d.relay.mu.Lock()
	defer d.relay.mu.Unlock()
	if d.relay.at != "" {
		return
	}
	gateway, err := d.gateway(ctx)
	if err != nil {
		return // who makes a container tells why
	}
	at := net.JoinHostPort(gateway, port)
	address, err := net.ResolveUDPAddr("udp", at)
	if err != nil {
		return
	}
	to, err := net.Dial("udp", net.JoinHostPort(host, port))
	if err != nil {
		return
	}
	d.relay.at = at
	socket, err := net.ListenUDP("udp", address)
	if err != nil {
		to.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			d.log.Warn("StatsD metrics of containers do not arrive: set STATSD_HOST in config of the environment to an address of Steer that they reach", "at", at, "error", err)
		}
		return
	}
	d.relay.socket = socket
	d.log.Info("StatsD metrics of containers are taken", "at", at)
	go func() {
		defer to.Close()
		packet := make([]byte, 64<<10)
		for {
			n, err := socket.Read(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				to.Write(packet[:n])
			}
		}
	}()
}

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = "closed"
	if r.socket != nil {
		r.socket.Close()
	}
}
