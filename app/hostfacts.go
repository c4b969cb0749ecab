package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"steer/base/fault"
	"steer/cli"
	"steer/infra"
	"steer/infra/host"
)

// hostFacts reads the facts of hosts: of several, one object after the other, as they
// are named.
func hostFacts(ctx context.Context, a cli.HostArgs) ([]byte, error) {
	hosts, self, err := plainHosts(a)
	if err != nil {
		return nil, err
	}
	found, errs := make([][]byte, len(hosts)), make([]error, len(hosts))
	index := map[string]int{}
	for i, h := range hosts {
		index[h.Name] = i
	}
	_, err = host.Each(ctx, hosts, host.Waves{MaxFail: -1}, func(ctx context.Context, h host.Host) bool {
		i := index[h.Name]
		var f infra.Facts
		if errs[i] = onPlain(ctx, h, self, func(v visit) error { f, errs[i] = v.facts(); return errs[i] }); errs[i] == nil {
			found[i], errs[i] = json.MarshalIndent(f, "", "  ")
		}
		return errs[i] == nil
	})
	found = slices.DeleteFunc(found, func(b []byte) bool { return b == nil })
	return bytes.Join(found, []byte("\n")), errors.Join(append(errs, err)...)
}

// addTest writes a test of what is on a host.
func addTest(ctx context.Context, a cli.HostArgs, kind, name string) (test []byte, err error) {
	hosts, self, err := plainHosts(a)
	if err != nil {
		return nil, err
	}
	if len(hosts) > 1 {
		return nil, fault.New(fault.Invalid, "add a test: these are %d hosts (name one, like --limit %s)", len(hosts), hosts[0].Name)
	}
	err = onPlain(ctx, hosts[0], self, func(v visit) error {
		test, err = v.addTest(kind, name)
		return err
	})
	return test, err
}

// onPlain does something on a host whose roles do not matter.
func onPlain(ctx context.Context, h host.Host, self way, do func(visit) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h, err := located(ctx, h)
	if err != nil {
		return err
	}
	v, err := visitHost(ctx, h.Address, self)
	if err != nil {
		return err
	}
	defer v.Close()
	return do(v)
}
