package verify

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/infra"
)

var dnsKind = Kind{
	Name: "dns",
	Doc: `A name as programs of this host resolve it, /etc/hosts included, or as one server does.
When the server does not answer, that can't be judged.`,
	Key:     "name",
	Example: "dns: {name: localhost, addresses: [127.0.0.1], within: 2s}",
	Stable:  []string{"resolves"},
	New:     func() Subject { return &dns{} },
}

type dns struct {
	Name      string          `yaml:"name" doc:"Name to look up."`
	Server    string          `yaml:"server" doc:"HOST:PORT of the server to ask; default: as the host is set up."`
	Within    config.Duration `yaml:"within" doc:"How long it may take." default:"5s"`
	Resolves  *bool           `yaml:"resolves" doc:"Whether it has addresses." default:"true"`
	Addresses Text            `yaml:"addresses" doc:"Addresses, of both families."`
}

func (d *dns) ID() string { return d.Name }

func (d *dns) Check() error {
	var server error
	if d.Server != "" {
		server = hostPort("server", d.Server)
	}
	return errors.Join(plainName("name", d.Name), server, between("within", d.Within, time.Minute))
}

func hostPort(key, address string) error {
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return errors.New(key + ": has to be HOST:PORT")
	}
	return nil
}

func (d *dns) Look(ctx context.Context, _ *infra.Host) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Within.Std())
	defer cancel()
	r := &net.Resolver{PreferGo: true}
	if d.Server != "" {
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, d.Server)
		}
	}
	addresses, err := r.LookupHost(ctx, d.Name)
	if missing := (&net.DNSError{}); errors.As(err, &missing) && missing.IsNotFound {
		return Found{"resolves": false}, nil
	} else if err != nil {
		return nil, err
	}
	slices.Sort(addresses)
	return Found{"resolves": true, "addresses": slices.Compact(addresses)}, nil
}

var interfaceKind = Kind{
	Name:    "interface",
	Doc:     "A network interface.",
	Key:     "name",
	Example: "interface: {name: lo, up: true, addresses: [127.0.0.1], mtu: {above: 1499}}",
	Stable:  []string{"exists", "up", "mtu"},
	New:     func() Subject { return &link{} },
}

type link struct {
	Name      string `yaml:"name" doc:"Name of the interface."`
	Exists    *bool  `yaml:"exists" doc:"Whether there is such an interface." default:"true"`
	Up        *bool  `yaml:"up" doc:"Whether it is up."`
	Addresses Text   `yaml:"addresses" doc:"Addresses, without the length of their networks."`
	MTU       Number `yaml:"mtu" doc:"Bytes of the largest packet."`
}

func (l *link) ID() string { return l.Name }

func (l *link) Check() error { return plainName("name", l.Name) }

func (l *link) Look(context.Context, *infra.Host) (Found, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(i net.Interface) bool { return i.Name == l.Name })
	if i < 0 {
		return Found{"exists": false}, nil
	}
	found := Found{"exists": true, "up": list[i].Flags&net.FlagUp != 0, "mtu": list[i].MTU}
	all, err := list[i].Addrs()
	if err != nil {
		found["addresses"] = err
		return found, nil
	}
	addresses := []string{}
	for _, a := range all {
		address, _, _ := strings.Cut(a.String(), "/")
		addresses = append(addresses, address)
	}
	found["addresses"] = addresses
	return found, nil
}

var addressKind = Kind{
	Name:    "address",
	Doc:     "An address to which this host can open a TCP connection.",
	Key:     "address",
	Example: "address: {address: \"127.0.0.1:22\", reachable: true, within: 2s}",
	Stable:  []string{"reachable"},
	New:     func() Subject { return &address{} },
}

type address struct {
	Address   string          `yaml:"address" doc:"HOST:PORT."`
	Within    config.Duration `yaml:"within" doc:"How long it may take." default:"2s"`
	Reachable *bool           `yaml:"reachable" doc:"Whether a connection opens." default:"true"`
}

func (a *address) ID() string { return a.Address }

func (a *address) Check() error {
	return errors.Join(hostPort("address", a.Address), between("within", a.Within, time.Minute))
}

func (a *address) Look(ctx context.Context, _ *infra.Host) (Found, error) {
	c, err := (&net.Dialer{Timeout: a.Within.Std()}).DialContext(ctx, "tcp", a.Address)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return Found{"reachable": Noted{false, err.Error()}}, nil
	}
	return Found{"reachable": true}, c.Close()
}
